"""The database that a restore builds: made under a scratch name, given its final name last, in one step."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any

from holdfast.errors import LocaleMissingError, RefusedError, TargetNotEmptyError
from holdfast.postgres import preflight
from holdfast.postgres.connection import DatabaseUrl, connect_to_server, server_version
from holdfast.postgres.promote import connect_beside, promote, swap
from holdfast.postgres.properties import apply_properties, create_clauses, finishing_statements, other_locales
from holdfast.postgres.scratch import Scratch, drop_abandoned, drop_database, new_name


class NewDatabase:
    """One database under way to `target`; until `finish` its address is `url`, and `close` removes it.

    `facts` are what its source is (see `facts.py`); what could not be done as there is told in `notes`.
    """

    def __init__(self, facts: dict[str, Any], target: DatabaseUrl) -> None:
        self.target = target
        self.notes: list[str] = []
        self._facts = facts
        for name in drop_abandoned(target):
            self.notes.append(f"dropped {name}, which a restore that died had left behind")
        self._scratch = Scratch(target)

    @property
    def url(self) -> DatabaseUrl:
        """Where it is being built."""
        return self._scratch.url

    def create(self, *, any_locale: bool) -> None:
        """Create it with the source's encoding and locale. Raises LocaleMissingError."""
        major = server_version(self._scratch.connection).major
        facts = self._facts
        try:
            self._scratch.create(create_clauses(facts, major))
            return
        except LocaleMissingError:
            if not any_locale:
                raise
        for name, clauses in other_locales(facts, major):
            with suppress(LocaleMissingError):
                self._scratch.create(clauses)
                self.notes.append(
                    f"the server lacks the source's locale {facts['locale'] or facts['collate']}; {name} stands in for it"
                )
                return
        raise LocaleMissingError("the target server has no locale for the source's encoding", reason=str(facts["encoding"]))

    def apply_properties(self, *, owners: bool) -> None:
        """Give it the source's owner, grants, comment and settings."""
        with closing(connect_to_server(self.target)) as connection:
            self.notes += apply_properties(connection, self.url.database, self._facts, owners=owners)

    def take_name(self, *, properties: bool) -> None:
        """Rename it to its target; an empty database of that name makes way and is dropped. Raises TargetNotEmptyError."""
        name = self.target.database
        then = self._last_statements(properties=properties)
        with closing(connect_beside(self.target, {name})) as connection:
            if preflight.database_exists(connection, name):
                preflight.refuse_not_empty(self.target)
                empty = new_name()
                swap(connection, self.target, [(name, empty), (self.url.database, name)], then=then, end_sessions=False)
                drop_database(connection, self.target.with_database(empty))
            else:
                try:
                    swap(connection, self.target, [(self.url.database, name)], then=then, end_sessions=False)
                except RefusedError as error:
                    raise TargetNotEmptyError(f"a database {name!r} was made meanwhile", next_step="Name another one") from error
        self._scratch.keep()

    def promote(self) -> str:
        """Put it in the place of the target; return the name under which that is kept."""
        kept = promote(self.target, self.url, then=self._last_statements(properties=True))
        self._scratch.keep()
        return kept

    def close(self) -> None:
        """Drop it unless it is finished."""
        try:
            self._scratch.drop()
        finally:
            self._scratch.close()

    def _last_statements(self, *, properties: bool) -> list[str]:
        return finishing_statements(self.target.database, self._facts) if properties else []
