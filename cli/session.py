"""What most commands begin with: the settings, and the repository that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli import output

if TYPE_CHECKING:
    from holdfast.repository import Repository
    from holdfast.settings import Settings

_SECRETS = ("encryption_key", "storage_access_key", "storage_secret_key", "storage_session_token", "storage_connection_string")
_URLS = ("database_url", "catalog_url", "scratch_url")


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
    for name in _SECRETS:
        secret = getattr(loaded, name)
        output.keep_secret(secret.get_secret_value() if secret is not None else None)
    for name in _URLS:
        if (url := getattr(loaded, name)) is not None:
            output.keep_password(url.get_secret_value())
    return loaded
