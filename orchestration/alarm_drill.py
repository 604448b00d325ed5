"""Prove the alarm of a missed backup: a canary beats, its next beat is withheld, and the message has to arrive everywhere.

The Prefect server sends it, as it would for a backup. Whether each channel took it the server's own events say; a receiver that
this process opens beside them gets the message itself, where the server is on this machine. Nothing of a drill stays behind.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import ActionTypes, SendNotification
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from blocks.channels import channels_in_use
from blocks.notifications import WebhookMessage
from blocks.server import asked
from blocks.server_objects import read_all
from holdfast import figures
from holdfast.process_identity import is_known_dead_holder
from orchestration.automations import LOADING_SECONDS, absence, automation, send
from orchestration.declared import TAG
from orchestration.masking import masked
from orchestration.receiver import LOOPBACK, Receiver, listening

if TYPE_CHECKING:
    from holdfast.settings import Settings

RECEIVER = "this command"
"""What the receiver is called beside the channels."""

SHORTEST_SECONDS = 10
"""The shortest time that Prefect lets an absence last."""

ARRIVAL_SECONDS = 50.0
"""How long it may take from when the beat is missed until all is known: the server looks every five seconds, and writes its
events down every five, up to four times more where its database is locked."""

EACH_SECONDS = 5.0
"""How long it may take longer for each channel: the server sends two at a time, and a slow one has eight seconds and some."""

BEAT = "holdfast.canary.beat"
DRILL = "alarm-drill"
BLOCK_PREFIX = "holdfast-alarm-drill-"
_BEATS = 2
_POLL_SECONDS = 0.5
_OF_ANOTHER_HOST = timedelta(hours=1)
_HERE = (LOOPBACK, "localhost", "::1")
_TOOK, _DID_NOT = "prefect.automation.action.executed", "prefect.automation.action.failed"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of the message at one channel. `seconds` is how long it took from when the beat was missed."""

    channel: str
    block: str
    seconds: float | None = None
    problem: str | None = None

    @property
    def arrived(self) -> bool:
        return self.seconds is not None


def drill_alarm(settings: Settings, prefect_url: str, within_seconds: float = SHORTEST_SECONDS) -> list[Arrival]:
    """Withhold a beat and tell where the message arrived; first of all clean up after drills that died.

    Raises PrefectUnreachableError. Whatever happens, automation and block of the drill are removed.
    """
    with asked("it is to send the alarm"), get_client(sync_client=True) as client, ExitStack() as held:
        remove_dead_drills(client)
        drill = _Drill(client, timedelta(seconds=within_seconds))
        for name, channel in channels_in_use(settings).items():
            drill.blocks[name] = (channel.block, channel.document.id)
        if urlsplit(prefect_url).hostname in _HERE:
            held.enter_context(drill.received_here())
        return drill.run()


def remove_dead_drills(client: SyncPrefectClient) -> None:
    """Remove what drills left that died: those of this host whose process is gone, those of another after an hour."""
    for one in read_all(client, "/automations/filter"):
        if {TAG, DRILL} <= set(one["tags"]) and _is_dead(one["description"], one["created"]):
            client.delete_automation(UUID(one["id"]))
    drills = {"name": {"like_": BLOCK_PREFIX}, "is_anonymous": {"eq_": False}}
    for one in read_all(client, "/block_documents/filter", block_documents=drills, include_secrets=False):
        if one["name"].startswith(BLOCK_PREFIX) and _is_dead(str(one["data"].get("note")), one["created"]):
            _delete_block(client, UUID(one["id"]))


