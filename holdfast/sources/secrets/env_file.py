"""A `.env` file as a place of secrets. A value is replaced in place: order, comments, quotes, line ends and mode stay."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from holdfast.errors import NotFoundError, RefusedError, SettingsError, SourceFailedError
from holdfast.repository import canonical
from holdfast.sources.contract import LeftOut
from holdfast.sources.dotenv import Dotenv, is_name
from holdfast.sources.files import shown
from holdfast.sources.placing import only_one_at, sync_path, write_errors
from holdfast.sources.secrets.contract import (
    Digest,
    Json,
    RestoredSecrets,
    Rotation,
    SecretProvider,
    SecretRecord,
    SecretsFound,
    new_value,
    placeholder,
    require_replaceable,
    state_of,
)
from holdfast.sources.secrets.usage import uses
from holdfast.sources.stable import read_stably

_LARGEST_BYTES = 4 << 20
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was found."""

    dotenv: Dotenv
    mode: int
    changed_at: datetime


class EnvFile(SecretProvider):
    """The names in a `.env` file; `used_in` are folders whose files are searched for them."""

    kind: ClassVar[str] = "env-file"
    can_rotate = True
    can_restore = True

    def __init__(self, path: Path, *, name: str | None = None, used_in: Sequence[Path] = ()) -> None:
        super().__init__(name)
        self._path = path
        self._used_in = used_in

    @property
    def description(self) -> Json:
        return {"kind": self.kind, "name": self.name, "path": self._place}

    def read(self, digest: Digest) -> SecretsFound:
        """Raises NotFoundError, SourceDeniedError, SourceFailedError."""
        read = self._read()
        values = read.dotenv.values()
        users = uses(values, self._used_in)
        records = [
            SecretRecord(
                provider=self.name,
                name=name,
                digest=digest(_bytes(one.value)),
                changed_at=read.changed_at,  # of the whole file: none is kept of a line
                used_in=users[name],
                attributes={"mode": f"{read.mode:04o}", "state": state_of(_bytes(one.value)) if one.value else "empty"},
            )
            for name, one in sorted(values.items())
        ]
        left_out = [
            LeftOut(f"{self.name}, {one.name}", one.reason) for one in (broken.left_out() for broken in read.dotenv.broken)
        ]
        return SecretsFound(records, left_out)

    def rotate(self, name: str) -> Rotation:
        """Raises NotFoundError, RefusedError, SourceDeniedError, SourceFailedError, WorkFailedError."""

        def change(dotenv: Dotenv) -> str:
            dotenv.require_clear(name, self._place)
            there = dotenv.values().get(name)
            if there is None:
                raise NotFoundError(f"there is no {name!r} in {self._place}")
            require_replaceable(f"{name} of {self.name}", there.value)
            return dotenv.with_value(name, new_value())

        self._change(change)
        return Rotation(self.name, name, canonical.now())

    def put(self, name: str, value: str) -> None:
        """Give a name this value of letters and digits; the name is added where it is missing.

        For a password that was made elsewhere, such as a PostgreSQL role's. Raises SettingsError, and what `rotate` raises.
        """
        if not is_name(name):
            raise SettingsError(f"{name!r} can't be a name in {self._place}", next_step="Use letters, digits and '_'")
        if not value.isalnum():
            raise RefusedError(f"{name} was not changed", reason="its new value would have to be quoted")

        def change(dotenv: Dotenv) -> str:
            dotenv.require_clear(name, self._place)
            if name in dotenv.names():
                return dotenv.with_value(name, value)
            dotenv.require_whole(self._place)
            return dotenv.with_added({name: value})

        self._change(change)

    def value(self, name: str) -> str | None:
        """Read one value, for a step that changes what is no secret; None where there is none. Raises what `read` raises."""
        found = self._read_or_empty().variables()
        return found.get(name)

    def give(self, name: str, value: str | None) -> None:
        """Give a name any value, or take it away; the name is added where it is missing. Raises what `rotate` raises."""

        def change(dotenv: Dotenv) -> str:
            dotenv.require_clear(name, self._place)
            return dotenv.without(name) if value is None else dotenv.with_variables({name: value}, place=self._place)

        self._change(change)

    def restore(self, records: Iterable[SecretRecord], *, dry_run: bool = False) -> RestoredSecrets:
        """Add the missing names to the file's end, or make the file.

        Raises RefusedError, SourceDeniedError, SourceFailedError, WorkFailedError.
        """
        wanted = {record.name: record for record in records}
        done = RestoredSecrets(self.name, dry_run)
        done.left_out = [LeftOut(name, "it can't be a name in a .env file") for name in sorted(wanted) if not is_name(name)]
        names = [name for name in sorted(wanted) if is_name(name)]

        def add(dotenv: Dotenv) -> str:
            dotenv.require_whole(self._place)
            present = dotenv.names()
            done.kept = [name for name in names if name in present]
            done.created = [name for name in names if name not in present]
            return dotenv.with_added({name: placeholder() for name in done.created})

        if dry_run:
            add(self._read_or_empty())
        else:
            self._change(add, make=True)
        return done

    def copied_to(self, folder: Path) -> EnvFile:
        """Copy the file into a private folder, and open that copy under the same name: to try a rotation without any harm.

        Raises NotFoundError, SourceDeniedError, SourceFailedError.
        """
        copy = folder / self._path.name
        with (
            write_errors(copy, "written"),
            os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file,
        ):
            file.write(_bytes(self._read().dotenv.text))
        return EnvFile(copy, name=self.name)

    @property
    def _place(self) -> str:
        return shown(str(self._path))

    def _read(self) -> _Read:
        with read_stably(_real(self._path)) as file:
            if file.size_bytes > _LARGEST_BYTES:
                raise SourceFailedError(f"{self._place} can't be read", reason="it is far too large for a .env file")
            text = file.content.read().decode("utf-8", "surrogateescape")
            changed_at = datetime.fromtimestamp(file.modified_ns // 1_000_000_000, UTC)
            return _Read(Dotenv.parse(text), file.mode, changed_at)

    def _read_or_empty(self) -> Dotenv:
        try:
            return self._read().dotenv
        except NotFoundError:
            return Dotenv.parse("")

    def _change(self, change: Callable[[Dotenv], str], *, make: bool = False) -> None:
        """Replace the file's text, alone among those of us who do; with `make`, also where there is no file."""
        place = _real(self._path)
        with write_errors(place, "changed"), only_one_at(place.parent):
            dotenv = self._read_or_empty() if make else self._read().dotenv
            text = change(dotenv)
            if text != dotenv.text:
                _replace(place, _bytes(text))


def _real(path: Path) -> Path:
    """Follow links to the file itself; a circle of links is told when it is opened."""
    return Path(os.path.realpath(path))


def _replace(path: Path, data: bytes) -> None:
    """Put new content in a file's place at once, with its mode and, where we may, its owner; whoever reads, reads one whole.

    Nothing is kept of the former content: it may hold what was just taken out of use.
    """
    former = path.stat() if path.exists() else None
    beside = path.with_name(f".{path.name}.holdfast-new")
    beside.unlink(missing_ok=True)  # of a run that was killed here
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE), "wb") as file:
            file.write(data)
            if former is not None:
                with suppress(PermissionError):
                    os.fchown(file.fileno(), former.st_uid, former.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(former.st_mode))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_path(path.parent)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
