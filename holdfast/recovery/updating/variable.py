"""A variable in the file of BACKUP_SECRETS_ENV_FILE. Only its own line is touched, and nothing else is kept of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.errors import SettingsError
from holdfast.recovery.updating.place import INSTEAD, NO_PLACE, Json, Place, changed_since, scalar_problem
from holdfast.sources.configuration.secretness import looks_secret
from holdfast.sources.dotenv import holds
from holdfast.sources.secrets.env_file import EnvFile


class Variable(Place):
    """`environment:NAME`; null takes the variable away."""

    @classmethod
    def problems(cls, rest: str, value: Any) -> Iterator[str]:
        if not holds(rest):
            yield "configKey: environment:NAME takes the name of a variable"
        elif looks_secret(rest, "" if value is None else str(value)):
            yield f"configValue: {NO_PLACE}. {INSTEAD}"
        yield from scalar_problem(value)

    def now(self) -> str | None:
        there = self._file().value(self._rest)
        self._require_no_secret(self._rest, there)
        return there

    def put(self, value: Any, keep_in: Path) -> None:
        del keep_in
        self._require_no_secret(self._rest, value)
        self._file().give(self._rest, _text(value))

    def noted(self, keep_in: Path) -> Json:
        del keep_in
        return {"put": self.now()}

    def undo(self, former: Any, noted: Json) -> None:
        if self._file().value(self._rest) != noted["put"]:
            raise changed_since(self.key)
        self._file().give(self._rest, former)

    def rehearse(self, value: Any, scratch: Path) -> None:
        self._require_no_secret(self._rest, value)
        copy = self._file().copied_to(scratch)
        copy.give(self._rest, _text(value))

    def same(self, there: Any, value: Any) -> bool:
        return bool(there == _text(value))

    def _file(self) -> EnvFile:
        if self._settings.secrets_env_file is None:
            raise SettingsError(
                f"{self.key} can't be changed",
                reason="no .env file is known",
                next_step="Set BACKUP_SECRETS_ENV_FILE, or name a file of BACKUP_CONFIG_FILES as file:PATH#NAME",
            )
        return EnvFile(self._settings.secrets_env_file)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
