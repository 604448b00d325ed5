"""The step type `assessment`: it looks at one subject, changes nothing, and its verdict decides about the steps after it.

What an event says is no proof: where the look finds the subject well, that counts. A slow system is told of, with the evidence,
and left alone unless a person forces the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from holdfast import figures
from holdfast.errors import HoldfastError
from holdfast.messages import Message, Origin
from holdfast.recovery.assessing import assess
from holdfast.recovery.assessing.secrets import with_named
from holdfast.recovery.outside import Rule, chosen
from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work
from holdfast.recovery.triggers import tells_of, trigger_of
from holdfast.recovery.verdict import CALLED, Subject, Verdict

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline

_MOST_LINES = 12
_LOOKS: dict[Subject, str] = {
    "database": "whether the database answers, can be read, has what its newest good backup has, and is quick",
    "function": "whether the functions are there and answer, and differ from the newest good backup",
    "config": "whether the files of the newest good backup of the configuration are there and well formed",
    "secrets": "whether all secrets are there, none stands where it may not, and nobody has new power over the server",
    "services": "whether the managed services are well",
}


class LookParameters(Parameters):
    """What is looked at, and whether all of it is read."""

    of: Subject
    thorough: bool = True


LOOKS_FROM_OUTSIDE: Mapping[str, Rule] = {"of": chosen, "thorough": chosen}


class Assessment(StepType[LookParameters]):
    """Looks before anything is done."""

    name = "assessment"
    minutes = (1, 30)
    parameters = LookParameters
    changes: ClassVar[bool] = False
    assesses: ClassVar[bool] = True
    outside: ClassVar[Mapping[str, Rule]] = LOOKS_FROM_OUTSIDE

    def foresee(self, work: Work, parameters: LookParameters) -> list[str]:
        del work
        return [f"look {_LOOKS[parameters.of]}"]

    def run(self, work: Work, parameters: LookParameters) -> Outcome:
        verdict = look(work, parameters, work.deadline)
        if verdict.subject == "secrets":
            verdict = with_named(verdict, work.facts)
        said = f"{CALLED[verdict.subject].capitalize()}: {verdict.state}; {verdict.reason}"
        notes = [*_contradiction(work, verdict), *_told_of_slowness(work, verdict)]
        return Outcome(said, {"state": verdict.state}, tuple(notes), verdict=verdict)


def look(work: Work, parameters: LookParameters, deadline: Deadline) -> Verdict:
    """Look at the subject of a step."""
    return assess(parameters.of, work.world, deadline, thorough=parameters.thorough)


def _contradiction(work: Work, verdict: Verdict) -> Iterator[str]:
    """Say that an event told of what is not so, or is so no longer."""
    if verdict.state == "healthy" and tells_of(work.trigger) == verdict.subject:
        yield f"the event {work.trigger} told otherwise, and it is not so now"


def _told_of_slowness(work: Work, verdict: Verdict) -> Iterator[str]:
    """Tell people of a slow system, once, with what the evidence says."""
    if verdict.state != "slow":
        return
    if work.forced:
        yield "it is slow and not lost; a person forces the plan, so it goes on"
    if work.is_drill:
        yield "nobody was told of it, for this is a drill"
        return
    if not work.world.settings.enable_backup_notifications:
        yield "nobody was told of it, for BACKUP_ENABLE_NOTIFICATIONS is false"
        return
    try:
        answers = work.world.notify(_message(work, verdict), None)
    except HoldfastError as error:
        yield f"people could not be told of it: {error.what_and_why}"
        return
    yield from (f"{one['channel']} took no message: {one['error']}" for one in answers if one["error"] is not None)


def _message(work: Work, verdict: Verdict) -> Message:
    origin = Origin(work.world.settings.target)
    lines = verdict.evidence.get("inWords", [])
    body = [
        f"{CALLED[verdict.subject].capitalize()}: {verdict.reason}.",
        "It is slow and not lost, so nothing is restored"
        + (", but for a person's wish" if work.forced else f" unless you force it: holdfast recover {work.plan.id} --force"),
        "\n".join(f"- {line}" for line in figures.first(lines, _MOST_LINES)),
        f"Event: {trigger_of(verdict) or work.trigger}\nPlan: {work.plan.name}\nExecution: {work.execution_id}",
        origin.signed(datetime.now(UTC)),
    ]
    subject = f"[{origin.name}] {CALLED[verdict.subject].capitalize()}: slow"
    return Message(subject, "\n\n".join(one for one in body if one), "failure")


TYPE = Assessment()
