"""Read the settings: environment before `.env` before stored configuration before defaults; an empty value is no value.

All that is wrong is told at once. A BACKUP_ variable that nobody knows is no error, but it is told, once: it may be a slip.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource

from holdfast.errors import SettingsError
from holdfast.settings.keys import field_of, flat, key_of, near, near_key, variable_of
from holdfast.settings.kinds import working_directory
from holdfast.settings.problems import Problem, settings_error
from holdfast.settings.settings import Settings

ENVIRONMENT = "the environment"
STORED = "the stored configuration"

READ_ELSEWHERE = {"BACKUP_TARGET_URL": "Where 'holdfast restore' brings a backup when no --target is given (environment only)"}

_log = logging.getLogger("holdfast.settings")
_told: set[str] = set()


class KeepsConfiguration(Protocol):
    """What is needed of a catalog."""

    def config(self) -> dict[str, Any]:
        """Return the stored configuration."""
        ...  # pragma: no cover


class _Proposal(Settings):
    """Settings in which what is passed by name goes before all else: to judge a value before it is stored."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del cls, settings_cls, file_secret_settings
        return init_settings, env_settings, dotenv_settings


def load_settings(catalog: KeepsConfiguration | None = None) -> Settings:
    """Read the settings of this process, with what a catalog has stored where one is given.

    Raises SettingsError, which names every wrong variable and shows no secret.
    """
    by_hand = set_by_hand()
    _tell_unknown(by_hand)
    return with_stored({} if catalog is None else catalog.config())


def with_stored(stored: Mapping[str, Any]) -> Settings:
    """Read the settings as if this were the stored configuration. Raises SettingsError."""
    by_variable = _by_variable(stored)
    try:
        return Settings(_env_file=env_file(), **by_variable)
    except ValidationError as error:
        places = dict.fromkeys(by_variable, STORED) | set_by_hand()
        raise settings_error(error, lambda problem: problem.variable, lambda name: places.get(name, "")) from None


def judge(changes: Mapping[str, Any], stored: Mapping[str, Any]) -> Settings:
    """Return the settings as if these values, by field, went before all else. Raises SettingsError with the guide's names."""
    by_hand = set_by_hand()
    changed = {variable_of(field) for field in changes}
    others = {name: value for name, value in _by_variable(stored).items() if name not in by_hand and name not in changed}
    proposed = {variable_of(field): value for field, value in changes.items() if value is not None}
    places = dict.fromkeys(others, STORED) | by_hand | dict.fromkeys(proposed, "")
    try:
        return _Proposal(_env_file=env_file(), **(others | proposed))
    except ValidationError as error:
        raise settings_error(error, _both_names, lambda name: places.get(name, "")) from None


def set_by_hand() -> dict[str, str]:
    """Tell which variables the operator has set, and where. Raises SettingsError where `.env` can't be read."""
    file = env_file()
    try:
        in_file = DotEnvSettingsSource(Settings, env_file=file).env_vars
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise SettingsError(f"{file} can't be read", reason=reason) from None
    found = {name: str(file) for name, value in in_file.items() if value}
    return found | {name: ENVIRONMENT for name, value in os.environ.items() if value}


def env_file() -> Path:
    """Tell where `.env` would be."""
    return working_directory() / ".env"


def known_variables() -> list[str]:
    """List every variable that means something to Holdfast."""
    return [variable_of(field) for field in Settings.model_fields] + list(READ_ELSEWHERE)


def _by_variable(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Name stored values by variable; what this version does not know is left out, and told."""
    return {variable_of(field): value for field, value in _known(stored) if value is not None}


def _known(stored: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in flat(stored):
        field = field_of(key)
        if field is not None:
            yield field, value
        else:
            _tell_once(key, f"{key} in {STORED} is not a setting that this version knows; it has no effect{near_key(key)}")


def _tell_unknown(by_hand: Mapping[str, str]) -> None:
    known = known_variables()
    for name in sorted(by_hand):
        if name.startswith("BACKUP_") and name not in known:
            _tell_once(name, f"{name} in {by_hand[name]} is not a setting, and has no effect{near(name, known)}")


def _tell_once(name: str, text: str) -> None:
    if name not in _told:
        _told.add(name)
        _log.warning(text)


def _both_names(problem: Problem) -> str:
    return f"{key_of(problem.field)} ({problem.variable})"
