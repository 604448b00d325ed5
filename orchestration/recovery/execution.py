"""An execution as a run of the flow carries it out: in its turn, recorded, step by step; or set down, to wait for a person.

Whatever ends it, the record is closed before the leases are given back, so that nobody takes it for at work when it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from holdfast.audit import Actor, AuditBook, Entry
from holdfast.audit.entry import this_host
from holdfast.errors import ApprovalDeniedError, HoldfastError, RecoveryFailedError
from holdfast.process_identity import this_process
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.execution import APPROVAL, Execution
from holdfast.recovery.ordering import verdicts_before, with_left_out
from holdfast.recovery.running import (
    asked_about,
    changes_ahead,
    ended,
    how_to_go_on,
    is_outdated,
    may_begin,
    reasons_to_ask,
    rolled_back,
    step_begun,
    step_done,
    step_failed,
    step_undone,
    to_undo,
    what_is_left,
)
from holdfast.recovery.stakes import find_stakes
from holdfast.recovery.step_type import Outcome, Work
from holdfast.recovery.steps import type_of
from holdfast.repository import Lease, Repository, canonical
from orchestration.job import Job, outcome
from orchestration.masking import masked, masked_all
from orchestration.recovery.approval import STAKES, Answer, may_come_back
from orchestration.recovery.record import Recording
from orchestration.recovery.steps import Ended, StepsAtWork, said
from orchestration.recovery.world import LiveWorld

if TYPE_CHECKING:
    from holdfast.recovery.plan import Plan, Step
    from holdfast.recovery.world import World

Json = dict[str, Any]

STAKES_MINUTES = 10
"""How long finding out what would be lost may take."""


class Executing:
    """An execution at work, in its turn."""

    def __init__(self, job: Job, repository: Repository, plan: Plan, recording: Recording) -> None:
        self.job = job
        self.plan = plan
        self.recording = recording
        self.world: World = LiveWorld(job.settings, repository, lambda: asked_at(self.execution))
        self._lease: Lease | None = None

    @property
    def execution(self) -> Execution:
        return self.recording.execution

    def sign(self, lease: Lease, repository: Repository) -> None:
        """Say which process, run and lease are at it, by which others tell whether it lives."""
        self._lease = lease
        known = {"flowRunId": flow_run.id, "leaseId": lease.id, "repositoryId": repository.id, "leasedIn": repository.location}
        self.recording.execution = replace(
            self.execution, waiting_for=None, metadata={**self.execution.metadata, **this_process(), **known}
        )

    def take(self, answer: Answer) -> None:
        """Take a person's answer. Raises ApprovalDeniedError."""
        comment = {"approvalComment": masked(answer.comment)} if answer.comment else {}
        by = masked(answer.by)
        self._record(answer, by)
        if answer.approve:
            self.recording.change(
                lambda one: replace(one, approved_by=by, metadata={**one.metadata, **comment, "approvedAt": _now_text()})
            )
            return
        self.recording.note(waiting_for=None, **comment, deniedBy=by)
        reason = f"{by} said no" + (f": {masked(answer.comment)}" if answer.comment else "")
        raise ApprovalDeniedError(
            f"the execution {self.execution.id} was not approved",
            reason=reason,
            next_step="Nothing live was changed. 'holdfast recover' begins another one",
        )

    def _record(self, answer: Answer, by: str) -> None:
        """Have the answer in the audit log as the execution took it, whichever way it came: in Prefect's UI nobody else tells."""
        action = "recovery.approve" if answer.approve else "recovery.deny"
        who = Actor("user", by or "at Prefect")
        entry = Entry(action, who, this_host(), "done", self.execution.id, details={"plan": self.plan.id, "taken": True})
        AuditBook(self.job.settings).write(entry)

    def carry_out(self, *, only_assess: bool = False) -> list[str]:
        """Do what can be done; return why a person has to agree to the rest, or nothing where all has come to its end."""
        at_work = StepsAtWork()
        try:
            while True:
                execution = self.recording.change(partial(with_left_out, self.plan))
                reasons = reasons_to_ask(self.plan, execution)
                for step in may_begin(self.plan, execution, at_work.steps):
                    kind = type_of(step)
                    if kind.assesses or not (only_assess or (reasons and kind.changes)):
                        self._require_turn()
                        at_work.begin(step, partial(self._attempt, at_work, step))
                if not at_work.steps:
                    return reasons
                self._note_end(at_work.next_ended())
        except BaseException:
            at_work.stop()
            raise

    def undo(self) -> None:
        """Undo what can be undone, the last step first. Raises RecoveryFailedError at the first that can't be."""
        for step in to_undo(self.plan, self.execution):
            at_work = StepsAtWork()
            at_work.begin(_once(step), partial(self._undone, at_work, step), name=f"Undo {step.name}")
            found = at_work.next_ended()
            if found.error is not None:
                raise self._not_undone(step, found.error)

    def set_down(self, reasons: list[str]) -> Execution:
        """Leave the rest until a person has agreed, and say what is at stake."""
        self.job.log.info("a person has to agree before anything live is changed: %s", "; ".join(reasons))
        ahead = changes_ahead(self.plan, self.execution)
        deadline = Deadline(STAKES_MINUTES * 60, "the look at what would be lost")
        stakes = find_stakes(reasons, ahead, lambda step: self.work(step, deadline))
        asked = int(self.execution.metadata.get("asked", 0)) + 1
        noted = {STAKES: masked_all(stakes.document()), "asked": asked, "askedAt": _now_text(), "suspended": may_come_back()}
        self.recording.change(lambda one: asked_about(one, **noted))
        return self.execution

    def failed(self) -> RecoveryFailedError:
        """Make the error for an execution whose steps did not all end well."""
        bad = next(one for one in self.execution.steps if one.state == "failed")
        return self._failure(f"{bad.name} failed", bad.error)

    def work(self, step: Step, deadline: Deadline) -> Work:
        """Tell a step all that it may know."""
        execution = self.execution
        return Work(
            execution_id=execution.id,
            plan=self.plan,
            step=step,
            world=self.world,
            deadline=deadline,
            mode="drill" if execution.mode == "drill" else "run",
            trigger=execution.trigger,
            facts=execution.facts,
            forced=execution.forced,
            verdicts=verdicts_before(self.plan, execution, step),
            outdated=is_outdated(self.plan, execution, step, datetime.now(UTC)),
            begun_at=execution.step(step.id).started_at,
            agreed_at=agreed_at(execution),
            outcomes={one.id: one.output for one in execution.steps if one.state in ("done", "not needed")},
            log=get_run_logger(),
        )

    def _attempt(self, at_work: StepsAtWork, step: Step) -> Outcome:
        kind, now = type_of(step), datetime.now(UTC)
        self._note_first_step(now)
        self.recording.step(step.id, lambda record: step_begun(record, now))
        try:
            return kind.run(self.work(step, at_work.deadline(step)), kind.read(step))
        except Exception as error:
            at_work.rest(step)
            text = said(error)
            self.recording.step(step.id, lambda record: replace(record, error=text))
            raise

    def _undone(self, at_work: StepsAtWork, step: Step) -> Outcome:
        kind, undo = type_of(step), self.execution.step(step.id).undo or {}
        done = kind.undo(self.work(step, at_work.deadline(step)), kind.read(step), undo)
        if done is None:
            done = Outcome("there was nothing to undo")
        self.recording.step(step.id, lambda record: step_undone(record, _masked(done), datetime.now(UTC)))
        return done

    def _note_end(self, found: Ended) -> None:
        step, now = found.step, datetime.now(UTC)
        if found.outcome is not None:
            done = _masked(found.outcome)
            self.recording.step(step.id, lambda record: step_done(record, done, now))
            self.job.log.info("%s: %s", step.name, done.summary)
            return
        _raise_signal(found.error)
        text = said(found.error) if found.error is not None else "it ended without an outcome"
        self.recording.step(step.id, lambda record: step_failed(record, text, now))
        self.job.log.error("%s failed: %s", step.name, text)

    def _require_turn(self) -> None:
        """Raise LeaseLostError where this machine slept for so long that another may be at the same work by now."""
        if self._lease is not None:
            self._lease.check_locally()

    def _note_first_step(self, at: datetime) -> None:
        known = self.execution.metadata
        if "firstStepAt" in known:
            return
        noted: Json = {"firstStepAt": canonical.time_text(at)}
        if known.get("eventAt"):
            since = canonical.time_from(known["eventAt"])
            noted["eventToFirstStepSeconds"] = round((at - since).total_seconds(), 3)
        self.recording.note(waiting_for=None, **noted)

    def _not_undone(self, step: Step, error: BaseException) -> RecoveryFailedError:
        _raise_signal(error)
        text = said(error)
        self.recording.step(step.id, lambda record: replace(record, error=f"it could not be undone: {text}"))
        return self._failure(f"{step.name} could not be undone", text)

    def _failure(self, what: str, reason: str | None) -> RecoveryFailedError:
        return RecoveryFailedError(
            f"the plan {self.plan.id} was not carried out to its end: {what}",
            reason=f"{reason or 'no reason was given'} ({what_is_left(self.execution)})",
            next_step=how_to_go_on(self.execution),
        )


