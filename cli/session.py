"""What most commands begin with: the settings, and the repository that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli import output

if TYPE_CHECKING:
    from holdfast.settings import Settings

    from holdfast.repository import Repository


def settings() -> Settings:
    """Load the settings; from here on nothing that is said shows a secret of theirs."""
    from holdfast.settings import load_settings

    loaded = load_settings()
    for name in ("encryption_key", "storage_access_key", "storage_secret_key"):
        secret = getattr(loaded, name, None)
        output.keep_secret(secret.get_secret_value() if secret is not None else None)
    return loaded


def repository(loaded: Settings) -> Repository:
    """Open the repository, whatever its encryption state, to read it or to see to its keys."""
    from holdfast.opening import read_repository

    return read_repository(loaded)
