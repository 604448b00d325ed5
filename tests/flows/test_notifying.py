"""Who is told of alarms, and when: on a real Prefect server, by webhooks and a mail server on loopback."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate
from prefect.events import AutomationCore, EventTrigger, emit_event
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import Posture
from pydantic import SecretStr

from blocks import BackupStorage, DatabaseTarget, EmailMessage
from blocks.channels import why_not
from flows.database_backup import database_backup
from flows.verification import verification
from holdfast.alarms import Alarm, Judgement
from holdfast.errors import BusyError, HoldfastError, VerificationFailedError
from holdfast.messages import Message
from holdfast.open_alarms import REMIND_AFTER
from holdfast.opening import open_or_create_repository
from holdfast.settings import Settings
from orchestration import alarm_book, notifying
from orchestration.alarm_book import LOCK, AlarmBook
from orchestration.masking import hide
from orchestration.notifying import announce, open_alarms, send
from orchestration.prefect_objects.reading import read_prefect_objects
from tests.flows.conftest import Installation
from tests.receivers import Receiver, http_receiver, mail_server

GOOD, OTHER = "told-good", "told-other"
KEY_ALARM = Alarm("key", "The key of the backups is missing or wrong", "there is no key", "Set BACKUP_ENCRYPTION_KEY_FILE")
FULL = Alarm("storage-full", "The storage of backups is full", "no space is left", "Make room")
SECRET = "canary-in-an-alarm-9b2c"

AT_ONCE = """
import sys
from holdfast.alarms import Alarm
from holdfast.settings import load_settings
from orchestration.notifying import announce
settings = load_settings().model_copy(update={"target": sys.argv[1], "notification_channels": [sys.argv[2]]})
print("ready", flush=True)
sys.stdin.readline()
announce({"key": Alarm("key", "The key is missing", "there is none", "Set it")}, settings)
"""


@pytest.fixture(scope="module")
def receivers(installation: Installation) -> Iterator[tuple[Receiver, Receiver]]:
    """Two webhooks that are blocks of the user's."""
    with http_receiver() as good, http_receiver() as other:
        for name, receiver in ((GOOD, good), (OTHER, other)):
            json_data = {"subject": "{{subject}}", "body": "{{body}}"}
            url = f"{receiver.url}/canary-of-a-hook"
            CustomWebhookNotificationBlock(name=name, url=url, json_data=json_data).save(name, overwrite=True)
        yield good, other


@pytest.fixture
def good(receivers: tuple[Receiver, Receiver]) -> Receiver:
    return receivers[0]


@pytest.fixture
def other(receivers: tuple[Receiver, Receiver]) -> Receiver:
    return receivers[1]


@pytest.fixture(autouse=True)
def _as_new(receivers: tuple[Receiver, Receiver]) -> None:
    for receiver in receivers:
        receiver.got.clear()
        receiver.status, receiver.hangs = 200, False


@pytest.fixture
def settings(installation: Installation, receivers: tuple[Receiver, Receiver]) -> Settings:
    """Settings of a target that has no alarms yet."""
    changes = {"target": f"t{uuid4().hex[:12]}", "notification_channels": [GOOD, OTHER]}
    return installation.settings.model_copy(update=changes)


def subjects(receiver: Receiver) -> list[str]:
    return [document["subject"].partition("] ")[2] for _, document in receiver.got]


def opened(*alarms: Alarm) -> Judgement:
    return {alarm.key: alarm for alarm in alarms}


def test_an_alarm_is_told_once_by_each_channel_and_its_mending_once(settings: Settings, good: Receiver, other: Receiver) -> None:
    for _ in range(3):
        announce(opened(KEY_ALARM), settings)
    assert subjects(good) == subjects(other) == [KEY_ALARM.title]
    assert [one.alarm for one in open_alarms(settings)] == [KEY_ALARM]
    announce({}, settings)  # nobody could look
    assert len(good.got) == 1
    for _ in range(2):
        announce({"key": None}, settings, lambda _: "The key is there again")
    assert subjects(good) == subjects(other) == [KEY_ALARM.title, f"Mended: {KEY_ALARM.title}"]
    assert "The key is there again" in good.got[1][1]["body"]
    assert open_alarms(settings) == []
    assert AlarmBook(settings.target).read() == {}


def test_what_opens_at_once_is_one_message_and_what_is_open_is_told_again_after_a_day(
    settings: Settings, good: Receiver, other: Receiver
) -> None:
    announce(opened(KEY_ALARM, FULL), settings)
    assert subjects(good) == [f"2 alarms: {KEY_ALARM.title}; {FULL.title}"[: 120 - len(f"[Holdfast {settings.target}] ")]]
    book = AlarmBook(settings.target)
    before = book.read()
    yesterday = datetime.now(UTC) - REMIND_AFTER
    book.write(before, {key: replace(one, told={GOOD: yesterday, OTHER: datetime.now(UTC)}) for key, one in before.items()})
    for _ in range(2):
        announce(opened(KEY_ALARM), settings)
    assert len(good.got) == 2
    assert "Still: " in good.got[1][1]["subject"]
    assert len(other.got) == 1


