"""What most commands begin with: the settings, and the repository that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli import output

if TYPE_CHECKING:
    from holdfast.repository import Repository
    from holdfast.settings import Settings


def settings() -> Settings:
    """Load the settings; from here on nothing that is said shows a secret of theirs. Raises SettingsError."""
    from holdfast.settings import load_settings

    return _kept_secret(load_settings())


def repository_settings() -> Settings:
    """Load only the settings that the repository needs. Raises SettingsError where one of these is wrong."""
    from cli.repository_settings import load_repository_settings

    return _kept_secret(load_repository_settings())


def repository(loaded: Settings) -> Repository:
    """Open the repository, whatever its encryption state, to read it or to see to its keys."""
    from holdfast.opening import read_repository

    return read_repository(loaded)


def _kept_secret(loaded: Settings) -> Settings:
    from holdfast.secret_texts import secret_parts, secrets_of

    for secret in secrets_of(loaded):
        output.keep_secret(*secret_parts(secret.get_secret_value()))
    return loaded
