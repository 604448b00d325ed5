"""The trouble that a subject is in, from the first look that found it until one finds it well: which event tells of it, and when.

A blip starts nothing: only what every look of a run has found is trouble. Its event is emitted once, and again only after a day;
it ends when a run finds the subject well at once. A look that could not judge changes nothing. Nothing is emitted here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from holdfast.alarms import Alarm, Judgement
from holdfast.recovery.triggers import trigger_of
from holdfast.recovery.verdict import Subject, Verdict

Json = dict[str, Any]

AGAIN_AFTER = timedelta(days=1)
"""After how long the event of a trouble that lasts is emitted again."""

_LONGEST_TEXT = 600
"""How many characters of a reason are kept: a variable of Prefect holds 5000 in all."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a subject is in. `emitted_at` is when its event was, None where it has not been; `plans` are those that listened."""

    subject: Subject
    event: str
    state: str
    reason: str
    first_seen_at: datetime
    emitted_at: datetime | None = None
    plans: tuple[str, ...] = ()

    def is_to_be_emitted(self, at: datetime) -> bool:
        """Tell whether its event is due: it never was emitted, or the trouble has lasted for a day since."""
        return self.emitted_at is None or at - self.emitted_at >= AGAIN_AFTER

    def emitted(self, at: datetime, plans: Sequence[str]) -> Self:
        """Note that its event was emitted, and which plans listened."""
        return replace(self, emitted_at=at, plans=tuple(plans))

    def to_json(self) -> Json:
        """Say it as a variable keeps it."""
        return {
            "subject": self.subject,
            "event": self.event,
            "state": self.state,
            "reason": self.reason,
            "firstSeenAt": _written(self.first_seen_at),
            "emittedAt": self.emitted_at and _written(self.emitted_at),
            "plans": list(self.plans),
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read it back. Raises ValueError (it is none)."""
        try:
            same = {name: str(value[name]) for name in ("event", "state", "reason")}
            first, emitted = datetime.fromisoformat(value["firstSeenAt"]), value["emittedAt"]
            at = emitted and datetime.fromisoformat(emitted)
            return cls(value["subject"], **same, first_seen_at=first, emitted_at=at, plans=tuple(value["plans"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no trouble as they are kept: {error!r}") from None


def carried_on(before: Trouble | None, looks: Sequence[Verdict], at: datetime, *, needed: int) -> Trouble | None:
    """Carry a subject's trouble on by the looks of one run, which began `at` then, the first of them first.

    `needed` looks must have found the same trouble before it counts.
    """
    if not looks or looks[0].state == "healthy":
        return None if looks else before
    events = {trigger_of(look) for look in looks}
    event = events.pop()
    if events or event is None or len(looks) < needed:
        return before
    newest = looks[-1]
    first = at if before is None else before.first_seen_at
    kept = before if before is not None and before.event == event else None
    emitted_at, plans = (kept.emitted_at, kept.plans) if kept is not None else (None, ())
    return Trouble(newest.subject, event, newest.state, _cut(newest.reason), first, emitted_at, plans)


def judge_troubles(troubles: Mapping[Subject, Trouble], subjects: Collection[Subject]) -> Judgement:
    """Judge of each of these subjects whether it is in trouble that somebody has to see to."""
    return {key(one): _alarm(troubles[one]) if one in troubles else None for one in subjects}


def key(subject: Subject) -> str:
    """Name the alarm of a subject's trouble."""
    return f"trouble-{subject}"


def _alarm(trouble: Trouble) -> Alarm:
    return Alarm(
        key(trouble.subject),
        f"{_NAMED[trouble.subject]} {trouble.state}",
        f"{trouble.reason.rstrip('.')}. {_done(trouble)}.",
        _next_step(trouble),
        since=trouble.first_seen_at,
    )


def _done(trouble: Trouble) -> str:
    if trouble.emitted_at is None:
        return f"The event {trouble.event} was not emitted"
    if not trouble.plans:
        return f"The event {trouble.event} was emitted, and no recovery plan listens to it"
    return f"The event {trouble.event} was emitted, to which {_listed(trouble.plans)} listens"


def _next_step(trouble: Trouble) -> str:
    if trouble.plans and trouble.emitted_at is not None:
        return "See how far the plan is: holdfast recover --list; it may wait for your approval"
    return "Choose a plan ('holdfast plans list'), see what it would do (holdfast recover PLAN --mode plan), then run it"


def _listed(names: Sequence[str]) -> str:
    return f"the plan {names[0]}" if len(names) == 1 else f"each of the plans {', '.join(names)}"


_NAMED: dict[Subject, str] = {
    "database": "The database is",
    "function": "Functions are",
    "config": "The configuration is",
    "secrets": "Secrets are",
    "services": "Services are",
}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
