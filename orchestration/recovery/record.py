"""The record of an execution on its way: in the journal first, then in the catalog, at every change of a step.

Neither stops an execution: what the catalog did not take is written when it answers again, and a journal that can't be written is
told once.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast.catalog.mirror import Mirror
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.opening import open_catalog
from holdfast.recovery.execution import Execution, StepRecord
from holdfast.recovery.journal import Journal
from holdfast.recovery.running import ended
from holdfast.settings import load_settings
from orchestration.watchers import Watchers

if TYPE_CHECKING:
    from orchestration.job import Job  # brings Prefect with it, which nobody needs to look executions up

Json = dict[str, Any]
Watcher = Callable[[StepRecord], None]

REVISION = "revision"
"""How often a record was written: of two that differ the higher one is newer."""

_log = logging.getLogger(__name__)
_watchers: Watchers[StepRecord] = Watchers()


def watched_by(watcher: Watcher) -> contextlib.AbstractContextManager[None]:
    """Have every change of a step in this process told to `watcher`, from any thread."""
    return _watchers.joined_by(watcher)


class Recording:
    """One execution, and the only way to change it. Safe to use from several threads. Not `kept`, it is written down nowhere."""

    def __init__(self, job: Job, execution: Execution, *, kept: bool = True) -> None:
        self._mirror = job.mirror
        self._log = job.log
        self._journal = Journal(job.settings.home)
        self._lock = threading.RLock()
        self._told = False
        self._kept = kept
        self.is_open = False
        self.execution = execution

    def open(self) -> None:
        """Begin to write it down."""
        with self._lock:
            self._keep(self.execution, self._mirror.open_execution)
            self.is_open = True

    def change(self, changed: Callable[[Execution], Execution]) -> Execution:
        """Change the execution, and write it down where that changed anything."""
        with self._lock:
            before = self.execution
            after = changed(before)
            if after is not before and after != before:
                self._keep(after, self._mirror.note_execution)
            for record in (one for one in self.execution.steps if one not in before.steps):
                _watchers.tell(record)
            return self.execution

    def step(self, step_id: str, changed: Callable[[StepRecord], StepRecord]) -> StepRecord:
        """Change the record of a step."""
        after = self.change(lambda execution: execution.with_step(changed(execution.step(step_id))))
        return after.step(step_id)

    def note(self, *, waiting_for: str | None, **metadata: Any) -> None:
        """Say what it waits for, and add to its metadata; names are camelCase."""
        self.change(lambda one: replace(one, waiting_for=waiting_for, metadata={**one.metadata, **metadata}))

    def close(self, ended: Callable[[Execution, datetime], Execution]) -> Execution:
        """End it."""
        with self._lock:
            before = self.execution
            self._keep(ended(before, datetime.now(UTC)), self._mirror.close_execution)
            for record in (one for one in self.execution.steps if one not in before.steps):
                _watchers.tell(record)
            self._journal.forget_old()
            return self.execution

    def _keep(self, execution: Execution, mirrored: Callable[[Execution], object]) -> None:
        revision = int(execution.metadata.get(REVISION, 0)) + 1
        self.execution = replace(execution, metadata={**execution.metadata, REVISION: revision})
        if not self._kept:
            return
        try:
            self._journal.write(self.execution)
        except HoldfastError as error:
            if not self._told:
                self._log.warning("%s. It goes on; were the catalog lost too, it could not be resumed", error)
            self._told = True
        mirrored(self.execution)


def find_execution(execution_id: str) -> Execution:
    """Find an execution by its id: in this home, or in the catalog where that answers. Raises NotFoundError."""
    with _places() as (journal, mirror):
        found = newest(journal.read(execution_id), mirror.find_execution(execution_id))
    if found is None:
        raise NotFoundError(f"there is no execution {execution_id}", next_step="'holdfast recover --list' shows them")
    return found


def execution_of_flow_run(flow_run_id: str) -> Execution | None:
    """Find the newest execution of a flow run in the same places."""
    with _places() as (journal, mirror):
        return newest(journal.of_flow_run(flow_run_id), mirror.execution_of_flow_run(flow_run_id))


def executions(limit: int) -> list[Execution]:
    """List executions, the newest first, from the same places."""
    with _places() as (journal, mirror):
        found = {one.id: one for one in mirror.executions(limit)}
        for one in journal.all():
            found[one.id] = newest(one, found.get(one.id)) or one
    return sorted(found.values(), key=lambda one: one.started_at, reverse=True)[:limit]


def close_unanswered(execution: Execution) -> Execution:
    """End an execution that nobody was there to approve; it can be resumed."""
    with _places() as (journal, mirror):
        closed = ended(execution, datetime.now(UTC), "nobody was there to approve it")
        write_end(closed, journal, mirror)
    return closed


def write_end(execution: Execution, journal: Journal, mirror: Mirror) -> None:
    """Write down how an execution ended that is at work nowhere."""
    metadata = {**execution.metadata, REVISION: int(execution.metadata.get(REVISION, 0)) + 1}
    closed = replace(execution, metadata=metadata)
    try:
        journal.write(closed)
    except HoldfastError as error:
        _log.warning("%s", error)
    mirror.close_execution(closed)


def newest(*found: Execution | None) -> Execution | None:
    """Return the record that was written last."""
    there = [one for one in found if one is not None]
    return max(there, key=lambda one: int(one.metadata.get(REVISION, 0)), default=None)


@contextlib.contextmanager
def _places() -> Iterator[tuple[Journal, Mirror]]:
    settings = load_settings()
    with contextlib.closing(Mirror(lambda: open_catalog(settings))) as mirror:
        yield Journal(settings.home), mirror
