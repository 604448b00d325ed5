"""Tell people of alarms by their channels: once when one opens, once a day while it is open, once when it is mended.

A channel that fails, or hangs, holds up no other and fails nothing: it is an alarm itself, which the others tell, and what it did
not take the next run offers it again. The open alarms are written down before anybody is told, and who was told right after.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blocks.channels import Channel, channels_in_use, find_channels
from holdfast.alarms import Alarm, Judgement, how_mended
from holdfast.errors import BusyError, HoldfastError, NotifyingFailedError
from holdfast.messages import Message, Origin, alarm_message, mended_message
from holdfast.open_alarms import CHANNEL, News, OpenAlarm, judged, still_open
from orchestration.alarm_book import AlarmBook
from orchestration.masking import hide, masked

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from orchestration.aftermath import Aftermath

TELL_SECONDS = 10.0
"""How long a channel may take for one message."""

_log = logging.getLogger(__name__)
_Open = dict[str, OpenAlarm]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of telling one channel. `error` None: it took the message."""

    channel: str
    block: str
    error: str | None
    seconds: float


def tell_alarms(after: Aftermath) -> None:
    """Tell what there is to be alarmed about after a job, and what is mended."""
    announce(after.judgement, after.job.settings, lambda key: how_mended(key, after.overview))


def announce(judgement: Judgement, settings: Settings, how: Callable[[str], str | None] = lambda _: None) -> None:
    """Carry the open alarms on by a judgement, and tell each channel what is news to it.

    `how` says of a key how it was mended. Raises PrefectUnreachableError; a channel that fails raises nothing.
    """
    book, now = AlarmBook(settings.target), datetime.now(UTC)
    found = book.read()
    if not found and not any(judgement.values()):
        return
    channels = channels_in_use(settings)
    if judged(found, _masked(judgement), now, how) == found and not _news(found, channels, now):
        return
    try:
        with book.held():
            _Telling(book, channels, Origin(settings.target)).carry_on(_masked(judgement), how)
    except BusyError as error:
        _log.warning("%s", error)
        book.add({key: OpenAlarm(alarm, now) for key, alarm in _masked(judgement).items() if alarm is not None})


def send(message: Message, settings: Settings, channels: Iterable[str] | None = None) -> list[Answer]:
    """Send any message by the channels of the settings that have a block, or by these. Raises PrefectUnreachableError."""
    found = find_channels(settings, channels)
    return [answers[-1] for answers in _tell_all(found, {name: [message] for name in found}).values()]


def open_alarms(settings: Settings) -> list[OpenAlarm]:
    """Name the alarms that are open, the oldest first. Raises PrefectUnreachableError."""
    return still_open(AlarmBook(settings.target).read())


def judgement_of(answers: Iterable[Answer]) -> Judgement:
    """Judge channels by what came of telling them."""
    return {CHANNEL + one.channel: None if one.error is None else _channel_alarm(one) for one in answers}


class _Telling:
    """One round of telling, while the book is held."""

    def __init__(self, book: AlarmBook, channels: Mapping[str, Channel], origin: Origin) -> None:
        self._book = book
        self._channels = channels
        self._origin = origin
        self._written: _Open = {}

    def carry_on(self, judgement: Judgement, how: Callable[[str], str | None]) -> None:
        """Write down what is open now, tell it, and tell the others of channels that fail, or work again."""
        self._written = self._book.read()
        kept = self._note(judged(self._written, judgement, datetime.now(UTC), how))
        # Whether a channel that failed before still does is seen now, so nobody is told of it yet.
        tried = _news(kept, self._channels, datetime.now(UTC)).keys()
        kept, answers = self._told(kept, self._channels, leave_out={CHANNEL + name for name in tried})
        about_channels = judgement_of(answers)
        kept = self._note(judged(kept, about_channels, datetime.now(UTC), lambda _: "It has taken a message again"))
        failed = {one.channel for one in answers if one.error is not None}
        self._told(kept, {name: one for name, one in self._channels.items() if name not in failed})

    def _told(self, kept: _Open, channels: Mapping[str, Channel], leave_out: Collection[str] = ()) -> tuple[_Open, list[Answer]]:
        """Tell each channel what is news to it, and note who has heard what."""
        now = datetime.now(UTC)
        news = _news({key: one for key, one in kept.items() if key not in leave_out}, channels, now)
        batches = {name: _messages(kept, of_channel, self._origin, now) for name, of_channel in news.items()}
        answers = _tell_all(channels, {name: [message for _, message in batch] for name, batch in batches.items()})
        for name, batch in batches.items():
            for (keys, _), answer in zip(batch, answers[name], strict=False):
                if answer.error is None:
                    kept = kept | {key: kept[key].heard(name, now) for key in keys}
        return self._note(kept), [found[-1] for found in answers.values()]

    def _note(self, kept: _Open) -> _Open:
        """Write down what has changed. What is mended, and known to everybody who has to know, ends."""
        there = {key: one.known_to(self._channels) if one.mended_at is not None else one for key, one in kept.items()}
        left = {key: one for key, one in there.items() if one.mended_at is None or one.told}
        self._book.write(self._written, left)
        self._written = left
        return left