def test_a_channel_that_fails_is_told_by_the_other_and_gets_what_it_missed_when_it_works_again(
    settings: Settings, good: Receiver, other: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    other.status = 500
    for _ in range(2):
        announce(opened(KEY_ALARM), settings)
    fails = f"The channel {OTHER} takes no messages"
    assert subjects(good) == [KEY_ALARM.title, fails]
    assert "it answers 500" in good.got[1][1]["body"]
    assert f"holdfast notify test {OTHER}" in good.got[1][1]["body"]
    assert [one.alarm.key for one in open_alarms(settings)] == ["key", f"channel-{OTHER}"]
    assert "canary" not in caplog.text

    other.status = 200
    other.got.clear()
    for _ in range(2):
        announce(opened(KEY_ALARM), settings)
    assert subjects(other) == [KEY_ALARM.title]
    assert subjects(good)[2:] == [f"Mended: {fails}"]
    assert [one.alarm.key for one in open_alarms(settings)] == ["key"]


def test_what_nobody_took_is_tried_again_and_what_was_mended_before_is_told_to_nobody(
    settings: Settings, good: Receiver, other: Receiver
) -> None:
    good.status = other.status = 503
    announce(opened(KEY_ALARM), settings)
    announce(opened(FULL), settings)
    good.got.clear()
    other.got.clear()
    good.status = other.status = 200
    announce({"key": None}, settings)
    assert subjects(good) == subjects(other) == [FULL.title]  # nothing of a channel that failed, and of which nobody knew
    assert {one.alarm.key for one in open_alarms(settings)} == {"storage-full"}


def test_a_channel_that_hangs_holds_nobody_up(
    settings: Settings, good: Receiver, other: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "TELL_SECONDS", 0.7)
    other.hangs = True
    began = time.monotonic()
    announce(opened(KEY_ALARM), settings)
    assert time.monotonic() - began < 5
    assert subjects(good) == [KEY_ALARM.title, f"The channel {OTHER} takes no messages"]
    assert "it did not take the message within 0.7 s" in good.got[1][1]["body"]
    other.released.set()


def test_alarms_are_shown_but_not_told_where_notifications_are_off_or_no_channel_is_set_up(
    settings: Settings, good: Receiver
) -> None:
    off = settings.model_copy(update={"enable_backup_notifications": False})
    announce(opened(KEY_ALARM), off)
    assert good.got == []
    assert [one.alarm.key for one in open_alarms(off)] == ["key"]
    nothing = settings.model_copy(update={"notification_channels": ["teams", "nobodys"]})
    announce(opened(KEY_ALARM), nothing)
    assert why_not("teams", nothing) == "the channel teams has no address: set BACKUP_TEAMS_WEBHOOK_URL"
    assert why_not("nobodys", nothing) == "there is no notification block nobodys on the Prefect server"
    announce(opened(KEY_ALARM), settings)
    assert subjects(good) == [KEY_ALARM.title]


def test_open_alarms_are_no_configuration_that_a_restore_would_bring_back(settings: Settings) -> None:
    announce(opened(KEY_ALARM), settings)
    assert [name for name in read_prefect_objects()["variables"] if name.startswith("holdfast_")] == []


def test_no_secret_is_told_or_kept(settings: Settings, good: Receiver) -> None:
    hide(SECRET)
    announce(opened(replace(KEY_ALARM, what=f"refused {SECRET}", next_step=f"look at {SECRET}")), settings)
    send(Message("report", f"has {SECRET}"), settings)
    with get_client(sync_client=True) as client:
        kept = client.request("POST", "/variables/filter", json={}).text
    assert KEY_ALARM.title in kept
    assert len(good.got) == 2
    assert SECRET not in kept + "".join(good.texts)


def test_two_processes_that_see_an_alarm_at_once_send_one_message(
    installation: Installation, settings: Settings, good: Receiver
) -> None:
    arguments = [sys.executable, "-c", AT_ONCE, str(settings.target), GOOD]
    environment = os.environ | {"PREFECT_API_URL": installation.prefect_url}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(arguments, env=environment, **pipes) for _ in range(2)]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in both:
        one.communicate(timeout=60)
        assert one.returncode == 0
    assert subjects(good) == ["The key is missing"]


@contextmanager
def held_by_somebody(target: str | None, until: datetime) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        value = {"holder": "elsewhere:1", "until": until.isoformat()}
        client.create_variable(VariableCreate(name=f"{LOCK}_{target}", value=value))
        yield client


