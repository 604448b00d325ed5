"""The audit log in the catalog: lines are added in one transaction under a lock, so that they are in order and none is missing.

A catalog that is made again begins a chain of its own. What a repository still has of the former ones is taken over as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

import sql
from holdfast.audit.chain import Head, Line, line_after, new_chain
from holdfast.catalog.database import Database
from holdfast.repository import canonical

if TYPE_CHECKING:
    from sqlalchemy import Connection

Json = dict[str, Any]

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class KnownChain:
    """A chain that has lines here; one of them goes on."""

    id: str
    goes_on: bool


class AuditLog:
    """The lines in one catalog. Every method raises DatabaseUnreachableError where that does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = sql.queries("audit_log")

    def add(self, records: Sequence[Json]) -> list[Line]:
        """Add lines for entries, in this order; an entry that has one already gets no second. Return the new lines."""
        with self._database.transaction("writing the audit log") as connection:
            connection.execute(text(self._asked["give_up_soon"]))
            connection.execute(text(self._asked["lock"]))
            known = self._known(connection, [record["id"] for record in records])
            head, added = self._head(connection), []
            for record in records:
                if record["id"] not in known:
                    known.add(record["id"])
                    added.append(line_after(head, record))
                    head = added[-1].head
            self._insert(connection, added)
        return added

    def newest(
        self,
        *,
        since: datetime | None = None,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        limit: int = 100,
        before: tuple[str, str, int] | None = None,
    ) -> list[Line]:
        """List lines, newest first. For the next page give `before` time, chain and sequence of the last one of this one."""
        at, chain, sequence = before or (None, "", 0)
        page = {"before_at": at, "before_chain": chain, "before_sequence": sequence, "limit": limit}
        filters = {"actor": actor, "action": action, "subject": subject}
        filters["since"] = None if since is None else canonical.time_text(since)
        found = self._database.rows("reading the audit log", self._asked["list"], **filters, **page)
        return [Line(*row) for row in found]

    def chains(self) -> list[KnownChain]:
        """Name the chains, the one that goes on last; also one that is only known by its lines."""
        known = [KnownChain(*row) for row in self._database.rows("reading the audit log", self._asked["chains"])]
        strays = self._database.rows("reading the audit log", self._asked["stray_chains"])
        return [*(KnownChain(row[0], False) for row in strays), *known]

    def head(self) -> Head | None:
        """Return the last line of the chain that goes on; None where there is none yet."""
        rows = self._database.rows("reading the audit log", self._asked["head"])
        return _head(rows[0]) if rows else None

    def lines(self, chain: str, after: int = 0) -> Iterator[Line]:
        """Yield the lines of a chain after one of them, in order."""
        while True:
            page = {"chain": chain, "after": after, "limit": _PAGE}
            found = [Line(*row) for row in self._database.rows("reading the audit log", self._asked["lines"], **page)]
            yield from found
            if len(found) < _PAGE:
                return
            after = found[-1].sequence

    def column_fault(self, chain: str) -> int | None:
        """Name the first line whose columns say something else than the line."""
        rows = self._database.rows("reading the audit log", self._asked["columns_that_differ"], chain=chain)
        return rows[0][0] if rows else None

    def adopt(self, chain: str, lines: Iterable[Line]) -> int:
        """Take lines over that follow those which are here of this chain, as they are; return how many."""
        with self._database.transaction("taking over the audit log") as connection:
            connection.execute(text(self._asked["lock"]))
            connection.execute(text(self._asked["adopt"]), {"chain": chain})
            return self._insert(connection, lines)

    def begin_anew(self) -> None:
        """Have the next line begin a new chain."""
        self._database.rows("beginning a chain of the audit log", self._asked["end"])

    @contextmanager
    def mirroring(self) -> Iterator[bool]:
        """Yield whether this process may mirror: no other does inside the block."""
        with self._database.transaction("mirroring the audit log") as connection:
            yield bool(connection.scalar(text(self._asked["lock_mirror"])))

    def mirrored(self, repository_id: str, chain: str) -> tuple[int, int] | None:
        """Tell first and last line of the newest object that a repository was given of a chain."""
        known = {"repository_id": repository_id, "chain": chain}
        rows = self._database.rows("mirroring the audit log", self._asked["mirrored"], **known)
        return (rows[0][0], rows[0][1]) if rows else None

    def note_mirrored(self, repository_id: str, chain: str, first: int, last: int) -> None:
        """Write down which object a repository was given."""
        known = {"repository_id": repository_id, "chain": chain, "first": first, "last": last}
        self._database.rows("mirroring the audit log", self._asked["note_mirrored"], **known)

    def _known(self, connection: Connection, ids: list[str]) -> set[str]:
        return {row[0] for row in connection.execute(text(self._asked["known"]), {"ids": ids})}

    def _head(self, connection: Connection) -> Head:
        row = connection.execute(text(self._asked["head"])).first()
        if row is not None:
            return _head(row)
        chain = new_chain()
        connection.execute(text(self._asked["begin"]), {"chain": chain})
        return Head(chain)

    def _insert(self, connection: Connection, lines: Iterable[Line]) -> int:
        rows = [{"chain": one.chain, "sequence": one.sequence, "digest": one.digest, "line": one.text} for one in lines]
        if rows:
            connection.execute(text(self._asked["add"]), rows)
        return len(rows)


def place_of(line: Line) -> tuple[str, str, int]:
    """Tell where a page ends that ends with this line; one that can't be read stands where nothing is older."""
    try:
        return str(line.content()["at"]), line.chain, line.sequence
    except (KeyError, ValueError):
        return "0001-01-01T00:00:00.000000Z", line.chain, line.sequence


def _head(row: Any) -> Head:
    return Head(row.chain, row.sequence, row.digest) if row.sequence else Head(row.chain)
