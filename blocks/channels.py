"""Channels by name: which notification block each is, made from the settings or saved by the user, and what it takes to tell it.

A channel of ours (`slack`) is the block `holdfast-notify-slack`, of whatever type; any other name is the name of a block of the
user's. A webhook's address is a secret: it is kept as one, and no error or log shows it.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import BlockDocument

from blocks.names import own_name
from blocks.server import asked
from blocks.server_objects import read_all
from holdfast.errors import NotifyingFailedError
from holdfast.secret_texts import secrets_of

if TYPE_CHECKING:
    from holdfast.messages import Message
    from holdfast.settings import Settings

NAMED = ("email", "slack", "teams", "pagerduty", "discord", "webhook")
"""The channels that are made from settings."""

_NEEDS = {
    "email": "BACKUP_SMTP_URL and BACKUP_EMAIL_TO",
    "slack": "BACKUP_SLACK_WEBHOOK_URL",
    "teams": "BACKUP_TEAMS_WEBHOOK_URL",
    "pagerduty": "BACKUP_PAGERDUTY_KEY",
    "discord": "BACKUP_DISCORD_WEBHOOK_URL",
    "webhook": "BACKUP_WEBHOOK_URL",
}
_LIMITS = {"discord": 1900, "pagerduty": 1000, "teams": 4000, "discord-webhook": 1900, "pager-duty-webhook": 1000}
"""How many characters these take at once, by channel or type of block."""

_MOST_CHARACTERS = 20_000
_MARKDOWN = ("teams", "ms-teams-webhook")
"""Where one line break is none."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel and the document of its block."""

    name: str
    document: BlockDocument

    @property
    def block(self) -> str:
        """Name its block as Prefect does."""
        return f"{_slug(self.document)}/{self.document.name}"

    def secrets(self) -> list[str]:
        """Name everything of it that must not be shown."""
        loaded = _loaded(self)
        found = [one.get_secret_value() for one in secrets_of(loaded)]
        values = getattr(loaded, "secrets", None)
        found += [str(one) for one in (values.get_secret_value() if values is not None else {}).values()]
        addresses = [text for text in [*found, str(getattr(loaded, "url", ""))] if "://" in text]
        parts = [urlsplit(text) for text in addresses]
        paths = [f"{one.path}?{one.query}" if one.query else one.path for one in parts]
        return [*found, *addresses, *(path for path in paths if len(path) > len("/api/notify"))]

    def tell(self, message: Message) -> None:
        """Have the block send a message. Raises NotifyingFailedError, whose reason may quote what a service said."""
        loaded = _loaded(self)
        _set_mood(loaded, message)
        kind = _slug(self.document)
        said = message.shortened(_LIMITS.get(self.name, _LIMITS.get(kind, _MOST_CHARACTERS)))
        body = said.body.replace("\n", "\n\n") if self.name in _MARKDOWN or kind in _MARKDOWN else said.body
        with _overheard() as lines:
            try:
                with loaded.raise_on_failure():
                    _finish(loaded.notify(body, subject=said.subject))
            except Exception as error:  # noqa: BLE001  a block of anybody's may raise anything
                reason = "; ".join(lines) or _reason(error)
                raise NotifyingFailedError(f"The channel {self.name} took no message", reason=reason) from None


def block_name(channel: str, target: str | None) -> str:
    """Name the block of a channel."""
    return own_name(f"holdfast-notify-{channel}", target) if channel in NAMED else channel


def missing(channel: str, settings: Settings) -> str | None:
    """Say what a channel of ours needs where the settings do not say it; a block that was saved by hand does without."""
    if channel not in NAMED or channel in _described(settings):
        return None
    address = "key" if channel == "pagerduty" else "address"
    return f"the channel {channel} has no {address}: set {_NEEDS[channel]}"


def why_not(channel: str, settings: Settings) -> str:
    """Say why a channel that has no block has none."""
    none = f"there is no notification block {block_name(channel, settings.target)} on the Prefect server"
    return missing(channel, settings) or none


def channel_blocks(settings: Settings) -> dict[str, Block]:
    """Make the blocks of all channels of which the settings say enough, by the names that they have without a target.

    Raises SettingsError.
    """
    if not _described(settings):
        return {}
    from blocks.channel_blocks import made_for

    return {f"holdfast-notify-{channel}": made_for(channel, settings) for channel in _described(settings)}


