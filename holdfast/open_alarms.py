"""Alarms that are open: since when, which channels were told, and what each of them is to be told now. Nothing is sent here.

A channel is told once that an alarm has opened, once a day that it is still open, and once that it is mended, if it was told
before. Whoever was told nothing is told of no mending.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from holdfast.alarms import Alarm, Judgement

REMIND_AFTER = timedelta(hours=24)
"""After how long an alarm that is still open is told again."""

CHANNEL = "channel-"
"""How the key of the alarm begins that a channel takes no messages."""

PREFIX = "holdfast_alarm_"
"""How the names of the Prefect variables begin that open alarms are kept in, one each."""

_LONGEST_TEXT = 1000
"""How many bytes of a text are kept: a variable holds 5000 in all."""

News = Literal["opened", "still", "mended"]


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """An alarm that was judged to be so, until every channel that was told of it knows that it is mended.

    `told` is when each channel that takes it to be open was last told so.
    """

    alarm: Alarm
    opened_at: datetime
    told: Mapping[str, datetime] = field(default_factory=dict)
    mended_at: datetime | None = None
    how_mended: str | None = None

    @property
    def since(self) -> datetime:
        """When it began, as far as that is known."""
        return self.alarm.since or self.opened_at

    def news_for(self, channel: str, at: datetime) -> News | None:
        """Say what a channel is to be told of it now. Of itself a channel is told nothing."""
        if self.mended_at is not None:
            return "mended" if channel in self.told else None
        if self.alarm.key == CHANNEL + channel:
            return None
        if channel not in self.told:
            return "opened"
        return "still" if at - self.told[channel] >= REMIND_AFTER else None

    def heard(self, channel: str, at: datetime) -> Self:
        """Note that a channel has taken the message."""
        others = {name: when for name, when in self.told.items() if name != channel}
        return replace(self, told=others if self.mended_at is not None else others | {channel: at})

    def judged(self, alarm: Alarm | None, at: datetime, how: str | None) -> Self:
        """Note what was judged now. One that opens again before all were told of its mending never was mended to the others."""
        if alarm is not None:
            first = min(filter(None, (self.alarm.since, alarm.since)), default=None)
            return replace(self, alarm=replace(_kept(alarm), since=first), mended_at=None, how_mended=None)
        return self if self.mended_at is not None else replace(self, mended_at=at, how_mended=how)

    def known_to(self, channels: Collection[str]) -> Self:
        """Forget channels that there are no more, so that nobody waits for them."""
        return replace(self, told={name: when for name, when in self.told.items() if name in channels})

    def to_json(self) -> dict[str, Any]:
        """Say it as a variable keeps it."""
        alarm = self.alarm
        texts = {"title": alarm.title, "what": alarm.what, "nextStep": alarm.next_step, "lastGood": alarm.last_good}
        times = {"since": alarm.since, "openedAt": self.opened_at, "mendedAt": self.mended_at}
        return {
            "key": alarm.key,
            **texts,
            **{name: _written(moment) for name, moment in times.items()},
            "told": {channel: _written(moment) for channel, moment in self.told.items()},
            "howMended": self.how_mended,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read it back. Raises ValueError (it is none)."""
        try:
            alarm = Alarm(
                value["key"], value["title"], value["what"], value["nextStep"], _read(value["since"]), value["lastGood"]
            )
            told = {channel: datetime.fromisoformat(moment) for channel, moment in value["told"].items()}
            opened = datetime.fromisoformat(value["openedAt"])
            return cls(alarm, opened, told, _read(value["mendedAt"]), value["howMended"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no alarm as they are kept: {error!r}") from None


def judged(
    found: Mapping[str, OpenAlarm], judgement: Judgement, at: datetime, how_mended: Callable[[str], str | None] = lambda _: None
) -> dict[str, OpenAlarm]:
    """Carry open alarms on by a new judgement; what was not judged stays as it is. What nobody was told of just ends."""
    kept = dict(found)
    for key, alarm in judgement.items():
        if key in kept:
            kept[key] = kept[key].judged(alarm, at, how_mended(key) if alarm is None else None)
        elif alarm is not None:
            kept[key] = OpenAlarm(_kept(alarm), at)
    return {key: one for key, one in kept.items() if one.mended_at is None or one.told}


def still_open(found: Mapping[str, OpenAlarm]) -> list[OpenAlarm]:
    """Name those that are not mended, the oldest first."""
    return sorted((one for one in found.values() if one.mended_at is None), key=lambda one: (one.opened_at, one.alarm.key))


def variable_name(key: str, target: str | None) -> str:
    """Name the variable that keeps the alarm of this key; neither keys nor targets hold a `_`."""
    return f"{PREFIX}{target}_{key}" if target else PREFIX + key


def alarms_in(variables: Collection[Mapping[str, Any]], target: str | None) -> tuple[dict[str, OpenAlarm], list[str]]:
    """Find the alarms of a target among variables as Prefect's API gives them, by key, and the names of those that are spoilt."""
    found, spoilt = {}, []
    for one in variables:
        rest = str(one["name"]).removeprefix(PREFIX).split("_")
        if not str(one["name"]).startswith(PREFIX) or rest[:-1] != ([target] if target else []):
            continue
        try:
            found[rest[-1]] = OpenAlarm.from_json(one["value"])
        except ValueError:
            spoilt.append(str(one["name"]))
    return found, spoilt


def _kept(alarm: Alarm) -> Alarm:
    """Cut texts that are too long to be kept."""
    return replace(alarm, title=_cut(alarm.title), what=_cut(alarm.what), next_step=_cut(alarm.next_step))


def _cut(text: str) -> str:
    """Cut a text by what it takes as UTF-8."""
    if len(text.encode()) <= _LONGEST_TEXT:
        return text
    return text.encode()[:_LONGEST_TEXT].decode(errors="ignore") + "…"


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _read(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
