"""What the Prefect server watches by itself: a backup that does not come is told, with nothing of Holdfast at work."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.events import EventTrigger
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.states import Running
from pydantic import SecretStr

from blocks.channels import channels_in_use
from blocks.notifications import EmailMessage, WebhookMessage
from holdfast.settings import Settings
from orchestration import automations
from orchestration.alarm_drill import BLOCK_PREFIX, RECEIVER, Arrival, drill_alarm, remove_dead_drills
from orchestration.automations import (
    COMPLETED,
    LOADING_SECONDS,
    SILENT_RUNS,
    apply_automations,
    missed_backup,
    remove_automations,
    send,
    wanted_automations,
)
from orchestration.receiver import Receiver, listening
from tests.flows.conftest import Installation
from tests.receivers import MailServer, http_receiver, mail_server

THE_CHANNEL = "watching-people"
BY_MAIL = "watching-by-mail"
REFUSES, NOBODY = "watching-refuses", "watching-nobody"
TOKEN = "canary-of-a-hook-9b31"


@dataclass(frozen=True)
class Watched:
    """Settings with a channel that leads to a receiver, and the server's client."""

    settings: Settings
    client: SyncPrefectClient
    people: Receiver
    mail: MailServer
    url: str

    def automations(self) -> dict[str, Automation]:
        return {one.name: one for one in self.client.read_automations()}


@pytest.fixture(scope="module")
def watched(installation: Installation) -> Iterator[Watched]:
    with listening() as people, mail_server() as mail, get_client(sync_client=True) as client:
        remove_automations(client, None)  # a health monitor of another test has made some
        address = SecretStr(f"smtp://{mail.host}:{mail.port}")
        letters = EmailMessage(smtp_url=address, to=["ops@example.org"], sender=None)
        letters.save(BY_MAIL, overwrite=True)
        block = WebhookMessage(url=SecretStr(people.url))
        block.save(THE_CHANNEL, overwrite=True)
        settings = installation.settings.model_copy(update={"notification_channels": [THE_CHANNEL, BY_MAIL, "slack"]})
        yield Watched(settings, client, people, mail, installation.prefect_url)
        remove_automations(client, None)
        for one in (block, letters):
            assert one._block_document_id is not None
            client.delete_block_document(one._block_document_id)


def changed(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update=values)


def test_each_type_that_is_on_is_watched_and_watching_again_changes_nothing(watched: Watched) -> None:
    missed = missed_backup("database", None)
    assert apply_automations(watched.settings) == [f"{SILENT_RUNS}: watched", f"{missed}: watched"]
    made = watched.automations()
    assert apply_automations(watched.settings) == []
    assert watched.automations() == made
    trigger = made[missed].trigger
    assert isinstance(trigger, EventTrigger)
    assert trigger.within == timedelta(hours=30)
    assert trigger.match.model_dump() == {"prefect.resource.id": "holdfast.database"}


def test_of_two_that_were_made_at_once_one_stays_so_that_nothing_is_told_twice(watched: Watched) -> None:
    apply_automations(watched.settings)
    missed = watched.automations()[missed_backup("database", None)]
    watched.client.create_automation(AutomationCore(**missed.model_dump(include=set(AutomationCore.model_fields))))
    assert apply_automations(watched.settings) == [f"{missed.name}: no more"]
    assert [one.name for one in watched.client.read_automations()].count(missed.name) == 1
    assert apply_automations(watched.settings) == []


def test_an_interval_and_the_channels_renew_what_watches_and_what_somebody_paused_stays_paused(watched: Watched) -> None:
    missed = missed_backup("database", None)
    apply_automations(watched.settings)
    before = watched.automations()[missed]
    watched.client.pause_automation(before.id)
    assert apply_automations(changed(watched.settings, database_backup_interval=0.5)) == [f"{missed}: renewed"]
    after = watched.automations()[missed]
    assert isinstance(after.trigger, EventTrigger)
    assert (after.id, after.enabled, after.trigger.within) == (before.id, False, timedelta(minutes=45))
    assert apply_automations(changed(watched.settings, enable_backup_notifications=False)) == [f"{missed}: no more"]


def test_nothing_watches_a_type_that_is_off_or_that_nobody_could_be_told_of(watched: Watched) -> None:
    channels = channels_in_use(watched.settings)
    assert list(channels) == [THE_CHANNEL, BY_MAIL], "a channel without a block is no channel"
    assert len(wanted_automations(watched.settings, channels)) == 2
    off = changed(watched.settings, enable_database_backup=False)
    for wanted in (wanted_automations(off, channels), wanted_automations(watched.settings, {})):
        assert [one.name for one in wanted] == [SILENT_RUNS]