@contextmanager
def recorded(work: Executing) -> Iterator[None]:
    """Keep the record of an execution, and end it with whatever ends the block; one that is set down stays open."""
    work.recording.open()
    try:
        yield
    except BaseException as error:
        reason = why(error)
        work.recording.close(lambda one, at: ended(one, at, reason))
        raise
    if work.execution.waiting_for != APPROVAL:
        close = rolled_back if any(one.state == "undone" for one in work.execution.steps) else ended
        work.recording.close(close)


def agreed_at(execution: Execution) -> datetime | None:
    """Tell of when the backup is that a person was shown, and has agreed to go back to."""
    shown = execution.metadata.get(STAKES, {}).get("backupAt")
    return datetime.fromisoformat(shown) if shown and execution.approved_by is not None else None


def asked_at(execution: Execution) -> datetime | None:
    """Tell when a person was asked who has agreed."""
    asked = execution.metadata.get("askedAt")
    return canonical.time_from(asked) if asked and execution.approved_by is not None else None


def why(error: BaseException) -> str:
    """Say why an execution ended before its time."""
    if isinstance(error, HoldfastError):
        return masked(error.what_and_why)
    return outcome(error)[1]


def _once(step: Step) -> Step:
    """Return the step as it is undone: once, for half an undoing is no state to begin another from."""
    return step.model_copy(update={"retry_count": 0})


def _raise_signal(error: BaseException | None) -> None:
    """Let what is no failure of a step, but tells the whole run to end, end it."""
    if error is not None and not isinstance(error, Exception):
        raise error


def _masked(done: Outcome) -> Outcome:
    """Take out of an outcome what is known to be secret: the last net, for no type says any."""
    return replace(
        done, summary=masked(done.summary), notes=tuple(masked(one) for one in done.notes), output=masked_all(done.output)
    )


def _now_text() -> str:
    return canonical.time_text(datetime.now(UTC))
