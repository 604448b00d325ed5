"""The manifest: what a backup is made of. It is written last and never again; with it the backup exists.

The checksum is the SHA-256 of the manifest's canonical form. It covers the digest of every entry, hence every byte.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, cast

from holdfast.errors import SettingsError
from holdfast.jobs import checked_job_id
from holdfast.repository import canonical, names
from holdfast.repository.canonical import Json

BackupType = Literal["database", "function", "config", "secrets"]
SCHEMA = 1
HOLDFAST_VERSION = importlib.metadata.version("holdfast")


@dataclass(frozen=True, slots=True)
class Root:
    """Where an entry's content begins: a chunk, `depth` lists above the data (0: it is the data)."""

    id: str
    depth: int
    chunks: int

    @property
    def chunk_id(self) -> bytes:
        return bytes.fromhex(self.id)


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream of a backup; `sha256` is of its content as it was read, `lines` is set where whoever read it knows them."""

    name: str
    kind: str
    size_bytes: int
    sha256: str
    root: Root
    lines: int | None = None
    media: str = "application/octet-stream"

    def to_json(self) -> Json:
        value: Json = {
            "kind": self.kind,
            "lines": self.lines,
            "media": self.media,
            "name": self.name,
            "root": {"chunks": self.root.chunks, "depth": self.root.depth, "id": self.root.id},
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
        }
        return value

    @classmethod
    def from_json(cls, value: Json) -> Entry:
        root = Root(**value["root"])
        if len(root.chunk_id) != 32 or len(bytes.fromhex(value["sha256"])) != 32 or not 0 <= root.depth <= 8:
            raise ValueError(f"entry {value['name']!r} has a wrong root or digest")
        return cls(**{**value, "root": root})


@dataclass(frozen=True, slots=True)
class ManifestDraft:
    """What whoever makes a backup says of it; the repository adds the rest when it commits."""

    id: str
    type: BackupType
    source: Json
    snapshot_at: datetime
    entries: list[Entry]
    tools: Json
    server: Json
    parameters: Json
    started_at: datetime

    def check(self) -> None:
        """Raises SettingsError where this can't become a manifest."""
        checked_job_id(self.id)
        if self.type not in names.BACKUP_TYPES:
            raise SettingsError(f"unknown type of backup {self.type!r}", reason=f"known are {', '.join(names.BACKUP_TYPES)}")
        seen: set[str] = set()
        for entry in self.entries:
            if entry.name in seen:
                raise SettingsError(f"the backup has two entries of the name {entry.name!r}")
            seen.add(entry.name)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A committed backup."""

    id: str
    type: BackupType
    source: Json
    snapshot_at: datetime
    entries: list[Entry]
    tools: Json
    server: Json
    parameters: Json
    started_at: datetime
    finished_at: datetime
    holdfast_version: str
    host: str
    stored_bytes: int
    new_chunks: int
    key_ids: list[str]
    lease_token: int
    schema: int = SCHEMA

    @property
    def size_bytes(self) -> int:
        """How many bytes were read from the source."""
        return sum(entry.size_bytes for entry in self.entries)

    @property
    def total_bytes(self) -> int:
        """The same as `size_bytes`."""
        return self.size_bytes

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def entry(self, name: str) -> Entry:
        """Return the entry of that name. Raises KeyError."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def to_json(self) -> Json:
        value: Json = {field.name: getattr(self, field.name) for field in fields(self)}
        value["entries"] = [entry.to_json() for entry in self.entries]
        for name in _TIMES:
            value[name] = canonical.time_text(value[name])
        return value

    def to_bytes(self) -> bytes:
        return canonical.to_bytes(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Raises ValueError saying what is wrong."""
        return cls.from_json(canonical.from_bytes(data))

    @classmethod
    def from_json(cls, value: Json) -> Manifest:
        """Raises ValueError saying what is wrong."""
        if value.get("schema") != SCHEMA:
            raise ValueError(f"it has schema {value.get('schema')!r}, and this Holdfast reads schema {SCHEMA}")
        try:
            times = {name: canonical.time_from(value[name]) for name in _TIMES}
            entries = [Entry.from_json(entry) for entry in value["entries"]]
            return cls(**cast("dict[str, Any]", {**value, **times, "entries": entries}))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a field is missing or wrong ({error})") from error


_TIMES = ("snapshot_at", "started_at", "finished_at")