def test_automations_of_other_people_and_other_targets_are_never_touched(watched: Watched) -> None:
    of_a_target = changed(watched.settings, target="shop")
    apply_automations(watched.settings)
    apply_automations(of_a_target)
    theirs = automations.automation(missed_backup("database", None), "theirs", watched.automations()[SILENT_RUNS].trigger, [], [])
    theirs.actions = watched.automations()[SILENT_RUNS].actions
    their_id = watched.client.create_automation(theirs)
    try:
        assert apply_automations(watched.settings) == []
        with_target = missed_backup("database", "shop")
        trigger = watched.automations()[with_target].trigger
        assert isinstance(trigger, EventTrigger)
        assert trigger.match.model_dump() == {"prefect.resource.id": "holdfast.shop.database"}
        assert remove_automations(watched.client, "shop") == [with_target]
        assert SILENT_RUNS in remove_automations(watched.client, None)
        assert watched.client.read_automation(their_id) is not None
    finally:
        watched.client.delete_automation(their_id)


@dataclass(frozen=True)
class Outcome:
    """What came of a time in which neither a backup, nor the heartbeat of a run, nor the beat of a canary came."""

    arrivals: list[Arrival]
    messages: list[dict[str, str]]
    silent: FlowRun
    living: FlowRun
    shown: str
    """All that the server shows of it: its log, and its events."""


@pytest.fixture(scope="module")
def outcome(watched: Watched) -> Outcome:
    """Wait for all of it at once, with automations that are the real ones but for their patience."""
    apply_automations(watched.settings, begin=False)
    real = watched.automations()
    hurried = {name: _hurried(real[name]) for name in (missed_backup("database", None), SILENT_RUNS)}
    made = [watched.client.create_automation(one) for one in hurried.values()]
    try:
        time.sleep(LOADING_SECONDS)
        silent, living = (watched.client.create_flow_run(waits, tags=["holdfast"], state=Running()) for _ in range(2))
        _beat(watched.client, silent)
        _beat(watched.client, living)
        last = {"jobId": "backup_1_a", "completedAt": "2026-01-02T03:04:05Z", "verifiedLevel": "proven"}
        send(watched.client, COMPLETED, "holdfast.database", last)
        channels = [THE_CHANNEL, BY_MAIL, REFUSES, NOBODY]
        with _beating(watched.client, living), _that_take_nothing(watched.client):
            arrivals = drill_alarm(changed(watched.settings, notification_channels=channels), watched.url)
        seen = [watched.client.read_flow_run(one.id) for one in (silent, living)]
    finally:
        for automation_id in made:
            watched.client.delete_automation(automation_id)
    logs = "".join(file.read_text(errors="replace") for file in watched.settings.home.rglob("*.log"))
    events = watched.client.request("POST", "/events/filter", json={"filter": {"event": {"prefix": ["prefect.automation"]}}}).text
    return Outcome(arrivals, [json.loads(text) for _, text in watched.people.messages], *seen, logs + events)


@contextmanager
def _that_take_nothing(client: SyncPrefectClient) -> Iterator[None]:
    """Save a channel whose service refuses each message, and one where nobody listens."""
    with http_receiver(status=403) as refusing:
        blocks = {
            REFUSES: WebhookMessage(url=SecretStr(f"{refusing.url}/{TOKEN}")),
            NOBODY: WebhookMessage(url=SecretStr(f"http://127.0.0.1:9/{TOKEN}")),
        }
        ids = [block.save(name, overwrite=True) for name, block in blocks.items()]
        yield
        for block_id in ids:
            client.delete_block_document(block_id)


def test_a_backup_that_does_not_come_is_told_by_the_server_itself(outcome: Outcome) -> None:
    (told,) = [one for one in outcome.messages if "drill" not in one["subject"]]
    assert told["subject"] == "Holdfast: no database backup for more than 30 h"
    assert "Since: 2026-01-02T03:04:05Z." in told["body"]
    assert "Last good backup: backup_1_a, completed 2026-01-02T03:04:05Z, proven." in told["body"]
    assert "run: holdfast backup database" in told["body"]


def test_a_run_whose_heart_has_stopped_is_ended_and_one_that_lives_is_not(outcome: Outcome) -> None:
    assert outcome.silent.state is not None
    assert outcome.silent.state_name == "Crashed"
    assert "has not been heard of" in str(outcome.silent.state.message)
    assert outcome.living.state_name == "Running"