def find_channels(settings: Settings, names: Iterable[str] | None = None) -> dict[str, Channel]:
    """Find the channels that have a block: those of the settings, or these. Raises PrefectUnreachableError."""
    wanted = {name: block_name(name, settings.target) for name in names or settings.notification_channels}
    if not wanted:
        return {}
    with asked("the channels are blocks there"), get_client(sync_client=True) as client:
        documents = notification_blocks(client, wanted.values())
    newest: dict[str, BlockDocument] = {str(one.name): one for one in documents}
    return {name: Channel(name, newest[block]) for name, block in wanted.items() if block in newest}


def channels_in_use(settings: Settings) -> dict[str, Channel]:
    """Find the channels that are told, by name; none where notifications are off. Raises PrefectUnreachableError."""
    return find_channels(settings) if settings.enable_backup_notifications else {}


def notification_blocks(client: SyncPrefectClient, names: Iterable[str]) -> list[BlockDocument]:
    """Read the blocks of these names that can notify, whatever their types, the newest last."""
    found = read_all(
        client,
        "/block_documents/filter",
        block_documents={"name": {"any_": sorted(names)}, "is_anonymous": {"eq_": False}},
        block_schemas={"block_capabilities": {"all_": ["notify"]}},
        include_secrets=True,
    )
    return sorted((BlockDocument.model_validate(one) for one in found), key=lambda one: str(one.updated))


def _described(settings: Settings) -> list[str]:
    """Name the channels of which the settings say enough."""
    said: Mapping[str, Any] = {
        "email": settings.smtp_url and settings.email_to,
        "slack": settings.slack_webhook_url,
        "teams": settings.teams_webhook_url,
        "pagerduty": settings.pagerduty_key,
        "discord": settings.discord_webhook_url,
        "webhook": settings.webhook_url,
    }
    return [channel for channel in NAMED if said[channel]]


def _loaded(channel: Channel) -> NotificationBlock:
    """Make the block. The classes of Prefect's own and of ours are at hand; others need all collections, which takes seconds."""
    import prefect.blocks.notifications as prefects

    import blocks.notifications as ours

    kinds = [one for module in (prefects, ours) for one in vars(module).values() if isinstance(one, type)]
    known = {
        one.get_block_type_slug(): one for one in kinds if issubclass(one, NotificationBlock) and not inspect.isabstract(one)
    }
    try:
        made = known.get(_slug(channel.document), Block)._from_block_document(channel.document)
    except Exception as error:  # noqa: BLE001  what a block says of wrong values may quote them
        reason = f"what it holds is refused ({type(error).__name__})"
        raise NotifyingFailedError(f"The block {channel.block} can't be used", reason=reason) from None
    if not isinstance(made, NotificationBlock):
        raise NotifyingFailedError(f"The block {channel.block} can't be used", reason="it is no notification block")
    return made


def _slug(document: BlockDocument) -> str:
    return document.block_type.slug if document.block_type is not None else ""


def _set_mood(loaded: NotificationBlock, message: Message) -> None:
    """Say how grave it is, where the block can, and nobody has chosen otherwise."""
    if hasattr(loaded, "mood"):
        loaded.mood = message.mood
    if getattr(loaded, "notify_type", None) == "info":
        loaded.notify_type = message.mood  # type: ignore[attr-defined]


def _finish(answer: Any) -> None:
    if inspect.iscoroutine(answer):
        import asyncio

        asyncio.run(answer)


def _reason(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):  # its own text shows the address
        return f"it answers {error.response.status_code}"
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    if isinstance(error, NotificationError):
        return error.log or "it was not taken, and nothing is said of why"
    return f"{type(error).__name__}: {error}" if isinstance(error, httpx.TransportError | OSError) else type(error).__name__


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Hear what apprise says in this thread of a message that it could not send."""
    lines: list[str] = []
    thread = threading.get_ident()

    class _Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                lines.append(record.getMessage())

    listener = _Listener(logging.WARNING)
    logger = logging.getLogger("apprise")
    logger.addHandler(listener)
    try:
        yield lines
    finally:
        logger.removeHandler(listener)
