"""Messages as somebody reads them at three in the morning, and who is told what and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.types import check_variable_value

from holdfast.alarms import Alarm
from holdfast.messages import Message, Origin, alarm_message, mended_message, trial_message
from holdfast.open_alarms import REMIND_AFTER, OpenAlarm, alarms_in, judged, still_open, variable_name

NOW = datetime(2026, 11, 28, 3, 10, tzinfo=UTC)
FAILING = Alarm(
    "database-failing",
    "The database backup fails",
    "The last 3 attempts have all failed, the newest of them, backup_c at 2026-11-28 03:00 UTC with: no connection",
    "Mend what the error says, then run: holdfast backup database",
    since=NOW - timedelta(hours=6),
    last_good="backup_a, made 2026-11-27 21:00 UTC, proven",
)
FULL = Alarm("storage-full", "The storage of backups is full", "no space is left", "Make room")
SHOP = Origin("shop", "db1")


def test_an_alarm_says_what_since_when_the_last_good_backup_and_what_to_do() -> None:
    message = alarm_message([OpenAlarm(FAILING, NOW)], SHOP, NOW)
    assert message.subject == "[Holdfast shop] The database backup fails"
    assert message.mood == "failure"
    assert message.body.splitlines() == [
        "The database backup fails.",
        f"What: {FAILING.what}",
        "Since: 2026-11-27 21:10 UTC (6 h)",
        "Last good backup: backup_a, made 2026-11-27 21:00 UTC, proven",
        "What to do: Mend what the error says, then run: holdfast backup database",
        "",
        "Target shop, told by db1 at 2026-11-28 03:10 UTC. How things stand: holdfast status",
    ]


def test_several_alarms_are_one_message_that_names_each() -> None:
    message = alarm_message([OpenAlarm(FAILING, NOW), OpenAlarm(FULL, NOW)], Origin(host="db1"), NOW)
    assert message.subject == "[Holdfast] 2 alarms: The database backup fails; The storage of backups is full"
    assert all(text in message.body for text in (FAILING.what, FULL.what, FAILING.next_step, FULL.next_step))
    assert message.body.count("told by db1") + message.body.count("Told by db1") == 1


def test_what_is_mended_says_for_how_long_it_was_so_and_what_shows_it() -> None:
    (one,) = judged(
        {FAILING.key: OpenAlarm(FAILING, NOW, {"email": NOW})},
        {FAILING.key: None},
        NOW + timedelta(hours=1),
        lambda _: "The newest good backup is backup_d",
    ).values()
    message = mended_message([one], SHOP, NOW + timedelta(hours=2))
    assert (message.subject, message.mood) == ("[Holdfast shop] Mended: The database backup fails", "success")
    assert "from 2026-11-27 21:10 UTC to 2026-11-28 04:10 UTC (7 h)" in message.body
    assert "The newest good backup is backup_d" in message.body


def test_what_is_open_still_and_what_is_only_a_test_say_so() -> None:
    assert "Still: The database backup fails" in alarm_message([OpenAlarm(FAILING, NOW)], SHOP, NOW, still=True).subject
    trial = trial_message(SHOP, NOW)
    assert (trial.subject, trial.mood) == ("[Holdfast shop] Test", "info")
    assert "nothing is to be done" in trial.body


@given(st.integers(min_value=200, max_value=3000), st.text(max_size=5000))
def test_a_message_that_is_too_long_is_cut_and_says_so(limit: int, body: str) -> None:
    cut = Message("subject", body).shortened(limit)
    assert len(cut.subject) + len(cut.body) <= limit or cut.body == body
    assert cut.body == body or cut.body.endswith("'holdfast status'.")


def test_each_channel_is_told_once_then_once_a_day_then_that_it_is_mended() -> None:
    at = NOW
    (one,) = judged({}, {FAILING.key: FAILING}, at).values()
    assert (one.news_for("email", at), one.news_for("slack", at)) == ("opened", "opened")
    one = one.heard("email", at)
    assert (one.news_for("email", at), one.news_for("slack", at)) == (None, "opened")
    assert one.news_for("email", at + REMIND_AFTER - timedelta(seconds=1)) is None
    assert one.news_for("email", at + REMIND_AFTER) == "still"
    one = one.heard("email", at + REMIND_AFTER)
    assert one.news_for("email", at + REMIND_AFTER) is None

    kept = judged({FAILING.key: one}, {FAILING.key: None}, at + timedelta(days=2))
    assert (kept[FAILING.key].news_for("email", at), kept[FAILING.key].news_for("slack", at)) == ("mended", None)
    assert still_open(kept) == []
    again = judged(kept, {FAILING.key: FAILING}, at + timedelta(days=2, minutes=5))[FAILING.key]
    assert (again.news_for("email", again.told["email"]), again.news_for("slack", at)) == (None, "opened")

    heard = kept[FAILING.key].heard("email", at + timedelta(days=2))
    assert judged({FAILING.key: heard}, {}, at) == {}


def test_what_nobody_was_told_of_just_ends_and_what_was_not_judged_stays() -> None:
    opened = judged({}, {FAILING.key: FAILING, FULL.key: FULL, "key": None}, NOW)
    assert set(opened) == {FAILING.key, FULL.key}
    assert set(judged(opened, {FAILING.key: None}, NOW)) == {FULL.key}


def test_a_channel_is_not_told_of_itself_that_it_fails() -> None:
    one = OpenAlarm(Alarm("channel-slack", "The channel slack takes no messages", "it answers 404", "Look"), NOW)
    assert (one.news_for("slack", NOW), one.news_for("email", NOW)) == (None, "opened")


def test_an_alarm_that_goes_on_is_since_its_beginning_and_says_the_newest() -> None:
    opened = judged({}, {FAILING.key: FAILING}, NOW)
    later = Alarm(FAILING.key, FAILING.title, "The last 4 attempts", "Look", since=NOW)
    (one,) = judged(opened, {FAILING.key: later}, NOW + timedelta(hours=1)).values()
    assert (one.since, one.alarm.what, one.opened_at) == (FAILING.since, "The last 4 attempts", NOW)


@pytest.mark.parametrize("target", [None, "shop", "shop-2"])
def test_alarms_are_kept_as_variables_of_their_target_alone(target: str | None) -> None:
    long = Alarm("config-rpo", "t" * 5000, "é" * 5000, "n" * 5000)
    told = {"email": NOW, "on-call": NOW + timedelta(seconds=1)}
    kept = judged({}, {"config-rpo": long, FAILING.key: FAILING}, NOW)
    kept[FAILING.key] = OpenAlarm(FAILING, NOW, told, NOW, "how")
    variables = [
        {"name": variable_name(key, of), "value": one.to_json()} for of in (None, "shop", "shop-2") for key, one in kept.items()
    ]
    assert [check_variable_value(one["value"]) for one in variables]  # Prefect takes no more than 5000 bytes
    variables = json.loads(json.dumps(variables))
    spoilt = {"name": variable_name("key", target), "value": {"key": "key"}}
    others = [{"name": "holdfast_alarms", "value": 1}, {"name": "theirs", "value": None}]
    assert alarms_in([*variables, spoilt, *others], target) == (kept, [spoilt["name"]])
