"""Alarms as messages for people: what is wrong, since when, the last good backup, and what to do now; and when it is mended.

Read on a telephone at night, by somebody who knows nothing yet: short lines, whole sentences, times in UTC. A message holds no
markup, for it goes to mail, chats and pagers alike.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from holdfast import figures
from holdfast.open_alarms import OpenAlarm

Mood = Literal["failure", "success", "info"]

_MOST_IN_SUBJECT = 120


@dataclass(frozen=True, slots=True)
class Message:
    """What one channel is told at once. The mood is for channels that show alarms in another colour than good news."""

    subject: str
    body: str
    mood: Mood = "info"

    def shortened(self, limit: int) -> Message:
        """Keep to what a service takes in one message."""
        left = limit - len(self.subject)
        if len(self.body) <= left:
            return self
        return Message(self.subject, self.body[: max(0, left - len(_MORE))] + _MORE, self.mood)


_MORE = "\n… and more: see 'holdfast status'."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from."""

    target: str | None = None
    host: str = field(default_factory=socket.gethostname)

    @property
    def name(self) -> str:
        return f"Holdfast {self.target}" if self.target else "Holdfast"

    def signed(self, at: datetime) -> str:
        """Say who tells it, and where there is more."""
        of_target = f"Target {self.target}, told" if self.target else "Told"
        return f"{of_target} by {self.host} at {figures.minute_utc(at)}. How things stand: holdfast status"


def alarm_message(alarms: Sequence[OpenAlarm], origin: Origin, at: datetime, *, still: bool = False) -> Message:
    """Tell of alarms that have opened, or that are open still."""
    head = "Still: " if still else ""
    return Message(
        _subject(origin, "alarms", [head + one.alarm.title for one in alarms]),
        _body([_alarm(one, at) for one in alarms], origin, at),
        "failure",
    )


def mended_message(alarms: Sequence[OpenAlarm], origin: Origin, at: datetime) -> Message:
    """Tell that alarms are mended."""
    return Message(
        _subject(origin, "alarms are mended", [f"{'Mended: ' if len(alarms) == 1 else ''}{one.alarm.title}" for one in alarms]),
        _body([_mended(one, at) for one in alarms], origin, at),
        "success",
    )


def trial_message(origin: Origin, at: datetime) -> Message:
    """Tell that this is a test."""
    body = "This is a test. Nothing is wrong, and nothing is to be done.\n"
    body += "Alarms come this way when backups fail, or can't be trusted."
    return Message(f"[{origin.name}] Test", _body([body], origin, at))


def _subject(origin: Origin, what: str, titles: Sequence[str]) -> str:
    said = titles[0] if len(titles) == 1 else f"{len(titles)} {what}: {'; '.join(titles)}"
    subject = f"[{origin.name}] {said}"
    return subject if len(subject) <= _MOST_IN_SUBJECT else subject[: _MOST_IN_SUBJECT - 1] + "…"


def _body(parts: Sequence[str], origin: Origin, at: datetime) -> str:
    return "\n\n".join([*parts, origin.signed(at)])


def _alarm(one: OpenAlarm, at: datetime) -> str:
    alarm = one.alarm
    lines = [
        f"{alarm.title}.",
        f"What: {alarm.what}",
        f"Since: {figures.minute_utc(one.since)} ({figures.span(at - one.since)})",
        f"Last good backup: {alarm.last_good}" if alarm.last_good else "",
        f"What to do: {alarm.next_step}",
    ]
    return "\n".join(line for line in lines if line)


def _mended(one: OpenAlarm, at: datetime) -> str:
    ended = one.mended_at or at
    lines = [
        f"No longer so: {one.alarm.title}.",
        f"It was so from {figures.minute_utc(one.since)} to {figures.minute_utc(ended)} ({figures.span(ended - one.since)})",
        one.how_mended or "",
    ]
    return "\n".join(line for line in lines if line)
