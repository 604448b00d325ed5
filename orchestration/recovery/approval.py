"""The approval of a person, before anything live is changed: asked in the Prefect UI, on the command line, or by Prefect's API.

A deployment's run suspends: its process ends, it holds no lease and no slot, and Prefect starts it again with the answer. Any
other run asks whoever sits at its terminal, where there is one. Nothing is held while a person thinks.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout, NotPausedError, ObjectNotFound
from prefect.flow_runs import resume_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from blocks.server import asked
from holdfast.errors import ApprovalNeededError, NotFoundError, RefusedError
from holdfast.recovery.execution import APPROVAL, Execution
from holdfast.recovery.stakes import stakes_text
from holdfast.settings import load_settings

Json = dict[str, Any]

STAKES = "stakes"
"""The key of an execution's metadata that says what a person is asked about."""

_log = logging.getLogger(__name__)


class Approval(RunInput):
    """What a person says to an execution that waits for approval."""

    approve: bool = Field(description="Yes: go on, and change what is live. No: end it; nothing is changed.")
    by: str = Field("", description="Who you are: it is kept with the execution.", max_length=200)
    comment: str = Field("", description="Anything to keep with it.", max_length=2000)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said."""

    approve: bool
    by: str
    comment: str = ""


Asker = Callable[[Execution], Answer | None]
_askers: list[Asker] = []


@contextlib.contextmanager
def asked_by(asker: Asker) -> Iterator[None]:
    """Have whoever sits at this process's terminal asked by `asker`; None from it: nobody answers."""
    _askers.append(asker)
    try:
        yield
    finally:
        _askers.remove(asker)


def may_come_back() -> bool:
    """Tell whether the run in this context can be suspended, or be tried again: only a deployment's run Prefect starts again."""
    return deployment.id is not None


def answer_for(execution: Execution) -> Answer:
    """Get a person's answer for an execution that waits for it; a deployment's run ends here, and comes back with it.

    Raises ApprovalNeededError where there is nobody to ask.
    """
    if may_come_back():
        return _suspended(execution, load_settings().approval_hours)
    answer = _askers[-1](execution) if _askers else None
    if answer is None:
        raise needed(execution)
    return answer


def needed(execution: Execution) -> ApprovalNeededError:
    """Make the error for an execution that nobody agreed to; it can still be resumed."""
    error = ApprovalNeededError(
        f"The execution {execution.id} of the plan {execution.plan_id} needs a person's approval",
        reason="; ".join(execution.metadata[STAKES]["reasons"]),
        next_step=f"Nothing live was changed. Go on with: holdfast recover --resume {execution.id} --yes",
    )
    error.found = execution.document()
    return error


def question(execution: Execution) -> list[str]:
    """Say line by line what a person is asked about."""
    return list(stakes_text(execution.metadata[STAKES]))


def give(execution: Execution, answer: Answer) -> None:
    """Answer for a run that is suspended; it goes on as soon as a worker takes it.

    Raises RefusedError where it does not wait any more, NotFoundError where Prefect does not know it, PrefectUnreachableError.
    """
    flow_run_id = execution.metadata.get("flowRunId")
    if execution.status != "running" or execution.waiting_for != APPROVAL or not flow_run_id:
        raise RefusedError(
            f"the execution {execution.id} does not wait for an approval",
            reason=f"its status is {execution.status}"
            + (f", waiting for {execution.waiting_for}" if execution.waiting_for else ""),
            next_step="'holdfast recover --list' shows which do",
        )
    with asked("the execution waits there"):
        _give(execution, UUID(flow_run_id), {"approve": answer.approve, "by": answer.by, "comment": answer.comment})


def state_of(flow_run_id: object) -> str | None:
    """Tell what has become of the suspended run: `waits`, `goes on`, or `ended`; None where Prefect can't say."""
    if not isinstance(flow_run_id, str):
        return None
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run_id)).state
    except ObjectNotFound:
        return None
    except Exception as error:  # noqa: BLE001  whatever Prefect's client raises; the next run looks again
        _log.warning("Prefect could not be asked about flow run %s: %s", flow_run_id, error)
        return None
    if state is None:
        return None
    return "waits" if state.is_paused() else "ended" if state.is_final() else "goes on"


def _suspended(execution: Execution, hours: float) -> Answer:
    """Suspend the run; come back, return what the person said. Raises Prefect's Pause, which ends the process and no more."""
    page = "\n\n".join([f"**{execution.plan['name']}** wants to change what is live.", *question(execution)])
    asked_for = Approval.with_initial_data(description=page)
    said = suspend_flow_run(wait_for_input=asked_for, timeout=round(hours * 3600), key=_key(execution))
    return Answer(said.approve, said.by or "somebody in the Prefect UI", said.comment)


def _key(execution: Execution) -> str:
    """Name the question: asked again it is another, and so it is where the run has lost its record and begun a new execution."""
    return re.sub("[^a-z0-9]+", "-", f"approval-{execution.metadata.get('asked', 0)}-of-{execution.id.lower()}")


def _give(execution: Execution, flow_run_id: UUID, said: Json) -> None:
    try:
        resume_flow_run(flow_run_id, run_input=said)
    except (NotPausedError, FlowPauseTimeout, RuntimeError) as error:  # the last: another answer came at the same moment
        raise RefusedError(
            f"the run of {execution.id} does not wait any more",
            reason="it was answered already, or has ended",
            next_step="'holdfast recover --list' shows what came of it",
        ) from error
    except ObjectNotFound as error:
        raise NotFoundError(
            f"the Prefect server has no run {flow_run_id} of {execution.id}",
            next_step=f"Go on without it: holdfast recover --resume {execution.id} --yes",
        ) from error
