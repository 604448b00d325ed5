"""How the sample came back from one fault: how long each part of it took, by the execution's record, and what is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli import figures, jobs, output
from cli.returned import Returned, Sighting
from holdfast.recovery.steps import step_types

if TYPE_CHECKING:
    from rich.console import RenderableType

    from examples.content_pipeline.fault import Fault
    from holdfast.recovery.execution import Execution, StepRecord


@dataclass(frozen=True, slots=True)
class Recovery:
    """How the sample came back from one fault. Seconds are None where it did not come so far."""

    fault: Fault
    done: str
    broken_at: datetime
    backed_up: Sighting
    """What was broken, as it was when it was backed up."""
    last: Sighting
    """The same right before the fault."""
    execution: Execution | None = None
    approved_at: datetime | None = None
    recovered_at: datetime | None = None
    returned: Returned = field(default_factory=lambda: Returned("nothing has begun"))

    @property
    def ok(self) -> bool:
        """Whether all is back, by an execution that says so, too."""
        return self.recovered_at is not None and self.execution is not None and self.execution.status == "success"

    @property
    def has_ended(self) -> bool:
        """Whether the execution that sees to it has come to its end."""
        return self.execution is not None and self.execution.completed_at is not None

    @property
    def why_not(self) -> str:
        """Say why not all is back."""
        error = None if self.execution is None else self.execution.error
        return error or self.returned.amiss or "no execution has ended well"

    @property
    def detected_seconds(self) -> float | None:
        """From the fault to the event, or to what began the execution without one."""
        return self._since(self.broken_at, self._event_at)

    @property
    def decided_seconds(self) -> float | None:
        """From the event to the first step that changes something, with what a person took to agree."""
        return self._since(self._event_at, None if self._first_change is None else self._first_change.started_at)

    @property
    def recovered_seconds(self) -> float | None:
        """From the fault until all was back."""
        return self._since(self.broken_at, self.recovered_at)

    @property
    def has_changed(self) -> bool:
        """Tell whether a step that changes something has come to its end."""
        return self._first_change is not None and self._first_change.completed_at is not None

    @property
    def _event_at(self) -> datetime | None:
        if self.execution is None:
            return None
        said = self.execution.metadata.get("eventAt")
        return datetime.fromisoformat(said) if said else self.execution.started_at

    @property
    def _first_change(self) -> StepRecord | None:
        return None if self.execution is None else first_change(self.execution)

    def _since(self, begin: datetime | None, end: datetime | None) -> float | None:
        return None if begin is None or end is None else round((end - begin).total_seconds(), 1)

    def document(self) -> dict[str, Any]:
        """Describe it for machines."""
        execution = self.execution
        return {
            "fault": self.fault.name,
            "done": self.done,
            "ok": self.ok,
            "planId": self.fault.plan,
            "executionId": None if execution is None else execution.id,
            "trigger": None if execution is None else execution.trigger,
            "status": None if execution is None else execution.status,
            "error": None if execution is None else execution.error,
            "brokenAt": self.broken_at,
            "detectedSeconds": self.detected_seconds,
            "decidedSeconds": self.decided_seconds,
            "recoveredSeconds": self.recovered_seconds,
            "approved": self.approved_at is not None,
            "lostRows": self.returned.lost_rows if self.recovered_at else None,
            "older": list(self.returned.older),
            "amiss": self.returned.amiss,
        }


def first_change(execution: Execution) -> StepRecord | None:
    """Find the step of an execution that changed something, or was about to, before all others."""
    types = step_types()
    begun = [one for one in execution.steps if one.started_at is not None and types[one.type].changes]
    return min(begun, key=lambda one: one.started_at or execution.started_at, default=None)


def lines(found: Sequence[Recovery], left: Sequence[str] = ()) -> Iterator[RenderableType]:
    """Tell a person of all of them; `left` are faults that did not follow, for the one before them is not back."""
    back = sum(one.ok for one in found)
    yield jobs.headline(f"{back} of {figures.count(len(found), 'fault')}", "came back by itself", good=back == len(found))
    measured = ("Detected after", "Decided after", "Recovered after", "Rows lost")
    table = output.table("Fault", "Event", *measured, right=measured, whole=("Fault",))
    for one in found:
        times = (one.detected_seconds, one.decided_seconds, one.recovered_seconds)
        lost = str(one.returned.lost_rows) if one.recovered_at else "–"
        trigger = "–" if one.execution is None else one.execution.trigger
        table.add_row(one.fault.name, trigger, *(figures.duration(seconds) for seconds in times), lost)
    yield table
    for one in found:
        yield f"  {one.fault.name}: {one.done}"
        if one.approved_at is not None:
            yield "    a person had to agree, which the game day did at once"
        if not one.ok:
            yield f"    NOT back: {output.masked(one.why_not)}"
    if left:
        yield f"  Not done, for the sample is not whole: {', '.join(left)}"
