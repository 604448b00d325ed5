"""A recovery plan that somebody has carried out who does not wait for it: its run is started, and the execution's id is told.

What would end the run as soon as it began is found at once: a plan that is switched off, one that is being carried out already,
an execution that can't be gone on with. Prefect is not imported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from blocks.names import own_name
from holdfast.errors import BusyError, PrefectUnreachableError, RefusedError, SettingsError
from holdfast.process_identity import is_known_dead
from holdfast.recovery.execution import APPROVAL
from holdfast.recovery.facts import without_secrets
from holdfast.recovery.plan import TEST_TRIGGER
from holdfast.recovery.running import plan_of, resumed, to_undo
from orchestration.masking import hide_all_of, masked_all
from orchestration.recovery.known import Wanted, known_executions
from orchestration.submitting import Order, Repeatable, Submitted, ask_patiently, submit, submitted_before

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.recovery.execution import Execution
    from holdfast.recovery.plan import Plan
    from holdfast.settings import Settings
    from orchestration.next_runs import Ask

Json = dict[str, Any]
Mode = Literal["run", "plan", "drill"]

LONGEST_FACTS_BYTES = 65_536
_FLOW, _DEPLOYMENT, _STORAGE = "disaster_recovery", "disaster-recovery", "holdfast-storage"
_NOT_ENDED = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]
_MOST = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """Which plan is to be carried out, and how. `facts` are what is known of what has happened."""

    plan: Plan
    trigger: str = "manual"
    mode: Mode = "run"
    forced: bool = False
    facts: Json = field(default_factory=dict)

    @property
    def really(self) -> Mode:
        """Tell how it is carried out: the guide's `test_trigger` makes a drill of any."""
        return "drill" if self.trigger == TEST_TRIGGER and self.mode == "run" else self.mode

    @property
    def parameters(self) -> Json:
        """Say it as the flow's parameters."""
        facts = checked_facts(self.facts)
        return {"plan_id": self.plan.id, "trigger": self.trigger, "mode": self.really, "facts": facts, "force": self.forced}


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody who asks, over what is there. With `repeatable` a request that is repeated starts nothing."""

    ask: Ask
    settings: Settings
    name: str
    repeatable: Repeatable | None = None

    def carry_out(self, wish: Wish) -> Submitted:
        """Start an execution of a plan.

        Raises RefusedError (the plan is switched off), BusyError (it is being carried out), and what `submit` raises.
        """
        if (before := self._before()) is not None:
            return before
        hide_all_of(self.settings)
        if not wish.plan.enabled and wish.really == "run" and not wish.forced:
            raise RefusedError(
                f"the plan {wish.plan.id} is switched off", next_step="Switch it on, or have it carried out all the same: force"
            )
        if wish.really != "plan":
            _require_idle(self.ask, self.settings, wish.plan.id, drill=wish.really == "drill")
        return self._submit(wish.plan.id, wish.parameters, self.repeatable)

    def go_on(self, execution: Execution, *, forced: bool = False) -> Submitted:
        """Have an execution that stopped gone on with.

        Raises RefusedError (it waits for a person, nothing is left to do), BusyError (it is at work), and what `submit` raises.
        """
        if (before := self._before()) is not None:
            return before
        _require_not_waiting(execution)
        resumed(execution, datetime.now(UTC))
        return self._again(execution, "run", {"force": True} if forced else {})

    def roll_back(self, execution: Execution) -> Submitted:
        """Have undone what an execution did, the last step first.

        Raises RefusedError (it waits for a person, or did nothing that can be undone), BusyError, and what `submit` raises.
        """
        if (before := self._before()) is not None:
            return before
        _require_not_waiting(execution)
        if not to_undo(plan_of(execution), execution):
            raise RefusedError(
                f"nothing of the execution {execution.id} can be undone",
                reason="no step of it has changed anything that can be undone, or it was rolled back already",
            )
        return self._again(execution, "roll_back", {})

    def _before(self) -> Submitted | None:
        return None if self.repeatable is None else submitted_before(self.ask, self.repeatable)

    def _again(self, execution: Execution, mode: str, more: Json) -> Submitted:
        """Start another run about the same execution, which keeps its id; so it needs a key of its own."""
        _require_idle(self.ask, self.settings, execution.plan_id, drill=execution.mode == "drill")
        said: Json = {"plan_id": execution.plan_id, "mode": mode, "resume": execution.id, "job_id": execution.id, **more}
        alone = self.repeatable or Repeatable.of(uuid4().hex, self.name, mode, said)
        return self._submit(execution.plan_id, said, alone)

    def _submit(self, plan_id: str, parameters: Json, repeatable: Repeatable | None) -> Submitted:
        order = Order(_DEPLOYMENT, "recovery", "recovery", parameters, plan_id)
        return submit(self.ask, self.settings.target, order, asked_by=self.name, repeatable=repeatable)


def checked_facts(facts: Mapping[str, Any]) -> Json:
    """Return facts without what is secret, or looks so, for they go into a run's parameters. Raises SettingsError."""
    said: Json = masked_all(without_secrets(facts))
    size = len(json.dumps(said).encode())
    if size > LONGEST_FACTS_BYTES:
        raise SettingsError(
            f"The facts are too large: {size} bytes",
            reason=f"at most {LONGEST_FACTS_BYTES} can be carried by an event or a run",
            next_step="Say only what a plan needs to know, such as where the rest is to be found",
        )
    return said


