"""Channels as blocks: made from settings, found by name, and what really arrives at services and mail servers on loopback."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.blocks.abstract import NotificationError
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument, BlockType
from pydantic import SecretStr, ValidationError

from blocks import EmailMessage
from blocks.channel_blocks import made_for
from blocks.channels import Channel, block_name, channel_blocks, find_channels, missing, notification_blocks
from blocks.saving import register_and_save
from holdfast.errors import NotifyingFailedError, SettingsError
from holdfast.messages import Message
from holdfast.settings import Settings, load_settings
from orchestration.masking import hide, masked
from tests.receivers import Authority, Receiver, authority, http_receiver, mail_server, proxy_to

PASSWORD = "canary/of:the@mail 100%"
QUOTED = "canary%2Fof%3Athe%40mail%20100%25"
TOKEN = "canary-of-a-webhook-5d1f"
MESSAGE = Message("[Holdfast shop] The database backup fails", "What: no.\nWhat to do: look.", "failure")
SLACK = "https://hooks.slack.com/services/T00000000/B00000000/canaryOfSlack0000000000"
DISCORD = "https://discord.com/api/webhooks/123456789/canaryOfDiscord"
TEAMS = (
    "https://prod-12.westeurope.logic.azure.com:443/workflows/643e69f83c8944/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=canaryOfTeams"
)
SERVICES = ("hooks.slack.com", "discord.com", "events.pagerduty.com", "prod-12.westeurope.logic.azure.com")

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),  # a block that is loaded tells the server
    pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning"),  # of the mail server, and just what is tried here
]


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKUP_STORAGE_PATH", str(tmp_path / "kept"))


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that this process trusts."""
    made = authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.file))
    return made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as made:
        yield made


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"BACKUP_{name.upper()}", value)
    return load_settings()


def saved(block: Any, name: str) -> Channel:
    """Make a channel of a block as the server would give it."""
    kind = BlockType(name=block.get_block_type_name(), slug=block.get_block_type_slug())
    some_id = uuid4()
    shape = {"block_schema_id": some_id, "block_type_id": some_id, "block_schema": block._to_block_schema(block_type_id=some_id)}
    data = block.model_dump(mode="json", include=set(type(block).model_fields), context={"include_secrets": True})
    return Channel(name, BlockDocument(name=f"holdfast-notify-{name}", data=data, block_type=kind, **shape))


# Mail


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_mail_goes_over_starttls_with_a_login_whatever_is_in_the_password(host: str, trusted: Authority) -> None:
    with mail_server(host, users={"me": PASSWORD}, starttls=trusted.server("127.0.0.2")) as server:
        block = EmailMessage(
            smtp_url=SecretStr(f"smtp://me:{QUOTED}@{host}:{server.port}"),
            to=["a@example.com", "b@example.com"],
            sender="h@example.com",
        )
        with block.raise_on_failure():
            block.notify("Zeile eins – ok\nline two", subject="One\nsubject é")
    assert server.sessions == [(True, "me")]
    (mail,) = server.mails
    assert (mail["Subject"], mail["From"], mail["To"]) == ("One subject é", "h@example.com", "a@example.com, b@example.com")
    assert mail.get_content().splitlines() == ["Zeile eins – ok", "line two"]
    assert mail["Auto-Submitted"] == "auto-generated"


def test_mail_goes_over_tls_from_the_beginning_and_over_a_relay_without_a_login(trusted: Authority) -> None:
    with mail_server("127.0.0.2", smtps=trusted.server("127.0.0.2")) as safe, mail_server() as relay:
        for url in (f"smtps://127.0.0.2:{safe.port}", f"smtp://127.0.0.1:{relay.port}"):
            block = EmailMessage(smtp_url=SecretStr(url), to=["a@example.com"])
            with block.raise_on_failure():
                block.notify("text")
    assert (safe.sessions, relay.sessions) == ([(True, None)], [(False, None)])
    assert relay.mails[0]["From"] == "a@example.com"


def test_no_password_is_sent_in_clear_and_no_certificate_is_taken_for_another(trusted: Authority) -> None:
    plain = mail_server("127.0.0.2", users={"me": PASSWORD})
    other = mail_server("127.0.0.2", users={"me": PASSWORD}, starttls=trusted.server("mail.example.com"))
    for kept, said in ((plain, "is not sent in clear"), (other, "certificate verify failed")):
        with kept as server:
            url = SecretStr(f"smtp://me:{QUOTED}@127.0.0.2:{server.port}")
            block = EmailMessage(smtp_url=url, to=["a@example.com"])
            with block.raise_on_failure(), pytest.raises(NotificationError) as raised:
                block.notify("text")
        assert said in raised.value.log
        assert server.mails == []


