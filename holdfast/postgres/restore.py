"""Brings a database backup back: under a new name, in the place of the live database, or into it.

A new database is built under the name of a scratch database and gets its own name last, in one step: whatever happens before
leaves nothing that looks good, and nothing that the next run would not clear away. `promote` compares it with the source's truth
before it takes the live one's name. Only `in_place` writes to what exists, in one transaction (see `in_place.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property, partial
from types import TracebackType
from typing import Self

from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import HoldfastError, NotProvenError, RolesMissingError, SettingsError, TimeLimitError
from holdfast.postgres import preflight
from holdfast.postgres.compare import ProofReport, prove_contents
from holdfast.postgres.connection import DatabaseUrl, connect_to_server, server_version
from holdfast.postgres.contents import BackupContents, TableStream
from holdfast.postgres.globals import RolesMade, create_roles, drop_roles
from holdfast.postgres.in_place import restore_in_transaction
from holdfast.postgres.limit import TimeLimit
from holdfast.postgres.loading import Loader, restoring_tool
from holdfast.postgres.losses import LossReport, find_losses
from holdfast.postgres.new_database import NewDatabase
from holdfast.postgres.restore_report import Mode, Progress, RestoreOptions, RestoreReport
from holdfast.postgres.selection import Selection, select
from holdfast.repository import Entry, Manifest, Repository

__all__ = ["DatabaseRestore", "Mode", "Progress", "RestoreOptions", "RestoreReport"]


class DatabaseRestore:
    """One restore of one backup. `run` does all of it.

    The steps are there for a caller that shows them one by one, inside a `with`, in this order: preflight, create_database,
    restore_globals, restore_schema, then restore_base_data and restore_table for each of `streams` in any order and at once (or
    restore_rows, which does so), then restore_indexes, apply_properties, analyze, prove, finish. Where `in_transaction` is true,
    the steps are preflight and restore_in_place. Leaving the `with` before the last step removes all that was made.
    """

    def __init__(self, repository: Repository, manifest: Manifest, target: DatabaseUrl, options: RestoreOptions) -> None:
        self.target = target
        self.options = options
        self.report = RestoreReport(options.mode, target.database)
        self._contents = BackupContents(repository, manifest, spool_parent=options.spool_dir)
        self._limit = TimeLimit(options.time_limit_seconds, f"the restore of {manifest.id}")
        self._new: NewDatabase | None = None
        self._finished = False
        self._statistics_came = False
        self.on_progress: Progress | None = None  # for a caller of the steps; told as in `run`
        self._counting = threading.Lock()
        self._done_bytes = 0

    # All of it

    def run(self, on_progress: Progress | None = None) -> RestoreReport:
        """Restore. On failure what this run made is removed, and nothing else was touched.

        `on_progress` is told the phase, the bytes done and the bytes in all; it is called from several threads, one at a time.
        """
        self.on_progress = on_progress
        with self:
            if self.in_transaction:
                self._timed("preflight", self.preflight)
                self._timed("restore", self.restore_in_place)
            else:
                self.fill()
                self._timed("finish", self.finish)
        return self.report

    def fill(self) -> RestoreReport:
        """Do all but `finish`: afterwards the database is complete, under its scratch name (see `working`)."""
        self._timed("preflight", self.preflight)
        self._timed("create", self.create_database)
        self._timed("roles", self.restore_globals)
        self._timed("definitions", self.restore_schema)
        self._timed("rows", self.restore_rows)
        self._timed("indexes", self.restore_indexes)
        self._timed("properties", self.apply_properties)
        if self.options.analyze:
            self._timed("analyze", self.analyze)
        if self.options.prove:
            self._timed("prove", self.prove)
        self._count_up()
        return self.report

    # Steps

    def preflight(self) -> None:
        """Refuse what can't end well, before anything is changed.

        Raises DamagedError, TargetTooOldError, TargetNotEmptyError, ExtensionMissingError, SettingsError (no pg_restore that can
        read it), NotFoundError (no such table; nothing to replace).
        """
        contents = self._contents
        preflight.refuse_long_name(self.target)
        preflight.refuse_damaged(contents.repository, contents.manifest)
        with closing(connect_to_server(self.target)) as connection:
            preflight.refuse_older(server_version(connection), contents.source_major, str(contents.truth.server["text"]))
            restoring_tool(contents, self.options.tools)
            preflight.refuse_missing_extensions(connection, self._needed_extensions())
            exists = preflight.database_exists(connection, self.target.database)
            if self.options.mode != "new":
                preflight.require_existing(connection, self.target, self.options.mode)
        if self.options.mode == "new" and exists and not self.in_transaction and not self.options.rehearsal:
            preflight.refuse_not_empty(self.target)

    def losses(self) -> LossReport:
        """Tell what restoring over the live database would lose."""
        if self.report.losses is None:
            self.report.losses = find_losses(self._contents, self.target, lock_timeout_seconds=self.options.lock_timeout_seconds)
        return self.report.losses

    def create_database(self) -> None:
        """Make the database that is filled, under a scratch name. Raises LocaleMissingError."""
        self._new = NewDatabase(self._contents.truth.database, self.target)
        self.report.notes = self._new.notes
        self._new.create(any_locale=self.options.any_locale)

    def restore_globals(self) -> None:
        """Make the roles that are missing. Raises RolesMissingError."""
        if not self.options.owners:
            return
        with closing(connect_to_server(self.target)) as connection:
            self.report.roles = self._make_roles(connection)
        if self.report.roles.without_password:
            names = ", ".join(self.report.roles.without_password)
            self.report.notes.append(f"these roles were made without a password, for the backup holds none: {names}")

    def restore_schema(self) -> None:
        """Make everything that rows need."""
        self._loader.load_definitions(self._counted("definitions"))

    def restore_base_data(self) -> None:
        """Take in the rows of the small tables, sequences and large objects."""
        self._loader.load_base_rows()

    def restore_table(self, entry: Entry) -> int:
        """Take in one large table; return its rows. Raises DamagedError, and then the table stays empty."""
        stream = next(stream for stream in self.streams if stream.entry.name == entry.name)
        return self._loader.load_table(stream, self._counted("rows"))

    def restore_rows(self) -> None:
        """Take in all rows, several tables at once."""
        tasks: list[Callable[[], object]] = [self.restore_base_data]
        tasks += [partial(self.restore_table, stream.entry) for stream in self.streams]
        self._limit.at_once(tasks, self.options.jobs + 1)

    def restore_indexes(self) -> None:
        """Make indexes, constraints, triggers and all else that comes after the rows; then set the statistics that came along."""
        self._loader.load_rest()
        if self.options.analyze or not self.options.rehearsal:
            self._set_statistics()

    def apply_properties(self) -> None:
        """Give the database its owner, grants, comment and settings; a database of single tables has none."""
        if not self._selection:
            self._database.apply_properties(owners=self.options.owners)

    def analyze(self) -> None:
        """Gather the planner's statistics that did not come along, without which the first queries would be slow.

        A failure is told, and no more.
        """
        workers = self.options.jobs
        with ThreadPoolExecutor(workers, "holdfast-analyze") as pool:
            failures = [future.exception() for future in [pool.submit(self._loader.analyze, n, workers) for n in range(workers)]]
        for failure in failures:
            self._limit.check()
            if isinstance(failure, HoldfastError):
                self.report.notes.append(f"the planner's statistics are incomplete: {failure}")
            elif failure is not None:
                raise failure

    def prove(self) -> ProofReport:
        """Compare what was restored with the source's truth.

        Raises NotProvenError where a live database is to be replaced, or only what is proven may have the name.
        """
        self.report.proof = prove_contents(
            self._contents,
            self.working,
            selection=self._selection,
            owners=self.options.owners,
            any_locale=self.options.any_locale,
            tools=self.options.tools,
            limit=self._limit,
        )
        if not self.report.proof.ok and (self.options.mode == "promote" or self.options.only_proven):
            left = "the live database was left as it is" if self.options.mode == "promote" else "it did not get its name"
            raise NotProvenError(
                f"the restored copy is not what the source held, so {left}",
                reason="; ".join(self.report.proof.problems[:5]),
                next_step="Restore with mode new, under another name, to look at the copy",
            )
        return self.report.proof

    def finish(self) -> None:
        """Give the database its name; with `promote` the live one is kept under another."""
        self._limit.check()
        self._tell_what_was_left_out()
        if self.options.mode == "promote":
            self.report.kept = self._database.promote()
        else:
            self._database.take_name(properties=not self._selection)
        self._count_up()
        self._finished = True

    def restore_in_place(self) -> None:
        """Restore into the existing database, all or nothing."""
        self.restore_globals()
        outcome = restore_in_transaction(
            self._contents, self.target, self._limit, self.options, selection=self._selection, on_bytes=self._counted("rows")
        )
        self.report.notes += outcome.notes
        self.report.proof = outcome.proof
        self._tell_what_was_left_out()
        self._count_up()
        self._finished = True

    @property
    def streams(self) -> list[TableStream]:
        """The large tables, which are restored one by one; the largest first."""
        streams = self._contents.streams
        return streams if self._selection is None else [one for one in streams if one.table.key in self._selection.tables]

    @property
    def working(self) -> DatabaseUrl:
        """The database that is being filled, until `finish`."""
        return self._database.url

    @cached_property
    def in_transaction(self) -> bool:
        """Whether all is done inside the existing database: as asked for, or for single tables beside what is there."""
        if self.options.mode == "in_place":
            return True
        if self._selection is None:
            return False
        if self.options.mode == "promote":
            raise SettingsError(
                "single tables can't be promoted",
                reason="promote puts a whole database in the place of another",
                next_step="Restore them with mode new into another database, or with mode in_place",
            )
        with closing(connect_to_server(self.target)) as connection:
            return preflight.database_exists(connection, self.target.database)

    # Parts

    def _set_statistics(self) -> None:
        try:
            refused = self._loader.load_statistics()
        except HoldfastError as error:
            self._limit.check()
            self.report.notes.append(f"the planner's statistics that the backup has were not all set: {error}")
            return
        self._statistics_came = refused is not None
        if refused and not self.options.analyze:  # else they are gathered, and nothing is amiss
            self.report.notes.append(
                f"the planner's statistics of {refused} tables or indexes were refused, or are too large to set"
            )

    def _tell_what_was_left_out(self) -> None:
        if not self.options.prove and self.report.proof is None:
            self.report.notes.append("it was not compared with the source, as it was asked for")
        elif not self.options.prove:
            self.report.notes.append("it was compared with the source all the same, for it went into a database that was there")
        if not self.options.analyze:
            which = " that the backup does not have" if self._statistics_came else ""
            there = self.target.database
            self.report.notes.append(f"the planner's statistics{which} were not gathered: ANALYZE in {there} does that")

    @cached_property
    def _selection(self) -> Selection | None:
        return select(self._contents.archive, self.options.tables) if self.options.tables else None

    @cached_property
    def _loader(self) -> Loader:
        entries = self._selection.entries if self._selection else None
        return Loader(self._contents, self.working, self._limit, self.options, streams=self.streams, entries=entries)

    @property
    def _database(self) -> NewDatabase:
        if self._new is None:
            raise ValueError("create_database comes first")
        return self._new

    def _needed_extensions(self) -> list[str]:
        if self._selection:
            return [entry.name for entry in self._selection.entries if entry.kind == "EXTENSION"]
        return [extension["name"] for extension in self._contents.truth.extensions]

    def _make_roles(self, connection: Connection) -> RolesMade:
        statements, referenced = self._contents.roles, self._contents.needed_roles
        everyone = {name for statement in statements for name in statement.roles}
        if self._selection or self.options.rehearsal:
            return create_roles(connection, statements, referenced, login=not self.options.rehearsal)
        try:
            return create_roles(connection, statements, everyone)
        except RolesMissingError:
            made = create_roles(connection, statements, referenced)
            self.report.notes.append("the source's roles to which the database does not refer were not made: we may not")
            return made

    def _count_up(self) -> None:
        tables = self._contents.truth.tables
        chosen = [table for table in tables if self._selection is None or table.key in self._selection.tables]
        self.report.tables, self.report.rows = len(chosen), sum(table.rows for table in chosen)
        self.report.size_bytes = self._total_bytes

    @property
    def _total_bytes(self) -> int:
        return self._contents.base_size_bytes + sum(stream.entry.size_bytes for stream in self.streams)

    def _counted(self, phase: str) -> Callable[[int], None]:
        def count(size_bytes: int) -> None:
            with self._counting:
                self._done_bytes += size_bytes
                if self.on_progress is not None:
                    self.on_progress(phase, self._done_bytes, self._total_bytes)

        return count

    def _timed(self, phase: str, step: Callable[[], object]) -> None:
        started = time.monotonic()
        self._limit.check()
        step()
        self.report.seconds[phase] = round(time.monotonic() - started, 3)

    # Its end

    def stop(self) -> None:
        """Stop all that is at work now, from another thread; it raises, and leaving the `with` removes what was made."""
        self._limit.stop()

    def close(self) -> None:
        """Remove what is not finished: the scratch database, the roles made for it, and what was spooled."""
        try:
            if self._new is not None:
                self._new.close()
                self._new = None
            if self.report.roles.created and not self._finished:
                with closing(connect_to_server(self.target)) as connection:
                    drop_roles(connection, self.report.roles.created)
        finally:
            self._contents.close()

    def __enter__(self) -> Self:
        self._limit.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._limit.__exit__(kind, error, trace)
        self.close()
        if isinstance(error, Exception) and self._limit.over and not isinstance(error, TimeLimitError):
            raise self._limit.error() from error
