"""A type of step for tests that assesses: what it finds is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work
from holdfast.recovery.verdict import State, Verdict


class LookParameters(Parameters):
    """`folder` has the files `state` and `ask`, where somebody has put them."""

    folder: str


class ScriptedLook(StepType[LookParameters]):
    """Looks at a file."""

    name = "scripted_look"
    minutes = (0.0001, 60)
    parameters = LookParameters
    changes = False
    assesses = True

    def foresee(self, work: Work, parameters: LookParameters) -> list[str]:
        return ["It would look."]

    def run(self, work: Work, parameters: LookParameters) -> Outcome:
        folder = Path(parameters.folder)
        with (folder / "log").open("a") as log:
            log.write(f"{work.step.id}\n")
        state = cast("State", _read(folder / "state") or "lost")
        ask = _read(folder / "ask")
        return Outcome(f"it is {state}", verdict=Verdict("database", state, f"a file says {state}", ask=ask))


def _read(path: Path) -> str | None:
    return path.read_text().strip() if path.exists() else None


TYPE = ScriptedLook()