def test_why_a_mail_was_not_taken_is_told_in_the_servers_words_and_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with mail_server(users={"me": "another"}) as server, mail_server(refuses={"gone@example.com"}) as picky:
        wrong = EmailMessage(smtp_url=SecretStr(f"smtp://me:{QUOTED}@127.0.0.1:{server.port}"), to=["a@example.com"])
        with wrong.raise_on_failure(), pytest.raises(NotificationError) as raised:
            wrong.notify("text")
        assert "535" in raised.value.log

        gone = EmailMessage(smtp_url=SecretStr(f"smtp://127.0.0.1:{picky.port}"), to=["gone@example.com"])
        with gone.raise_on_failure(), pytest.raises(NotificationError) as raised:
            gone.notify("text")
        assert "gone@example.com is refused: 550 no such mailbox" in raised.value.log

        some = EmailMessage(smtp_url=SecretStr(f"smtp://127.0.0.1:{picky.port}"), to=["gone@example.com", "a@example.com"])
        with some.raise_on_failure():
            some.notify("text")
        assert len(picky.mails) == 1
    assert "refused gone@example.com" in caplog.text
    EmailMessage(smtp_url=SecretStr("smtp://127.0.0.1:9"), to=["a@example.com"]).notify("nobody asked for an error")
    assert "the mail was not sent: [Errno 111]" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("url", ["http://canary@host", "smtp://", "smtp://me:canary/x@host", "canary", "smtp://h:70000"])
def test_what_is_no_mail_server_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValidationError) as raised:
        EmailMessage(smtp_url=SecretStr(url), to=["a@example.com"])
    assert "smtp" in str(raised.value)
    assert "canary" not in str(raised.value)


# Webhooks


