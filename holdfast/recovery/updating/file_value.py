"""One value of a configuration file among BACKUP_CONFIG_FILES. The former file is kept whole, and every other byte stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import NotFoundError, RefusedError, SourceFailedError
from holdfast.recovery.updating.place import INSTEAD, NO_PLACE, Json, Place, changed_since, scalar_problem
from holdfast.settings.kinds import working_directory
from holdfast.sources import replacing
from holdfast.sources.configuration.editing import value_at, with_value
from holdfast.sources.configuration.formats import Format, format_of
from holdfast.sources.configuration.globs import match
from holdfast.sources.configuration.never import NeverKept
from holdfast.sources.configuration.secretness import looks_secret
from holdfast.sources.stable import read_stably

_FORMATS = "a file of JSON, YAML, TOML, INI or .env, told by its name"


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was found."""

    path: Path
    kind: Format
    text: str
    mode: int
    sha256: str


class FileValue(Place):
    """`file:PATH#a.b.c`."""

    @classmethod
    def problems(cls, rest: str, value: Any) -> Iterator[str]:
        path, sign, name = rest.partition("#")
        if not (path and sign and name):
            yield "configKey: file:PATH#a.b.c takes the path of a file and the dotted path of a value in it"
        elif format_of(path) is None:
            yield f"configKey: what {path} holds can't be changed safely; it takes {_FORMATS}"
        elif looks_secret(name, "" if value is None else str(value)):
            yield f"configValue: {NO_PLACE}. {INSTEAD}"
        yield from scalar_problem(value)

    def now(self) -> str:
        try:
            there = value_at(self._read.kind, self._read.text, self._name)
        except NotFoundError as error:
            raise NotFoundError(f"{self._read.path}: {error.message}", next_step=error.next_step) from None
        self._require_no_secret(self._name, there)
        return there

    def put(self, value: Any, keep_in: Path) -> None:
        read = self._read
        replacing.replace_file(read.path, self._changed(read, value), read.mode, keep_in=keep_in)

    def noted(self, keep_in: Path) -> Json:
        return {"folder": str(keep_in), "sha256": self._read.sha256}

    def undo(self, former: Any, noted: Json) -> None:
        del former
        if self._read.sha256 != noted["sha256"]:
            raise changed_since(self.key)
        replacing.roll_back(Path(noted["folder"]))

    def rehearse(self, value: Any, scratch: Path) -> None:
        read = self._read
        copy = scratch / read.path.name
        replacing.replace_file(copy, self._changed(read, value), read.mode, keep_in=scratch / "kept")

    def same(self, there: Any, value: Any) -> bool:
        return bool(there == ("null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)))

    @property
    def _name(self) -> str:
        return self._rest.partition("#")[2]

    @property
    def _read(self) -> _Read:
        path = self._path()
        kind = format_of(path.name)
        if kind is None:
            raise RefusedError(f"{self.key} was not changed", reason=f"only {_FORMATS}, can be changed safely")
        with read_stably(path) as file:
            try:
                text = file.content.read().decode("utf-8")
            except UnicodeDecodeError as error:
                raise SourceFailedError(f"{path} can't be changed", reason=f"byte {error.start} is not UTF-8") from None
            return _Read(path, kind, text, file.mode, file.sha256)

    def _path(self) -> Path:
        """Find the file among those of the settings. Raises NotFoundError, RefusedError."""
        given = working_directory() / Path(self._rest.partition("#")[0]).expanduser()
        path = given.parent.resolve() / given.name
        settings = self._settings
        without = [settings.home, *([settings.storage_path] if settings.storage_path else [])]
        if path not in match(settings.config_files, working_directory(), without=without).paths:
            raise NotFoundError(
                f"{self.key} can't be changed",
                reason=f"{path} is not there, or not among the configuration files of BACKUP_CONFIG_FILES",
                next_step="Only what is backed up may be changed: add the file to BACKUP_CONFIG_FILES",
            )
        if path.resolve() in NeverKept.of(settings).files:
            raise RefusedError(f"{self.key} was not changed", reason="it is the file of a key")
        return path

    def _changed(self, read: _Read, value: Any) -> bytes:
        self._require_no_secret(self._name, value)
        return with_value(read.kind, read.text, self._name, value).encode()
