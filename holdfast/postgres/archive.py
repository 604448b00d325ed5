"""The table of contents of a `pg_dump` custom archive: what is in a base, what it needs, how it is made.

`pg_restore --list` prints names in a way that cannot be read back without doubt, so the contents are read from the file itself.
The layout is the one of `pg_backup_archiver.c`, archive versions 1.12 (PostgreSQL 9.0) to 1.16 (PostgreSQL 18). Only the head
of the file is read; the data behind it is never touched.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import psycopg2.extensions

from holdfast.errors import DamagedError, RefusedError

_OLDEST, _NEWEST = (1, 12), (1, 16)
NO_SECTION, PRE_DATA, DATA, POST_DATA = 1, 2, 3, 4
STATISTICS = "STATISTICS DATA"
_BLOCK_BYTES = 1 << 20
_MOST_STATISTICS_BYTES = 16 << 20  # to set them takes five times as much memory; ANALYZE takes it from the server


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One object of the archive; texts are as pg_dump wrote them, in the words of PostgreSQL's own table of contents.

    What defines planner's statistics is left out, for it may be large: `read_statistics` reads it.
    """

    id: int
    kind: str
    schema: str
    name: str
    owner: str
    section: int
    definition: str
    drop: str
    access_method: str
    needs: tuple[int, ...] = field(default=())

    @property
    def label(self) -> str:
        """The object, for a person to read."""
        return f"{self.kind} {self.schema}.{self.name}" if self.schema else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Archive:
    """The contents of one archive, in the order in which it restores."""

    entries: tuple[ArchiveEntry, ...]
    database: str
    server_version: str
    tool_version: str

    @classmethod
    def read(cls, path: Path) -> Archive:
        """Read an archive's contents. Raises DamagedError when it is none, RefusedError when it is from the future."""
        with path.open("rb") as file:
            return cls.read_head(file, path.name)

    @classmethod
    def read_head(cls, file: BinaryIO, name: str) -> Archive:
        """Read the contents from the beginning of an open archive, and nothing after them."""
        return _Reader(file, name).archive()

    @property
    def by_id(self) -> dict[int, ArchiveEntry]:
        """The entries by their number."""
        return {entry.id: entry for entry in self.entries}


def write_list(entries: Iterable[ArchiveEntry], folder: Path) -> Path:
    """Write a file for `pg_restore --use-list` that chooses these entries, in this order."""
    handle, name = tempfile.mkstemp(prefix="list-", dir=folder)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.writelines(f"{entry.id};\n" for entry in entries)
    return Path(name)


def read_statistics(path: Path) -> Iterator[tuple[int, bytes]]:
    """Read the statements that set planner's statistics: each entry's number, and its text in the archive's encoding.

    The text is empty where it is too large to be sent at once.
    """
    with path.open("rb") as file:
        yield from _Reader(file, path.name).statistics()


class _Reader:
    """The binary layout: integers as sign and little-endian bytes, strings as length and bytes, -1 for none."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._codec = "utf-8"

    def archive(self) -> Archive:
        database, server, tool = self._head()
        raw = [self._entry() for _ in range(self._integer())]
        self._codec = _codec(raw)
        return Archive(
            entries=tuple(self._decoded(*entry) for entry in raw),
            database=self._decode(database),
            server_version=server,
            tool_version=tool,
        )

    def statistics(self) -> Iterator[tuple[int, bytes]]:
        self._head()
        for _ in range(self._integer()):
            number, _, texts, _ = self._entry(with_statistics=True)
            if texts["kind"] == STATISTICS.encode():
                yield number, texts["definition"]

    def _head(self) -> tuple[bytes, str, str]:
        """Read what comes before the entries: the database's name, the server's version and pg_dump's."""
        if self._bytes(5) != b"PGDMP":
            raise DamagedError(f"{self._name} is not a PostgreSQL archive")
        self._version = version = (self._byte(), self._byte())
        self._byte()
        if not _OLDEST <= version <= _NEWEST:
            raise RefusedError(
                f"the archive has format {version[0]}.{version[1]}",
                reason=f"formats {_OLDEST[0]}.{_OLDEST[1]} to {_NEWEST[0]}.{_NEWEST[1]} are known",
                next_step="Use a newer Holdfast",
            )
        self._integer_size = self._byte()
        self._offset_size = self._byte()
        if self._byte() != 1:
            raise DamagedError(f"{self._name} is not an archive in PostgreSQL's custom format")
        if version >= (1, 15):
            self._byte()
        else:
            self._integer()
        for _ in range(7):  # when it was made, in local time
            self._integer()
        return self._raw(), self._text(), self._text()

    def _entry(self, *, with_statistics: bool = False) -> tuple[int, int, dict[str, bytes], list[int]]:
        number = self._integer()
        self._integer()  # has data of its own
        self._raw(), self._raw()  # the catalog's identifiers on the source
        texts = {"name": self._raw(), "kind": self._raw()}
        section = self._integer()
        if texts["kind"] == STATISTICS.encode():
            texts["definition"] = self._statistics(_MOST_STATISTICS_BYTES if with_statistics else 0)
        else:
            texts["definition"] = self._raw()
        texts["drop"] = self._raw()
        self._raw()  # the COPY statement
        texts["schema"] = self._raw()
        self._raw()  # tablespace
        texts["access_method"] = self._raw() if self._version >= (1, 14) else b""
        if self._version >= (1, 16):
            self._integer()  # kind of relation
        texts["owner"] = self._raw()
        self._raw()  # WITH OIDS
        needs = []
        while (need := self._raw_or_none()) is not None:
            needs.append(int(need))
        self._bytes(1 + self._offset_size)
        return number, section, texts, needs

    def _statistics(self, most_bytes: int) -> bytes:
        """Read what sets a relation's statistics; what is larger is read over, and nothing of it kept."""
        length = self._integer()
        if length <= most_bytes:
            return self._bytes(max(length, 0))
        for start in range(0, length, _BLOCK_BYTES):
            self._bytes(min(_BLOCK_BYTES, length - start))
        return b""

    def _decoded(self, number: int, section: int, texts: dict[str, bytes], needs: list[int]) -> ArchiveEntry:
        words = {name: self._decode(text) for name, text in texts.items()}
        return ArchiveEntry(id=number, section=section, needs=tuple(needs), **words)

    def _decode(self, text: bytes) -> str:
        return text.decode(self._codec, errors="surrogateescape")

    def _text(self) -> str:
        return self._decode(self._raw())

    def _raw(self) -> bytes:
        return self._raw_or_none() or b""

    def _raw_or_none(self) -> bytes | None:
        length = self._integer()
        return self._bytes(length) if length >= 0 else None

    def _integer(self) -> int:
        negative = self._byte()
        value = int.from_bytes(self._bytes(self._integer_size), "little")
        return -value if negative else value

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise DamagedError(f"{self._name} ends in the middle of its table of contents")
        return data


def _codec(raw: list[tuple[int, int, dict[str, bytes], list[int]]]) -> str:
    """Return Python's name for the archive's encoding, told by its ENCODING entry: SET client_encoding = 'LATIN1'."""
    for _, _, texts, _ in raw:
        if texts["kind"] == b"ENCODING":
            encoding = texts["definition"].split(b"'")[1].decode("ascii")
            return "utf-8" if encoding == "SQL_ASCII" else psycopg2.extensions.encodings.get(encoding, "utf-8")
    return "utf-8"
