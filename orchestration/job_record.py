"""A job in the audit log: that it began and how it ended, and who was behind it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from holdfast.audit import Actor, AuditBook, Entry, Outcome
from holdfast.audit.entry import code_of, outcome_of, this_host
from orchestration.acting import actor_of_this_run

if TYPE_CHECKING:
    from holdfast.audit.entry import Value
    from holdfast.settings import Settings

_OUTCOMES: dict[str, Outcome] = {"completed": "done", "cancelled": "cancelled"}


class JobEntries:
    """The entries of one job. `backup_id` is what it works on, where it is told."""

    def __init__(self, settings: Settings, kind: str, type: str, job_id: str, backup_id: str | None = None) -> None:  # noqa: A002
        self._book = AuditBook(settings)
        self._kind = kind
        self._job_id = job_id
        details: dict[str, Value] = {"type": type, "backupId": backup_id}
        self._actor_given: Actor | None = None
        self._details = {name: value for name, value in details.items() if value is not None}

    @classmethod
    def of_dead_work(cls, settings: Settings, kind: str, type: str, job_id: str) -> JobEntries:  # noqa: A002
        """Make those of a job whose process died: what is told of it Holdfast tells by itself."""
        made = cls(settings, kind, type, job_id)
        made._actor_given = Actor("system", "holdfast")
        return made

    def started(self) -> None:
        self._write("start", "accepted")

    def ended(self, status: str, error: BaseException | None = None) -> None:
        outcome = _OUTCOMES.get(status) or ("refused" if outcome_of(error) == "refused" else "failed")
        self._write("end", outcome, error)

    @cached_property
    def _actor(self) -> Actor:
        return self._actor_given or actor_of_this_run()

    def _write(self, verb: str, outcome: Outcome, error: BaseException | None = None) -> None:
        entry = Entry(f"{self._kind}.{verb}", self._actor, this_host(), outcome, self._job_id, code_of(error), self._details)
        self._book.write(entry)
