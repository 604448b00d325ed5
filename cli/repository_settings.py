"""The settings that the repository alone needs: whatever else is set may be wrong, and keeps nobody from a restore.

Slow to import; `cli.session` does it where it is needed.
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from holdfast.settings import Settings
from holdfast.settings.loading import env_file, set_by_hand
from holdfast.settings.problems import settings_error

_NEEDED = (
    "storage_",
    "replicas",
    "bandwidth_",
    "immutable_",
    "encryption_key",
    "enable_encryption",
    "home",
    "prune_",
    "lease_",
    "lock_",
    "restore_",
    "postgres_",
    "readers",
    "api_tokens_file",
)
_VARIABLES = {str(field.validation_alias) for name, field in Settings.model_fields.items() if name.startswith(_NEEDED)}


class RepositorySettings(Settings):
    """Settings of which only what the repository needs is read; the others keep their defaults."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del cls, settings_cls, init_settings, file_secret_settings
        return _needed(env_settings), _needed(dotenv_settings)


def load_repository_settings() -> Settings:
    """Read them. Raises SettingsError where one of them is wrong."""
    places = set_by_hand()
    try:
        return RepositorySettings(_env_file=env_file())
    except ValidationError as error:
        raise settings_error(error, lambda problem: problem.variable, lambda name: places.get(name, "")) from None


def _needed(source: PydanticBaseSettingsSource) -> PydanticBaseSettingsSource:
    def values() -> dict[str, Any]:
        return {name: value for name, value in source().items() if name in _VARIABLES}

    return cast("PydanticBaseSettingsSource", values)  # pydantic calls a source, and asks no more of it