def _masked(judgement: Judgement) -> Judgement:
    """Take what is secret out of the texts, for they are kept and sent."""
    return {key: None if alarm is None else _masked_alarm(alarm) for key, alarm in judgement.items()}


def _masked_alarm(one: Alarm) -> Alarm:
    return Alarm(one.key, masked(one.title), masked(one.what), masked(one.next_step), one.since, one.last_good)


def _news(kept: Mapping[str, OpenAlarm], channels: Iterable[str], at: datetime) -> dict[str, dict[str, News]]:
    """Say, for each channel that has to be told something, what of which alarm."""
    found = {
        channel: {key: news for key, one in kept.items() if (news := one.news_for(channel, at)) is not None}
        for channel in channels
    }
    return {channel: news for channel, news in found.items() if news}


def _messages(
    kept: Mapping[str, OpenAlarm], news: Mapping[str, News], origin: Origin, at: datetime
) -> list[tuple[list[str], Message]]:
    """Make one message of all that has opened, one of what is open still, and one of what is mended."""
    made = []
    for kind in ("opened", "still", "mended"):
        keys = [key for key, one in news.items() if one == kind]
        alarms = [kept[key] for key in keys]
        if alarms and kind == "mended":
            made.append((keys, mended_message(alarms, origin, at)))
        elif alarms:
            made.append((keys, alarm_message(alarms, origin, at, still=kind == "still")))
    return made


def _tell_all(channels: Mapping[str, Channel], batches: Mapping[str, Sequence[Message]]) -> dict[str, list[Answer]]:
    """Tell all channels at once, each its messages in order, until one is not taken. Whoever takes too long is left behind."""
    answers: dict[str, list[Answer]] = {name: [] for name in batches}
    begun = time.monotonic()
    threads = {
        name: threading.Thread(target=_tell_one, args=(channels[name], messages, answers[name]), daemon=True)
        for name, messages in batches.items()
    }
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, begun + TELL_SECONDS * len(batches[name]) - time.monotonic()))
        if thread.is_alive():
            late = f"it did not take the message within {TELL_SECONDS:g} s"
            answers[name] = [*answers[name], Answer(name, channels[name].block, late, time.monotonic() - begun)]
    for answer in (one for found in answers.values() for one in found if one.error is not None):
        _log.warning("the channel %s took no message: %s", answer.channel, answer.error)
    return answers


def _tell_one(channel: Channel, messages: Sequence[Message], answers: list[Answer]) -> None:
    for message in messages:
        begun, error = time.monotonic(), None
        try:
            hide(*channel.secrets())
            channel.tell(Message(masked(message.subject), masked(message.body), message.mood))
        except NotifyingFailedError as failure:
            error = masked(failure.reason or failure.message)
        except HoldfastError as failure:
            error = masked(failure.what_and_why)
        answers.append(Answer(channel.name, channel.block, error, time.monotonic() - begun))
        if error is not None:
            return


def _channel_alarm(answer: Answer) -> Alarm:
    return Alarm(
        CHANNEL + answer.channel,
        f"The channel {answer.channel} takes no messages",
        f"A message could not be sent by it: {answer.error}",
        f"Look at its settings, and at its block {answer.block} on the Prefect server, "
        f"then run: holdfast notify test {answer.channel}",
    )
