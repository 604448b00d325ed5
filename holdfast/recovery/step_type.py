"""The contract of every type of step: what it needs to know, what it touches, what it does, and how it is undone.

What an execution relies on:

- `run` either does the whole and returns what it did, or raises and leaves the system no worse than it was; what it could not
  put back it says in the error, with how to go on. It is tried again as often as the step says, so it must bear that.
- It stops at the work's deadline, with all that it started.
- In a drill (`work.is_drill`) it does the same on scratch targets, and changes nothing that is live.
- Where an earlier assessment names what is in trouble, it keeps to that, and does nothing more.
- Nothing that it returns, logs or raises holds a secret.

A type is one file in `holdfast/recovery/steps/`, which ends with `TYPE = <class>()`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import ValidationError

from holdfast.recovery.plan import Plan, Record, Step, said_of
from holdfast.recovery.verdict import Subject, Verdict

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.outside import Rule
    from holdfast.recovery.world import World

Json = dict[str, Any]
Mode = Literal["run", "drill"]


class Parameters(Record):
    """The parameters of a type of step: a model of its own for each, in the guide's words."""


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt at a step: everything that it may know."""

    execution_id: str
    plan: Plan
    step: Step
    world: World
    deadline: Deadline
    mode: Mode = "run"
    trigger: str = "manual"
    facts: Json = field(default_factory=dict)
    """What the event said that started it."""
    forced: bool = False
    """Whether a person wants it done though nothing seems to be in trouble."""
    verdicts: dict[Subject, Verdict] = field(default_factory=dict)
    """What the assessments before this step have found."""
    outdated: bool = False
    """Whether that may no longer be so: it was long ago, or an attempt before this one did more than anybody heard of."""
    begun_at: datetime | None = None
    """When the first attempt at this step began."""
    agreed_at: datetime | None = None
    """Of when the backup is that a person has agreed to go back to: an older one loses more than that."""
    outcomes: dict[str, Json] = field(default_factory=dict)
    """What the steps before have put out, by their ids."""
    log: logging.Logger | logging.LoggerAdapter[Any] = field(default_factory=lambda: logging.getLogger("holdfast.recovery"))

    @property
    def is_drill(self) -> bool:
        return self.mode == "drill"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did: a sentence for people, and what it found for machines. All of it is kept, so none of it is secret."""

    summary: str
    output: Json = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    """What an assessment found."""
    needed: bool = True
    """False where there was nothing to do."""
    undo: Json | None = None
    """What `undo` needs to know; None where there is nothing to undo."""


class StepType(ABC, Generic[P]):
    """One type of step."""

    name: ClassVar[str]
    minutes: ClassVar[tuple[float, float]]
    """The least and the most that a timeout of this type may be, as the guide has it."""
    parameters: type[P]
    changes: ClassVar[bool] = True
    """Whether it changes anything live: only that waits for an approval, and is left out where nothing is in trouble."""
    assesses: ClassVar[bool] = False
    """Whether it only looks, and its verdict decides about the steps after it: that is really done even for `mode=plan`."""
    tells: ClassVar[bool] = False
    """Whether it only tells people: that is done though what it waits for was left out, as long as something is not well."""
    outside: ClassVar[Mapping[str, Rule] | None] = None
    """What each parameter may be, by its field, in a plan that comes by the HTTP API; None: such a plan may have no such step."""

    def read(self, step: Step) -> P:
        """Read a step's parameters. Raises pydantic.ValidationError."""
        return self.parameters.model_validate(step.parameters)

    def touches(self, parameters: P) -> frozenset[str]:
        """Name what it works on, such as `database` or `service:web`: two executions never work on the same at once."""
        del parameters
        return frozenset()

    @abstractmethod
    def foresee(self, work: Work, parameters: P) -> list[str]:
        """Say in sentences what it would do now, and do nothing: for `mode=plan` and for whoever is to approve it."""

    @abstractmethod
    def run(self, work: Work, parameters: P) -> Outcome:
        """Do it."""

    def undo(self, work: Work, parameters: P, undo: Json) -> Outcome | None:
        """Undo what a run did, by what it noted; None where this type can't."""
        del work, parameters, undo
        return None

    def problems(self, step: Step) -> Iterator[str]:
        """Tell what is wrong with a step of this type."""
        try:
            self.read(step)
        except ValidationError as error:
            for said in said_of(error):
                yield f"parameters{said if said.startswith(':') else f'.{said}'}"
        least, most = self.minutes
        if not least <= step.timeout <= most and not step.timeout_reason:
            yield (
                f"a timeout of {step.timeout:g} minutes is outside the {least:g} to {most:g} that {self.name} may take; "
                "where that is meant, say why in timeoutReason"
            )
