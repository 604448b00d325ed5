"""The sealed objects of one repository in its storage: put and read by name, bound to kind and name.

Everything but repository.json and the key files passes through here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.errors import DamagedError
from holdfast.repository import canonical, names, sealing
from holdfast.repository.canonical import Json
from holdfast.repository.compression import Compression
from holdfast.repository.masterkey import Kind, MasterKey
from holdfast.repository.proven import read_proven
from holdfast.repository.spares import Spares
from holdfast.storage import Storage

_RECORDS = Compression("gzip", 6)  # so that a reader with nothing but zlib can read every record


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SealedObjects:
    """Storage and master key of a repository; no master key where it is not encrypted.

    With `spares`, chunks and manifests that the storage can't give are read from a replica: for reading only, for whoever
    decides what to keep or delete must know the storage as it is.
    """

    storage: Storage
    master: MasterKey | None
    spares: Spares | None = None

    def put_record(self, kind: Kind, name: str, record: Json, *, replace: bool = False) -> None:
        """Store a JSON record. Raises ObjectExistsError without `replace`."""
        self.put(kind, name, canonical.to_bytes(record), replace=replace)

    def put(self, kind: Kind, name: str, plain: bytes, *, replace: bool = False) -> None:
        self.storage.put(name, sealing.seal(kind, name.encode(), plain, _RECORDS, self.master), replace=replace)

    def record_bytes(self, kind: Kind, name: str) -> bytes:
        """Read a record's canonical bytes. Raises ObjectNotFoundError, DamagedError."""
        return self.own(name, lambda stored: self.unsealed(kind, name, stored))

    def record(self, kind: Kind, name: str) -> Json:
        """Read a JSON record. Raises ObjectNotFoundError, DamagedError."""
        return self.own(name, lambda stored: canonical.from_bytes(self.unsealed(kind, name, stored)))

    def manifest(self, name: str, parse: Callable[[bytes], T], prove_own: Callable[[bytes], T] | None = None) -> T:
        """Read a manifest; `parse` raises ValueError saying what is wrong with it. Raises ObjectNotFoundError, DamagedError.

        `prove_own` takes its place for what comes from the storage itself, and is given it sealed.
        """
        return self._read(Kind.MANIFEST, name, lambda stored: parse(self.unsealed(Kind.MANIFEST, name, stored)), prove_own)

    def chunk(self, chunk_id: bytes) -> bytes:
        """Read a chunk's content, proven to be the one of that id. Raises ObjectNotFoundError, DamagedError."""
        return self._read(Kind.CHUNK, names.chunk(chunk_id), lambda stored: self.unsealed_chunk(chunk_id, stored))

    def unsealed(self, kind: Kind, name: str, stored: bytes) -> bytes:
        """Open a record's sealed bytes. Raises ValueError saying what is wrong with them."""
        return sealing.unseal(kind, name.encode(), stored, self.master)

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

    def _read(self, kind: Kind, name: str, prove: Callable[[bytes], T], prove_own: Callable[[bytes], T] | None = None) -> T:
        if self.spares is None:
            return self.own(name, prove_own or prove)
        return self.spares.read(name, lambda: self.own(name, prove_own or prove), prove, sealing.bytes_max(kind))

    def own(self, name: str, prove: Callable[[bytes], T]) -> T:
        """Read from the storage itself; `prove` is given the sealed bytes, and raises ValueError saying what is wrong with them.

        Raises ObjectNotFoundError, DamagedError.
        """
        try:
            return read_proven(self.storage, name, prove)
        except ValueError as error:
            raise DamagedError(f"{name} is damaged", reason=str(error)) from error
