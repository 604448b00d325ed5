"""The step type `notification`: people are told, by these channels or by all of the settings.

One channel that takes the message is enough; those that do not are named. In a drill the message is sent, too, and its subject
says that it is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import Field

from holdfast.errors import NotifyingFailedError
from holdfast.messages import Message, Mood, Origin
from holdfast.recovery import template
from holdfast.recovery.outside import Rule, chosen, names, words
from holdfast.recovery.plan import Priority, Step
from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work

_MOODS: dict[Priority, Mood] = {"critical": "failure", "high": "failure", "medium": "info", "low": "info"}
_MOST_IN_SUBJECT = 120
_HOW = "docs/alarms.md shows how a channel is set up"


class NotificationParameters(Parameters):
    """What is said, to whom, and how urgent it is."""

    message: str = Field(min_length=1, max_length=4000)
    """With `{plan}`, `{trigger}`, `{status}`, `{found}`, `{step}`, `{facts.NAME}` for what is known by then."""
    channels: tuple[str, ...] = ()
    """None named: all of BACKUP_NOTIFICATION_CHANNELS."""
    priority: Priority = "medium"


class Notification(StepType[NotificationParameters]):
    """Tells people."""

    name = "notification"
    minutes = (1, 5)
    parameters = NotificationParameters
    changes: ClassVar[bool] = False
    tells: ClassVar[bool] = True
    outside: ClassVar[Mapping[str, Rule]] = {"message": words, "channels": names, "priority": chosen}

    def problems(self, step: Step) -> Iterator[str]:
        yield from super().problems(step)
        text = step.parameters.get("message")
        if isinstance(text, str):
            yield from (f"parameters.message: {problem}" for problem in template.problems(text))

    def foresee(self, work: Work, parameters: NotificationParameters) -> list[str]:
        whom = ", ".join(parameters.channels) or "all channels"
        return [f"tell {whom}: {template.filled(parameters.message, template.values_of(work))}"]

    def run(self, work: Work, parameters: NotificationParameters) -> Outcome:
        if not work.world.settings.enable_backup_notifications:
            return Outcome("nobody was told, for BACKUP_ENABLE_NOTIFICATIONS is false", {"channels": []}, needed=False)
        work.deadline.require()
        answers = work.world.notify(_message(work, parameters), list(parameters.channels) or None)
        told = [one["channel"] for one in answers if one["error"] is None]
        problems = {one["channel"]: str(one["error"]) for one in answers if one["error"] is not None}
        heard = {one["channel"] for one in answers}
        problems |= {name: "it is not set up" for name in parameters.channels if name not in heard}
        if not told and not problems:
            return Outcome("nobody was told, for no channel is set up", {"channels": []}, (_HOW,), needed=False)
        failed = tuple(f"{name} took no message: {why}" for name, why in problems.items())
        if not told:
            raise NotifyingFailedError("No channel took the message", reason="; ".join(failed), next_step=_HOW)
        return Outcome(f"told {', '.join(told)}", {"channels": told, "failed": problems}, failed)


def _message(work: Work, parameters: NotificationParameters) -> Message:
    """Say it, and below it which execution says so."""
    origin, now = Origin(work.world.settings.target), datetime.now(UTC)
    said = template.filled(parameters.message, template.values_of(work))
    urgent = f"{parameters.priority.capitalize()}: " if parameters.priority in ("critical", "high") else ""
    drill = "Drill, nothing is wrong: " if work.is_drill else ""
    subject = f"[{origin.name}] {drill}{urgent}{work.plan.name}: {said.splitlines()[0]}"
    subject = subject if len(subject) <= _MOST_IN_SUBJECT else f"{subject[: _MOST_IN_SUBJECT - 1]}…"
    head = "This is a drill. Nothing is wrong, and nothing live is changed.\n\n" if work.is_drill else ""
    about = f"Plan: {work.plan.name}\nStarted by: {work.trigger}\nExecution: {work.execution_id}"
    mood: Mood = "info" if work.is_drill else _MOODS[parameters.priority]
    return Message(subject, f"{head}{said}\n\n{about}\n\n{origin.signed(now)}", mood)


TYPE = Notification()