def _require_not_waiting(execution: Execution) -> None:
    """Raises RefusedError: it wants an answer first."""
    if execution.status == "running" and execution.waiting_for == APPROVAL and not is_known_dead(execution.metadata):
        raise RefusedError(
            f"the execution {execution.id} waits for a person's approval", next_step="Approve it, or deny it, and it goes on"
        )


def _require_idle(ask: Ask, settings: Settings, plan_id: str, *, drill: bool) -> None:
    """Raise BusyError where a run of the plan has not ended yet, unless its process is known to be dead."""
    for run in _open_runs(ask):
        said = run["parameters"]
        if not _is_of(said, plan_id, settings.target) or _is_drill(said) != drill:
            continue
        execution = _execution_of(settings, plan_id, str(run["id"]))
        if execution is not None and (execution.status != "running" or is_known_dead(execution.metadata)):
            continue  # it has ended, whatever Prefect knows by now
        known = execution.id if execution is not None else said.get("job_id")
        raise BusyError(
            f"the plan {plan_id} is being carried out already" + (f": {known}" if known else ""),
            reason=f"the run {run['name']} is {str(run.get('state_name') or 'on its way').lower()}",
            next_step="See what comes of that one, or approve it where it waits for a person",
        )


def _open_runs(ask: Ask) -> list[Json]:
    wanted = {
        "flows": {"name": {"any_": [_FLOW]}},
        "flow_runs": {"state": {"type": {"any_": _NOT_ENDED}}},
        "sort": "START_TIME_DESC",
        "limit": _MOST,
    }
    try:
        found: list[Json] = ask_patiently(ask, "/flow_runs/filter", wanted)
    except (OSError, ValueError) as error:
        raise PrefectUnreachableError("the Prefect server can't be asked", reason=type(error).__name__) from error
    return found


def _is_of(said: Json, plan_id: str, target: str | None) -> bool:
    return said.get("plan_id") == plan_id and said.get("storage", _STORAGE) == own_name(_STORAGE, target)


def _is_drill(said: Json) -> bool | None:
    """Tell whether it is a drill; None for a run that only looks, which hinders nobody."""
    if said.get("mode") == "plan":
        return None
    return said.get("mode") == "drill" or said.get("trigger") == TEST_TRIGGER


def _execution_of(settings: Settings, plan_id: str, flow_run_id: str) -> Execution | None:
    known = known_executions(settings, Wanted(plan_id)).executions
    return next((one for one in known if one.metadata.get("flowRunId") == flow_run_id), None)
