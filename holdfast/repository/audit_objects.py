"""The audit log's mirror in a repository: runs of its lines, written once, never replaced and never deleted by Holdfast.

Two objects of a chain may hold the same lines, for two hosts may have mirrored at once; then they must say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.errors import DamagedError, ObjectExistsError, ObjectNotFoundError
from holdfast.repository import names
from holdfast.repository.canonical import Json
from holdfast.repository.immutability import Term, lock_objects
from holdfast.repository.masterkey import Kind
from holdfast.repository.sealed import SealedObjects

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class MirroredLines:
    """Lines first to last of a chain, as one object holds them; `damaged` says why they can't be read."""

    name: str
    first: int
    last: int
    lines: Sequence[Json]
    damaged: str | None = None


class AuditObjects:
    """The lines that one repository was given."""

    def __init__(self, sealed: SealedObjects) -> None:
        self._sealed = sealed

    def put(self, chain: str, first: int, lines: Sequence[Json]) -> int:
        """Keep lines, durably, and locked where the storage locks; return the last one's place."""
        storage, last = self._sealed.storage, first + len(lines) - 1
        name = names.audit(chain, first, last)
        try:
            self._sealed.put_record(Kind.AUDIT, name, {"schema": _SCHEMA, "chain": chain, "first": first, "lines": list(lines)})
        except ObjectExistsError:  # whoever put it died before it could say so
            if self._read(name, chain, first, last).lines != list(lines):
                raise DamagedError(
                    f"{name} holds other lines than the audit log has",
                    next_step="'holdfast audit verify' says which lines differ",
                ) from None
        storage.sync()
        if storage.immutable_days:
            lock_objects(storage, [name], Term.of(storage, storage.clock()).backup)
        return last

    def holds(self, chain: str, first: int, last: int) -> bool:
        """Tell whether there is an object of just these lines."""
        return self._sealed.storage.head(names.audit(chain, first, last)) is not None

    def spans(self) -> dict[str, list[tuple[int, int]]]:
        """List first and last line of each object, in order, by chain; nothing is read but names."""
        found: dict[str, list[tuple[int, int]]] = {}
        for info in self._sealed.storage.list(names.AUDIT):
            parts = names.audit_parts(info.name)
            if parts is not None:
                found.setdefault(parts[0], []).append(parts[1:])
        return {chain: sorted(spans) for chain, spans in sorted(found.items())}

    def read(self, chain: str, spans: Sequence[tuple[int, int]]) -> Iterator[MirroredLines]:
        """Read these objects of a chain, in this order; one that is damaged is listed as such."""
        for first, last in spans:
            yield self._read(names.audit(chain, first, last), chain, first, last)

    def _read(self, name: str, chain: str, first: int, last: int) -> MirroredLines:
        try:
            record = self._sealed.record(Kind.AUDIT, name)
        except ObjectNotFoundError:
            return MirroredLines(name, first, last, (), "it is missing")
        except DamagedError as error:
            return MirroredLines(name, first, last, (), error.reason or "it can't be read")
        lines = record.get("lines")
        if (record.get("schema"), record.get("chain"), record.get("first")) != (_SCHEMA, chain, first):
            return MirroredLines(name, first, last, (), "it says that it is of another chain or place, or of a newer Holdfast")
        if not isinstance(lines, list) or len(lines) != last - first + 1 or not all(isinstance(one, dict) for one in lines):
            return MirroredLines(name, first, last, (), "it holds other lines than its name says")
        return MirroredLines(name, first, last, lines)
