"""A type of step that takes any parameters and does nothing."""

from __future__ import annotations

from pydantic import ConfigDict

from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work


class AnyParameters(Parameters):
    """Whatever is given."""

    model_config = ConfigDict(extra="allow")


class Anything(StepType[AnyParameters]):
    """Takes anything."""

    name = "anything"
    minutes = (1, 60)
    parameters = AnyParameters

    def foresee(self, work: Work, parameters: AnyParameters) -> list[str]:
        return ["do nothing"]

    def run(self, work: Work, parameters: AnyParameters) -> Outcome:
        return Outcome("Nothing was done", needed=False)


TYPE = Anything()
