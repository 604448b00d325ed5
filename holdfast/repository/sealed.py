"""The sealed objects of one repository in its storage: put and read by name, bound to kind and name.

Everything but repository.json and the key files passes through here.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import DamagedError
from holdfast.repository import canonical, names, sealing
from holdfast.repository.canonical import Json
from holdfast.repository.compression import Compression
from holdfast.repository.masterkey import Kind, MasterKey
from holdfast.storage import Storage

_RECORDS = Compression("gzip", 6)  # so that a reader with nothing but zlib can read every record


@dataclass(frozen=True, slots=True)
class SealedObjects:
    """Storage and master key of a repository; no master key where it is not encrypted."""

    storage: Storage
    master: MasterKey | None

    def put_record(self, kind: Kind, name: str, record: Json, *, replace: bool = False) -> None:
        """Store a JSON record. Raises ObjectExistsError without `replace`."""
        self.put(kind, name, canonical.to_bytes(record), replace=replace)

    def put(self, kind: Kind, name: str, plain: bytes, *, replace: bool = False) -> None:
        self.storage.put(name, sealing.seal(kind, name.encode(), plain, _RECORDS, self.master), replace=replace)

    def record_bytes(self, kind: Kind, name: str) -> bytes:
        """Read a record's canonical bytes. Raises ObjectNotFoundError, DamagedError."""
        try:
            return sealing.unseal(kind, name.encode(), self.storage.get(name), self.master)
        except ValueError as error:
            raise DamagedError(f"{name} is damaged", reason=str(error)) from error

    def record(self, kind: Kind, name: str) -> Json:
        """Read a JSON record. Raises ObjectNotFoundError, DamagedError."""
        try:
            return canonical.from_bytes(self.record_bytes(kind, name))
        except ValueError as error:
            raise DamagedError(f"{name} is damaged", reason=str(error)) from error

    def chunk(self, chunk_id: bytes) -> bytes:
        """Read a chunk's content, proven to be the one of that id. Raises ObjectNotFoundError, DamagedError."""
        name = names.chunk(chunk_id)
        try:
            return self.unsealed_chunk(chunk_id, self.storage.get(name))
        except ValueError as error:
            raise DamagedError(f"{name} is damaged", reason=str(error)) from error

    def unsealed_chunk(self, chunk_id: bytes, sealed: bytes) -> bytes:
        """Open a chunk's sealed bytes. Raises ValueError saying what is wrong with them."""
        plain = sealing.unseal(Kind.CHUNK, chunk_id, sealed, self.master)
        if self.chunk_id(plain) != chunk_id:
            raise ValueError("its content is not the one that its id stands for")
        return plain

    def chunk_id(self, plain: bytes | memoryview) -> bytes:
        return sealing.plain_chunk_id(plain) if self.master is None else self.master.chunk_id(plain)

    @property
    def chunker_seed(self) -> int:
        """Where streams are cut depends on this, so that lengths of chunks tell nothing without the key."""
        return 0 if self.master is None else self.master.chunker_seed
