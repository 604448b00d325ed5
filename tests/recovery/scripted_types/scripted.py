"""A type of step for tests: it writes its name into a file, and does whatever else its parameters say."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from holdfast.errors import HoldfastError, RefusedError, ToolFailedError
from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work

ERRORS: dict[str, type[HoldfastError]] = {"failed": ToolFailedError, "refused": RefusedError}


class ScriptedParameters(Parameters):
    """`folder` is where it leaves its marks."""

    folder: str
    fails: int = 0
    """How many attempts fail."""
    error: Literal["failed", "refused"] = "failed"
    waits_for: str | None = None
    """A file that has to be there before it ends."""
    heeds_its_deadline: bool = True
    ends_badly: bool = False
    """Whether it fails when it has waited."""
    touches: tuple[str, ...] = ()
    can_undo: bool = True
    says: str = "done as scripted"


class Scripted(StepType[ScriptedParameters]):
    """Changes a file."""

    name = "scripted"
    minutes = (0.0001, 60)
    parameters = ScriptedParameters

    def touches(self, parameters: ScriptedParameters) -> frozenset[str]:
        return frozenset(parameters.touches)

    def foresee(self, work: Work, parameters: ScriptedParameters) -> list[str]:
        return [f"It would write {work.step.id} into {Path(parameters.folder).name}."]

    def run(self, work: Work, parameters: ScriptedParameters) -> Outcome:
        folder = Path(parameters.folder)
        _write(folder, work.step.id)
        if (folder / "log").read_text().split().count(work.step.id) <= parameters.fails:
            raise ERRORS[parameters.error](f"{work.step.id} failed as scripted")
        while parameters.waits_for and not (folder / parameters.waits_for).exists():
            time.sleep(0.02)
            if parameters.heeds_its_deadline:
                work.deadline.require()
        if parameters.ends_badly:
            raise ToolFailedError(f"{work.step.id} ended badly as scripted")
        undo = {"wrote": work.step.id} if parameters.can_undo else None
        return Outcome(parameters.says, {"mode": work.mode, "saw": sorted(work.outcomes)}, undo=undo)

    def undo(self, work: Work, parameters: ScriptedParameters, undo: dict[str, Any]) -> Outcome:
        _write(Path(parameters.folder), f"un{undo['wrote']}")
        return Outcome(f"unwrote {undo['wrote']}")


def _write(folder: Path, word: str) -> None:
    with (folder / "log").open("a") as log:
        log.write(f"{word}\n")


TYPE = Scripted()