def test_what_a_process_that_died_while_telling_left_is_told_by_the_next(
    settings: Settings, good: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with held_by_somebody(settings.target, datetime.now(UTC) - timedelta(seconds=1)) as client:
        announce(opened(KEY_ALARM), settings)
        assert subjects(good) == [KEY_ALARM.title]
        assert "elsewhere:1 died" in caplog.text
        assert client.read_variable_by_name(f"{LOCK}_{settings.target}") is None


def test_an_alarm_is_not_lost_where_another_run_holds_the_book_for_too_long(
    settings: Settings, good: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held: Callable[..., Any] = AlarmBook.held
    monkeypatch.setattr(AlarmBook, "held", lambda self: held(self, 0.3))
    with held_by_somebody(settings.target, datetime.now(UTC) + timedelta(minutes=1)) as client:
        announce(opened(KEY_ALARM), settings)
        assert good.got == []
        assert "elsewhere:1" in caplog.text
        with pytest.raises(BusyError), AlarmBook(settings.target).held():
            pass
        client.delete_variable_by_name(f"{LOCK}_{settings.target}")
    announce({}, settings)
    assert subjects(good) == [KEY_ALARM.title]


def test_a_spoilt_variable_is_told_in_the_log_and_written_anew(
    settings: Settings, good: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with get_client(sync_client=True) as client:
        client.create_variable(VariableCreate(name=f"holdfast_alarm_{settings.target}_key", value={"by": "hand"}))
    announce(opened(KEY_ALARM), settings)
    announce(opened(KEY_ALARM), settings)
    assert subjects(good) == [KEY_ALARM.title]
    assert "holds no alarm" in caplog.text


def test_the_prefect_server_sends_mail_by_our_block_from_its_own_automations(installation: Installation) -> None:
    with mail_server() as server, get_client(sync_client=True) as client:
        block = EmailMessage(smtp_url=SecretStr(f"smtp://127.0.0.1:{server.port}"), to=["a@example.com"])
        name = f"t{uuid4().hex}"
        block.save(name)
        assert block._block_document_id is not None
        action = SendNotification(block_document_id=block._block_document_id, subject="By the server", body="It works.")
        trigger = EventTrigger(expect={name}, posture=Posture.Reactive, threshold=1)
        made = client.create_automation(AutomationCore(name=name, trigger=trigger, actions=[action]))
        try:
            end = time.monotonic() + 30
            while not server.mails and time.monotonic() < end:
                emit_event(event=name, resource={"prefect.resource.id": name})
                time.sleep(0.5)
        finally:
            client.delete_automation(made)
            client.delete_block_document(block._block_document_id)
    assert (server.mails[0]["Subject"], server.mails[0].get_content().strip()) == ("By the server", "It works.")


@pytest.fixture
def story(
    installation: Installation, receivers: tuple[Receiver, Receiver], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Back up into a repository of its own, told by the two channels; `broken` from a database that does not answer."""
    monkeypatch.setenv("BACKUP_NOTIFICATION_CHANNELS", f"{GOOD},{OTHER}")
    monkeypatch.setenv("BACKUP_STORAGE_PATH", str(tmp_path / "kept"))
    chosen = installation.settings
    open_or_create_repository(chosen)
    BackupStorage.of(chosen).save("told-storage", overwrite=True)
    DatabaseTarget(url=SecretStr("postgresql://nobody@127.0.0.1:9/none")).save("told-broken", overwrite=True)

    def back_up(*, broken: bool = False) -> dict[str, Any]:
        if not broken:
            return database_backup(storage="told-storage")
        with pytest.raises(HoldfastError):
            database_backup(storage="told-storage", database="told-broken")
        return {}

    return back_up


def test_three_failures_are_one_message_a_fourth_is_none_and_success_is_one_and_a_bad_backup_is_told_at_once(
    installation: Installation,
    story: Callable[..., dict[str, Any]],
    good: Receiver,
    other: Receiver,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.WARNING)
    first = story()
    alarm_book.AlarmBook(None).write(alarm_book.AlarmBook(None).read(), {})  # what other tests have left open
    good.got.clear()
    other.got.clear()

    for expected in ([], [], ["The database backup fails"], ["The database backup fails"]):
        story(broken=True)
        assert subjects(good) == subjects(other) == expected
    body = good.got[0][1]["body"]
    assert "The last 3 attempts have all failed" in body
    assert f"Last good backup: {first['jobId']}, made" in body
    assert "holdfast backup database" in body
    assert [one.alarm.key for one in open_alarms(installation.settings)] == ["database-failing"]

    second = story()
    assert subjects(good)[1:] == subjects(other)[1:] == ["Mended: The database backup fails"]
    assert f"The newest good backup is {second['jobId']}" in good.got[1][1]["body"]

    for chunk in (tmp_path / "kept" / "chunks").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    with pytest.raises(VerificationFailedError):
        verification(storage="told-storage", level="read")
    assert len(good.got) == len(other.got) == 3
    assert "database backup" in good.got[2][1]["subject"]
    assert alarm_book.AlarmBook(None).read().keys() == {"database-bad"}
    alarm_book.AlarmBook(None).write(alarm_book.AlarmBook(None).read(), {})
