"""What `holdfast alarm-drill` says of a message that arrived, one that did not, and of an alarm that would reach nobody."""

from __future__ import annotations

import pytest

from cli.alarm_drill import _document, _error
from holdfast.settings import Settings
from orchestration.alarm_drill import RECEIVER, Arrival

HERE = Arrival(RECEIVER, "on loopback", seconds=2.5)
GOOD = Arrival("slack", "slack-webhook/holdfast-notify-slack", seconds=3.1)
BAD = Arrival("email", "holdfast-email-message/holdfast-notify-email", problem="Notification failed: no such host")


def settings(**values: object) -> Settings:
    return Settings.model_construct(
        **{"notification_channels": ["email", "slack"], "enable_backup_notifications": True, **values}
    )


def test_a_message_that_arrived_everywhere_is_no_error() -> None:
    assert _error(settings(), [GOOD, HERE]) is None


def test_every_channel_that_took_no_message_is_named_with_its_reason() -> None:
    error = _error(settings(), [GOOD, BAD, HERE])
    assert error is not None
    assert (error.code, int(error.exit_code), error.reason) == ("HF-109", 1, "email: Notification failed: no such host")


@pytest.mark.parametrize(("on", "reason"), [(True, "no channel is set up"), (False, "BACKUP_ENABLE_NOTIFICATIONS is false")])
def test_an_alarm_that_would_reach_nobody_is_an_error(on: bool, reason: str) -> None:
    for arrivals in ([HERE], []):
        error = _error(settings(enable_backup_notifications=on), arrivals)
        assert error is not None
        assert error.reason == reason


def test_the_document_names_each_channel_and_those_that_are_not_set_up() -> None:
    document = _document("http://127.0.0.1:1/api", 10, settings(), [GOOD, HERE], ok=True)
    assert document["ok"]
    assert document["notSetUp"] == ["email"]
    assert document["channels"][0] == {
        "channel": "slack",
        "block": "slack-webhook/holdfast-notify-slack",
        "arrived": True,
        "seconds": 3.1,
        "problem": None,
    }
