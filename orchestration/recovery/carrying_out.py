"""What the flow `disaster_recovery` does beside its tasks: find the plan, take its turn, keep the record, conclude, tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.errors import BusyError, HoldfastError, RefusedError
from holdfast.process_identity import is_known_dead
from holdfast.recovery.execution import APPROVAL, FINISHED, Execution
from holdfast.recovery.facts import without_secrets
from holdfast.recovery.journal import Journal
from holdfast.recovery.plan_book import PlanBook
from holdfast.recovery.running import begun, plan_of, resumed, to_undo
from holdfast.repository import Repository, canonical
from orchestration import artifacts
from orchestration.job import Job
from orchestration.masking import masked_all
from orchestration.recovery.approval import state_of
from orchestration.recovery.execution import Executing, recorded
from orchestration.recovery.foreseeing import foreseen
from orchestration.recovery.record import Recording, newest
from orchestration.recovery.telling import tell_begun, tell_ended, tell_waiting
from orchestration.recovery.turns import of_plan, of_things

if TYPE_CHECKING:
    from orchestration.recovery.request import Request

Json = dict[str, Any]

LEFT = "left to another"
"""The status of a run that an event started while the plan was being seen to already."""


def carry_out(job: Job, repository: Repository, request: Request) -> Json | Execution:
    """Carry out what was asked for: its document, or the execution as it was set down to wait for a person's approval.

    Raises RecoveryFailedError, ApprovalDeniedError, BusyError, NotFoundError, PlanInvalidError, RefusedError.
    """
    execution = _wanted(job, request)
    if request.only_looks:
        return job.completed(foreseen(_executing(job, repository, execution, kept=False)))
    try:
        with _at_it(job, repository, execution, request.execution) as work:
            _do(work, request)
    except _BeingSeenToError as error:
        if not request.by_event:
            raise
        return _left(job, execution, error)
    return _concluded(work, good=request.mode == "roll_back")


class _BeingSeenToError(BusyError):
    """The plan is being executed already."""


def _do(work: Executing, request: Request) -> None:
    if request.mode == "roll_back":
        work.undo()
        return
    tell_begun(work.job.settings, work.execution)
    if request.answer is not None:
        work.take(request.answer)
    if reasons := work.carry_out():
        work.set_down(reasons)


def _wanted(job: Job, request: Request) -> Execution:
    """Begin an execution, or take one up again. Raises NotFoundError, PlanInvalidError, RefusedError."""
    now, earlier = datetime.now(UTC), request.execution
    if earlier is None:
        return _new(job, request, now)
    if request.mode == "roll_back":
        return _to_roll_back(earlier)
    again = resumed(earlier, now)
    return replace(again, forced=again.forced or request.forced, approved_by=again.approved_by or request.approved_by)


def _new(job: Job, request: Request, now: datetime) -> Execution:
    found = PlanBook(job.settings).find(request.plan_id)
    if found.note:
        job.log.warning("%s", found.note)
    if not found.plan.enabled and request.mode == "run" and not request.forced:
        raise RefusedError(
            f"the plan {found.plan.id} is switched off",
            next_step=f"Switch it on with 'holdfast plans enable {found.plan.id}', or do it all the same with --force",
        )
    execution = begun(
        found.plan,
        job.id,
        trigger=request.trigger,
        mode=request.mode,
        facts=masked_all(without_secrets(request.facts)),
        forced=request.forced,
        at=now,
    )
    known = {"eventId": request.event_id, "eventAt": request.occurred_at and canonical.time_text(request.occurred_at)}
    noted = {name: value for name, value in {**known, "planNote": found.note}.items() if value is not None}
    return replace(execution, approved_by=request.approved_by, metadata=noted)


def _to_roll_back(execution: Execution) -> Execution:
    if not to_undo(plan_of(execution), execution):
        undone = any(one.state == "undone" for one in execution.steps)
        raise RefusedError(
            f"nothing of the execution {execution.id} can be undone",
            reason="it was rolled back already" if undone else "no step of it has changed anything that can be undone",
            next_step="'holdfast recover --list' shows what came of it",
        )
    return replace(execution, status="running", completed_at=None, error=None)


def _executing(job: Job, repository: Repository, execution: Execution, *, kept: bool = True) -> Executing:
    return Executing(job, repository, plan_of(execution), Recording(job, execution, kept=kept))


@contextmanager
def _at_it(job: Job, repository: Repository, execution: Execution, before: Execution | None) -> Iterator[Executing]:
    """Have the turn and keep the record of an execution; how it ended is told when nobody waits for it any more."""
    work = _executing(job, repository, execution)
    ttl_seconds = job.settings.lease_ttl_seconds
    try:
        with of_plan(repository, execution, ttl_seconds) as lease:
            _require_none_waits(job, execution)
            _require_unchanged(job, before)
            work.sign(lease, repository)
            with (
                recorded(work),
                of_things(
                    repository,
                    work.plan,
                    execution,
                    ttl_seconds=ttl_seconds,
                    limit_seconds=job.settings.restore_time_limit_minutes * 60,
                    waits_for=lambda whom: work.recording.note(waiting_for=whom),
                ),
            ):
                yield work
    except BusyError as error:
        if work.recording.is_open:
            raise
        raise _BeingSeenToError(error.message, reason=error.reason, next_step=error.next_step) from error
    except Exception:
        tell_ended(job.settings, work.execution)
        raise
    (tell_waiting if work.execution.waiting_for == APPROVAL else tell_ended)(job.settings, work.execution)


def _require_none_waits(job: Job, execution: Execution) -> None:
    """Raise BusyError where an execution of the same plan waits for a person: two questions about one thing confuse."""
    if execution.mode == "drill":
        return
    known = [*Journal(job.settings.home).all(), *job.mirror.open_executions()]
    for other in known:
        same = other.plan_id == execution.plan_id and other.id != execution.id and other.status == "running"
        if same and other.waiting_for == APPROVAL and _still_waits(other):
            raise BusyError(
                f"the execution {other.id} of the plan {other.plan_id} waits for a person's approval",
                reason=f"since {other.metadata.get('askedAt')}",
                next_step=f"Answer it: holdfast recover --approve {other.id}, or --deny {other.id}",
            )


def _require_unchanged(job: Job, before: Execution | None) -> None:
    """Raise BusyError where another run went on with the execution between its being read and its turn: nothing is done twice."""
    if before is None:
        return
    now = newest(Journal(job.settings.home).read(before.id), job.mirror.find_execution(before.id))
    if now is not None and _done(now) != _done(before):
        raise BusyError(
            f"another run has gone on with the execution {before.id} meanwhile",
            reason=f"it is {now.status} now",
            next_step="'holdfast recover --list' shows what came of it; resume it again where something is left",
        )


def _done(execution: Execution) -> list[tuple[str, bool, bool]]:
    return [(one.id, one.state in FINISHED, one.undo is not None) for one in execution.steps]


def _still_waits(execution: Execution) -> bool:
    if execution.metadata.get("suspended"):
        return state_of(execution.metadata.get("flowRunId")) in ("waits", "goes on")
    return not is_known_dead(execution.metadata)


def _left(job: Job, execution: Execution, error: HoldfastError) -> Json:
    """Leave the plan to the execution that is at it: what the event told of is being seen to."""
    document = execution.document() | {"executionId": None, "status": LEFT, "steps": [], "error": None}
    found = {**document, "note": f"already being seen to: {error.what_and_why}"}
    job.set_down("left", found)
    return found


def _concluded(work: Executing, *, good: bool) -> Json | Execution:
    """Tell Prefect what came of it. Raises RecoveryFailedError where a step failed."""
    job, execution = work.job, work.execution
    document = {**execution.document(), "jobId": job.id}
    _show(job, execution)
    if execution.waiting_for == APPROVAL:
        job.set_down("waiting", document)
        return execution
    if execution.mode == "drill" and execution.status == "success":
        _note_tested(job, execution)
    if good or execution.status == "success":
        return job.completed(document)
    raise job.failure(work.failed(), document)


def _note_tested(job: Job, execution: Execution) -> None:
    try:
        PlanBook(job.settings).note_tested(execution.plan_id, execution.completed_at or datetime.now(UTC))
    except HoldfastError as error:
        job.log.warning("that %s was tested could not be noted: %s", execution.plan_id, error)


def _show(job: Job, execution: Execution) -> None:
    """Leave the steps and a summary in Prefect's UI."""
    rows = [
        {
            "step": one.name,
            "type": one.type,
            "outcome": one.state,
            "attempts": one.attempts,
            "what": one.error or one.summary or "",
        }
        for one in execution.steps
    ]
    artifacts.table("recovery-steps", f"The steps of {execution.id}", rows)
    took = None if execution.duration_ms is None else figures.duration(execution.duration_ms / 1000)
    facts = {
        "Plan": f"{execution.plan.get('name')} ({execution.plan_id})",
        "Started by": execution.trigger,
        "Mode": execution.mode,
        "Status": execution.status if execution.waiting_for is None else f"waits for {execution.waiting_for}",
        "Took": took,
        "Estimated": _seconds(execution.metadata.get("estimatedSeconds")),
        "From the event to the first step": _seconds(execution.metadata.get("eventToFirstStepSeconds")),
        "Approved by": execution.approved_by,
        "Why": execution.error,
    }
    notes = [f"{one.name}: {note}" for one in execution.steps for note in one.notes]
    artifacts.summary("recovery-summary", f"{execution.mode.capitalize()} {job.id}", facts, notes)


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else figures.duration(seconds)
