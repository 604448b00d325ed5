"""What is in a database backup, opened for a restore or a comparison: its truth, its roles, its archive and its streams."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from holdfast.errors import DamagedError, SettingsError
from holdfast.postgres.archive import Archive
from holdfast.postgres.connection import qualified, quote_identifier
from holdfast.postgres.dump import BASE, GLOBALS, TRUTH
from holdfast.postgres.globals import RoleStatement, parse_roles
from holdfast.postgres.truth import TableTruth, Truth
from holdfast.repository import Entry, Manifest, Repository
from holdfast.spool import Spool

_BLOCK_BYTES = 1 << 20
_NAMES_ROLES = frozenset({"ACL", "DEFAULT ACL", "POLICY", "USER MAPPING"})
_IDENTIFIER = re.compile(r'"(?:[^"]|"")*"|[^\s",;()]+')


@dataclass(frozen=True, slots=True)
class TableStream:
    """The rows of one table, kept in an entry of their own."""

    entry: Entry
    table: TableTruth

    def copy_statement(self, encoding: str, *, freeze: bool) -> str:
        """Write the COPY that takes the rows in; with `freeze` the table must be new or emptied in the same transaction."""
        columns = ", ".join(quote_identifier(column) for column in self.table.columns)
        options = f"ENCODING '{encoding}'{', FREEZE' if freeze else ''}"
        return f"COPY {qualified(*self.table.key)}{f' ({columns})' if columns else ''} FROM STDIN WITH ({options})"


class BackupContents:
    """One database backup. Close it: while its base is spooled, that lies in a private file."""

    def __init__(self, repository: Repository, manifest: Manifest, *, spool_parent: Path | None = None) -> None:
        if manifest.type != "database":
            raise SettingsError(f"backup {manifest.id} is a {manifest.type} backup, not one of a database")
        self.repository = repository
        self.manifest = manifest
        self._spool_parent = spool_parent
        self._spool: Spool | None = None
        self._base: Path | None = None
        self._lock = threading.Lock()

    @cached_property
    def truth(self) -> Truth:
        """What the source knew of itself."""
        return Truth.from_bytes(self._whole(TRUTH))

    @cached_property
    def roles(self) -> list[RoleStatement]:
        """The statements that make the source's roles."""
        return parse_roles(self._whole(GLOBALS))

    @cached_property
    def needed_roles(self) -> set[str]:
        """The roles without which the archive can't be restored as it is: owners, and who is granted something.

        The source's server keeps no account of what belongs to the role that made it, so the archive is asked too.
        """
        return named_roles(self.archive, self.roles) | set(self.truth.roles)

    @cached_property
    def archive(self) -> Archive:
        """The table of contents of the base."""
        with io.BufferedReader(self.open(self._entry(BASE)), _BLOCK_BYTES) as file:
            return Archive.read_head(file, BASE)

    @cached_property
    def streams(self) -> list[TableStream]:
        """The tables with an entry of their own, the largest first."""
        tables = [table for table in self.truth.tables if table.entry is not None]
        found = [TableStream(self._entry(str(table.entry)), table) for table in tables]
        return sorted(found, key=lambda stream: stream.entry.size_bytes, reverse=True)

    @property
    def source_major(self) -> int:
        """The major version of the server that was backed up."""
        return int(self.truth.server["major"])

    @property
    def encoding(self) -> str:
        """The encoding of the database, and of its streams."""
        return str(self.truth.database["encoding"])

    @property
    def base_size_bytes(self) -> int:
        """How large the base is."""
        return self._entry(BASE).size_bytes

    @property
    def spool_folder(self) -> Path:
        """A private folder for as long as this is open."""
        if self._spool is None:
            if self._spool_parent is None:
                raise ValueError("nothing is spooled here")
            self._spool = Spool(self._spool_parent)
        return self._spool.folder

    def base_path(self, on_progress: Callable[[int], None] | None = None) -> Path:
        """Write the base down, once, and return where. Raises DamagedError before anything uses it."""
        with self._lock:
            if self._base is None:
                path = self.spool_folder / "base.dump"
                with self.open(self._entry(BASE)) as source, path.open("xb") as file:
                    path.chmod(0o600)
                    while block := source.read(_BLOCK_BYTES):
                        file.write(block)
                        if on_progress is not None:
                            on_progress(len(block))
                self._base = path
        return self._base

    def open(self, entry: Entry) -> io.RawIOBase:
        """Open an entry for reading; every byte is proven before it is handed out."""
        return self.repository.open_entry(entry)

    def close(self) -> None:
        """Remove what was spooled."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None
            self._base = None

    def _whole(self, name: str) -> bytes:
        return b"".join(self.repository.read(self._entry(name)))

    def _entry(self, name: str) -> Entry:
        try:
            return self.manifest.entry(name)
        except KeyError:
            raise DamagedError(f"backup {self.manifest.id} has no entry {name!r}") from None


def named_roles(archive: Archive, roles: Sequence[RoleStatement]) -> set[str]:
    """Name the roles that an archive's definitions refer to: owners, and those of these who are granted something."""
    owners = {entry.owner for entry in archive.entries if entry.owner}
    grants = "\n".join(entry.definition for entry in archive.entries if entry.kind in _NAMES_ROLES)
    words = set(_IDENTIFIER.findall(grants))
    return owners | {name for role in roles for name in role.roles if {name, quote_identifier(name)} & words}


def as_readable(stream: io.RawIOBase) -> io.BufferedReader:
    """A stream with a `read` that returns bytes."""
    return cast("io.BufferedReader", stream)