class _Drill:
    """One drill: the blocks that it sends by, by the channel's name, and what is heard of them."""

    def __init__(self, client: SyncPrefectClient, within: timedelta) -> None:
        self._client = client
        self._within = within
        self._id = secrets.token_hex(4)
        self._due = datetime.now(UTC)
        self._receiver: Receiver | None = None
        self.blocks: dict[str, tuple[str, UUID]] = {}

    @contextmanager
    def received_here(self) -> Iterator[None]:
        """Send to this process, too."""
        with listening() as self._receiver:
            block = WebhookMessage(url=SecretStr(self._receiver.url), note=_holder())
            try:
                block.save(BLOCK_PREFIX + self._id, overwrite=True)
                if block._block_document_id is not None:
                    self.blocks[RECEIVER] = ("on loopback", block._block_document_id)
                yield
            finally:
                if block._block_document_id is not None:
                    _delete_block(self._client, block._block_document_id)

    def run(self) -> list[Arrival]:
        """Arm the alarm, beat, and wait for what comes of the next beat's absence."""
        actions: list[ActionTypes] = [
            SendNotification(block_document_id=block, subject=self._subject, body=self._body) for _, block in self.blocks.values()
        ]
        if not actions:
            return []
        resource_id = f"holdfast.canary.{self._id}"
        trigger = absence(resource_id, self._within, after={BEAT}, expect=BEAT)
        canary = automation(f"holdfast alarm drill {self._id}", _holder(), trigger, actions, [TAG, DRILL])
        automation_id = self._client.create_automation(canary)
        try:
            self._beat(resource_id)
            return self._arrivals(automation_id)
        finally:
            self._client.delete_automation(automation_id)

    def _beat(self, resource_id: str) -> None:
        """Beat until the server surely heeds the automation, which it was told of just now; each beat begins the wait anew."""
        for _ in range(_BEATS):
            time.sleep(LOADING_SECONDS / _BEATS)
            self._due = datetime.now(UTC) + self._within
            send(self._client, BEAT, resource_id, {"drill": self._id})

    @property
    def _subject(self) -> str:
        return f"Holdfast: a drill of the alarm ({self._id})"

    @property
    def _body(self) -> str:
        return f"""\
This is a drill, and nothing is wrong: 'holdfast alarm-drill' on {socket.gethostname()} withheld a beat of the canary {self._id}.
What: no {BEAT} of it has come for more than {figures.span(self._within)}.
Since: {{{{ event.occurred.strftime('%Y-%m-%dT%H:%M:%SZ') }}}}.
What to do: nothing. A backup that does not come would be told in this way, by the Prefect server itself."""

    def _arrivals(self, automation_id: UUID) -> list[Arrival]:
        """Wait until it is known of each channel what became of the message, or it has taken too long."""
        patience = ARRIVAL_SECONDS + EACH_SECONDS * len(self.blocks)
        end = time.monotonic() + self._within.total_seconds() + patience
        found: dict[str, Arrival] = {}
        while self.blocks.keys() - found.keys() and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
            found |= self._told_by_server(automation_id) | self._received()
        fired = "the server has sent the alarm, but " if any(one.arrived for one in found.values()) else ""
        late = f"{fired}nothing was heard of this channel for {patience:g} s; look there, and into the Prefect server's log"
        return [found.get(name) or Arrival(name, block, problem=late) for name, (block, _) in self.blocks.items()]

    def _told_by_server(self, automation_id: UUID) -> dict[str, Arrival]:
        """Read from the server's events what its actions did. Of an arrival here this process knows better."""
        wanted = {"event": {"name": [_TOOK, _DID_NOT]}, "any_resource": {"id": [f"prefect.automation.{automation_id}"]}}
        answer = self._client.request("POST", "/events/filter", json={"filter": wanted, "limit": 50})
        found = {}
        for event in answer.json()["events"]:
            name = list(self.blocks)[event["payload"]["action_index"]]
            if event["event"] == _DID_NOT:
                found[name] = Arrival(name, self.blocks[name][0], problem=_why(event["payload"]))
            elif name != RECEIVER:
                found[name] = Arrival(name, self.blocks[name][0], seconds=self._late(datetime.fromisoformat(event["occurred"])))
        return found

    def _received(self) -> dict[str, Arrival]:
        """Tell whether the message has come to this process, with its text."""
        for at, body in self._receiver.messages if self._receiver is not None else ():
            said = json.loads(body)
            if said["subject"] == self._subject and f"of the canary {self._id}" in said["body"]:
                return {RECEIVER: Arrival(RECEIVER, self.blocks[RECEIVER][0], seconds=self._late(at))}
        return {}

    def _late(self, at: datetime) -> float:
        return round(max(0.0, (at - self._due).total_seconds()), 1)


def _why(payload: Mapping[str, Any]) -> str:
    parts = [str(payload[name]) for name in ("reason", "notification_log") if payload.get(name)]
    return masked(": ".join(parts) or "the server does not say why")


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_dead(holder: str, made_at: str) -> bool:
    if is_known_dead_holder(holder):
        return True
    of_here = holder.rpartition(":")[0] == socket.gethostname()
    return not of_here and datetime.now(UTC) - datetime.fromisoformat(made_at) > _OF_ANOTHER_HOST


def _delete_block(client: SyncPrefectClient, block_id: UUID) -> None:
    try:
        client.delete_block_document(block_id)
    except ObjectNotFound:  # it is gone, and that is what was wanted
        return