def test_a_drill_tells_where_the_message_has_arrived_and_leaves_nothing(outcome: Outcome, watched: Watched) -> None:
    arrived = {one.channel: one.seconds for one in outcome.arrivals if one.arrived}
    assert arrived.keys() == {THE_CHANNEL, BY_MAIL, RECEIVER}
    assert all(seconds is not None and seconds < 20 for seconds in arrived.values())
    (drilled,) = [one for one in outcome.messages if "drill" in one["subject"]]
    assert "nothing is wrong" in drilled["body"]
    assert {mail["Subject"] for mail in watched.mail.mails} == {one["subject"] for one in outcome.messages}
    assert not [name for name in watched.automations() if "drill" in name]
    assert not [one for one in watched.client.read_block_documents() if str(one.name).startswith(BLOCK_PREFIX)]


def test_a_channel_that_takes_no_message_is_told_with_its_reason_and_its_address_is_shown_nowhere(outcome: Outcome) -> None:
    assert {one.channel: one.problem for one in outcome.arrivals if not one.arrived} == {
        REFUSES: "Notification failed: it answers 403",
        NOBODY: "Notification failed: it can't be reached: Connection refused",
    }
    assert "it answers 403" in outcome.shown
    assert "Action failed" in outcome.shown
    assert TOKEN not in outcome.shown


def test_a_drill_that_is_interrupted_leaves_nothing(watched: Watched) -> None:
    environment = os.environ | {"BACKUP_NOTIFICATION_CHANNELS": THE_CHANNEL}
    command = [sys.executable, "-c", "from cli.main import run; raise SystemExit(run(['alarm-drill']))"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as drill:
        try:
            end = time.monotonic() + 40
            while not (armed := [name for name in watched.automations() if "alarm drill" in name]) and time.monotonic() < end:
                time.sleep(0.1)
            assert armed
            drill.send_signal(signal.SIGINT)
            output, _ = drill.communicate(timeout=30)
        finally:
            drill.kill()
    assert drill.returncode == 130, output
    assert not [name for name in watched.automations() if "alarm drill" in name]
    assert not [one for one in watched.client.read_block_documents() if str(one.name).startswith(BLOCK_PREFIX)]


def test_what_a_drill_left_that_died_is_removed_and_a_running_one_is_left_alone(watched: Watched) -> None:
    trigger = automations.absence("holdfast.canary.x", timedelta(seconds=10), after={"a"}, expect="a")
    actions = automations._ends_silent_runs().actions
    holders = {"dead": f"{socket.gethostname()}:{2**22 + 1}", "alive": f"{socket.gethostname()}:1", "elsewhere": "elsewhere:7"}
    made = {}
    for name, holder in holders.items():
        one = automations.automation(f"drill {name}", holder, trigger, actions, ["holdfast", "alarm-drill"])
        made[name] = watched.client.create_automation(one)
    block = WebhookMessage(url=SecretStr("http://127.0.0.1:1/"), note=holders["dead"])
    block.save(f"{BLOCK_PREFIX}dead")
    try:
        remove_dead_drills(watched.client)
        left = watched.automations()
        assert {name for name in holders if f"drill {name}" in left} == {"alive", "elsewhere"}
        names = [one.name for one in watched.client.read_block_documents()]
        assert THE_CHANNEL in names
        assert f"{BLOCK_PREFIX}dead" not in names
    finally:
        for name in ("alive", "elsewhere"):
            watched.client.delete_automation(made[name])


@flow
def waits() -> None:
    """A flow that is never run: only its runs' states matter here."""


def _hurried(real: Automation) -> AutomationCore:
    """Make the same automation with no more patience than Prefect asks for."""
    said = real.model_dump(exclude={"id"})
    said["trigger"]["within"] = timedelta(seconds=10)
    return AutomationCore.model_validate({**said, "name": f"{real.name} at once", "tags": []})


@contextmanager
def _beating(client: SyncPrefectClient, run: FlowRun) -> Iterator[None]:
    """Have the heart of a run beat meanwhile."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(3):
            _beat(client, run)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()


def _beat(client: SyncPrefectClient, run: FlowRun) -> None:
    """Send the heartbeat that Prefect's engine sends for a run, which it does no more often than every half a minute."""
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name},
        "related": [{"prefect.resource.id": "prefect.tag.holdfast", "prefect.resource.role": "tag"}],
    }
    client._client.post("/events", json=[event]).raise_for_status()
