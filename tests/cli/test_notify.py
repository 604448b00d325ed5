"""`holdfast notify test`, and what `init` says of channels: a person sees what works, what fails and what is not set up."""

from __future__ import annotations

from tests.cli.conftest import Shop
from tests.receivers import Receiver, http_receiver

TOKEN = "canary-of-a-hook-77aa"


def test_a_test_message_goes_by_each_channel_and_each_is_told_of(shop: Shop) -> None:
    with http_receiver() as good, http_receiver(status=500) as broken:
        changes = {
            "BACKUP_NOTIFICATION_CHANNELS": "webhook,discord,pagerduty",
            "BACKUP_WEBHOOK_URL": f"{good.url}/{TOKEN}",
            "BACKUP_DISCORD_WEBHOOK_URL": f"{broken.url}/{TOKEN}",
        }
        found = shop.home.json("notify", "test", code=1, **changes)
        assert [(one["channel"], one["state"]) for one in found] == [
            ("webhook", "sent"),
            ("discord", "failed"),
            ("pagerduty", "not set up"),
        ]
        assert found[0]["block"] == "holdfast-webhook-message/holdfast-notify-webhook"
        assert found[1]["error"] == "it answers 500"
        assert found[2]["error"] == "the channel pagerduty has no key: set BACKUP_PAGERDUTY_KEY"
        assert _tests(good) == 1

        ran = shop.home.run("notify", "test", "webhook", BACKUP_ENABLE_NOTIFICATIONS="false", **changes)
        assert (ran.code, _tests(good)) == (0, 2)
        assert "sent" in ran.out
        assert "alarms are not" in ran.err
        assert TOKEN not in str(found) + ran.out + ran.err


def _tests(receiver: Receiver) -> int:
    """Count what was sent as a test; alarms of the home's other tests may come, too."""
    return sum(document["subject"] == "[Holdfast] Test" for _, document in receiver.got)


def test_channels_that_can_not_be_used_are_told_by_init_and_refused_by_a_test(shop: Shop) -> None:
    assert shop.initialized["channels"] == [
        {
            "name": "email",
            "block": None,
            "missing": "the channel email has no address: set BACKUP_SMTP_URL and BACKUP_EMAIL_TO",
        },
        {"name": "slack", "block": None, "missing": "the channel slack has no address: set BACKUP_SLACK_WEBHOOK_URL"},
    ]
    error = shop.home.error(2, "notify", "test")
    assert "BACKUP_SMTP_URL" in error["reason"]
    assert "nobodys" in shop.home.error(3, "notify", "test", "nobodys")["reason"]