def test_each_service_gets_its_own_form_at_any_address(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    url = f"{receiver.url}/{TOKEN}"
    chosen = settings(monkeypatch, slack_webhook_url=url, teams_webhook_url=url, discord_webhook_url=url, webhook_url=url)
    for channel in ("slack", "teams", "discord", "webhook"):
        saved(made_for(channel, chosen), channel).tell(MESSAGE)
    slack, teams, discord, webhook = (document for _, document in receiver.got)
    text = f"{MESSAGE.subject}\n{MESSAGE.body}"
    assert (slack, discord) == ({"text": text}, {"content": text})
    assert webhook == {"subject": MESSAGE.subject, "body": MESSAGE.body}
    first, second = teams["attachments"][0]["content"]["body"]
    assert (first["text"], second["text"]) == (MESSAGE.subject, MESSAGE.body.replace("\n", "\n\n"))


def test_the_services_themselves_get_what_prefects_own_blocks_send(monkeypatch: pytest.MonkeyPatch, trusted: Authority) -> None:
    chosen = settings(
        monkeypatch,
        slack_webhook_url=SLACK,
        discord_webhook_url=DISCORD,
        teams_webhook_url=TEAMS,
        pagerduty_key="canaryOfPagerDuty",
    )
    monkeypatch.setenv("NO_PROXY", "")
    with http_receiver(trusted.server(*SERVICES), status=202) as services, proxy_to(services) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("https_proxy", proxy)
        for channel in ("slack", "discord", "pagerduty", "teams"):
            block = made_for(channel, chosen)
            assert (type(block).__module__ == "prefect.blocks.notifications") == (channel != "pagerduty")
            if channel in ("slack", "discord"):
                services.status = 200
            saved(block, channel).tell(MESSAGE)
            services.status = 202
    assert [where.partition("/")[0].partition(":")[0] for where, _ in services.got] == list(SERVICES)
    for text in services.texts:
        assert MESSAGE.subject in text
        assert "look." in text
    assert services.got[2][1]["payload"]["severity"] == "critical"


def test_a_message_is_never_longer_than_the_service_takes(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    chosen = settings(monkeypatch, discord_webhook_url=receiver.url)
    saved(made_for("discord", chosen), "discord").tell(Message("s" * 100, "b" * 5000))
    text = receiver.got[0][1]["content"]
    assert len(text) <= 2000
    assert "holdfast status" in text


def test_what_a_service_refuses_is_told_without_its_address(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status = 403
    url = f"{receiver.url}/hooks/{TOKEN}"
    by_hand = CustomWebhookNotificationBlock(name="mine", url=url, json_data={"t": "{{body}}"})
    of_settings = made_for("slack", settings(monkeypatch, slack_webhook_url=url))
    for channel in (saved(of_settings, "slack"), saved(by_hand, "mine")):
        hide(*channel.secrets())
        with pytest.raises(NotifyingFailedError) as raised:
            channel.tell(MESSAGE)
        assert raised.value.reason == "it answers 403"
    assert masked(url) != url
    of_settings.notify("nobody asked for an error")
    assert "the message was not sent: it answers 403" in caplog.text
    assert TOKEN not in caplog.text
    nobody = saved(CustomWebhookNotificationBlock(name="x", url="http://127.0.0.1:9/", json_data={}), "x")
    with pytest.raises(NotifyingFailedError) as raised:
        nobody.tell(MESSAGE)
    assert "Connection refused" in str(raised.value.reason)


def test_settings_that_no_block_can_hold_are_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as raised:
        channel_blocks(settings(monkeypatch, smtp_url="smtp//canary", email_to="a@example.com"))
    assert "the channel email" in str(raised.value).lower()
    assert "canary" not in str(raised.value)
    with pytest.raises(SettingsError) as raised:
        channel_blocks(settings(monkeypatch, smtp_url="smtp://ok", webhook_url="canary"))
    assert "canary" not in str(raised.value)


def test_what_a_channel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(monkeypatch, smtp_url="smtp://host")
    assert missing("email", chosen) == "the channel email has no address: set BACKUP_SMTP_URL and BACKUP_EMAIL_TO"
    assert missing("pagerduty", chosen) == "the channel pagerduty has no key: set BACKUP_PAGERDUTY_KEY"
    assert missing("on-call", chosen) is None
    assert missing("email", settings(monkeypatch, email_to="a@example.com")) is None
    assert (block_name("slack", "shop"), block_name("on-call", "shop")) == ("shop-notify-slack", "on-call")


# On a server


def test_channels_are_saved_where_settings_describe_them_and_a_users_own_are_found_and_kept(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    SlackWebhook(url=SecretStr(SLACK)).save("holdfast-notify-slack", overwrite=True)
    CustomWebhookNotificationBlock(name="on-call", url=f"{receiver.url}/x", json_data={"t": "{{body}}"}).save(
        "on-call", overwrite=True
    )
    values = {"notification_channels": "email,slack,on-call,nobodys", "smtp_url": f"smtp://me:{QUOTED}@127.0.0.1:9"}
    chosen = settings(monkeypatch, email_to="a@example.com", **values)

    assert "holdfast-notify-email" in register_and_save(chosen)
    found = find_channels(chosen)
    assert {name: one.block for name, one in found.items()} == {
        "email": "holdfast-email-message/holdfast-notify-email",
        "slack": "slack-webhook/holdfast-notify-slack",
        "on-call": "custom-webhook/on-call",
    }
    found["on-call"].tell(MESSAGE)
    assert receiver.got[0][1] == {"t": MESSAGE.body}
    assert PASSWORD in found["email"].secrets() or any(QUOTED in one for one in found["email"].secrets())

    register_and_save(settings(monkeypatch, slack_webhook_url=f"{receiver.url}/{TOKEN}"))
    (slack,) = find_channels(load_settings(), ["slack"]).values()
    assert (
        slack.block == "holdfast-webhook-message/holdfast-notify-slack"
    )  # the one before is gone, else the channel would be two
    with get_client(sync_client=True) as client:
        assert len(notification_blocks(client, ["holdfast-notify-slack"])) == 1
        shown = client.request("POST", "/block_documents/filter", json={"limit": 200}).json()
    assert TOKEN not in json.dumps(shown)
    assert "canary" not in json.dumps(shown).replace("canary-of-a-webhook", TOKEN)


def test_saving_channels_again_writes_nothing(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    url = f"{receiver.url}/{TOKEN}"
    chosen = settings(monkeypatch, webhook_url=url, teams_webhook_url=TEAMS, pagerduty_key="k" * 32, discord_webhook_url=DISCORD)
    register_and_save(chosen)
    before = {
        name: one.document.updated for name, one in find_channels(chosen, ["webhook", "teams", "pagerduty", "discord"]).items()
    }
    assert len(before) == 4
    register_and_save(chosen)
    assert before == {name: one.document.updated for name, one in find_channels(chosen, list(before)).items()}
