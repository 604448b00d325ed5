"""A type of step for tests that tells people: it writes into a file whom it would tell."""

from __future__ import annotations

from pathlib import Path

from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work


class TellParameters(Parameters):
    """`folder` is where it leaves its marks."""

    folder: str


class ScriptedTell(StepType[TellParameters]):
    """Tells people."""

    name = "scripted_tell"
    minutes = (0.0001, 60)
    parameters = TellParameters
    changes = False
    tells = True

    def foresee(self, work: Work, parameters: TellParameters) -> list[str]:
        return ["It would tell people."]

    def run(self, work: Work, parameters: TellParameters) -> Outcome:
        with (Path(parameters.folder) / "log").open("a") as log:
            log.write(f"{work.step.id}\n")
        return Outcome("told")


TYPE = ScriptedTell()
