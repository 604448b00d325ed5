"""What a command that runs a flow does before and beside it: the Prefect server is up, its logs keep off the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cli import logs, progress
from holdfast.documents import Document
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.settings import Settings


def ready_for_flows(loaded: Settings) -> tuple[str, list[str]]:
    """Have the Prefect server up with blocks as the settings are now, and return its address and the blocks' names.

    Only after this may anything import Prefect.
    """
    from orchestration.server import ensure_prefect

    with progress.waiting("Waiting for the Prefect server"):
        address = ensure_prefect(loaded)
    logs.keep_prefect_quiet()
    from blocks.saving import register_and_save
    from orchestration.authorities import read_authorities_once

    read_authorities_once()
    with progress.waiting("Looking at the Prefect blocks"):
        return address, register_and_save(loaded)


@contextlib.contextmanager
def shown(what: str) -> Iterator[None]:
    """Show the progress of the jobs that flows run in this process; only after `ready_for_flows`.

    Raises PrefectUnreachableError where the server ends in the middle.
    """
    from prefect import tags

    from blocks.server import asked
    from orchestration.declared import TAG
    from orchestration.progress import watched_by

    with progress.counted(what, "bytes") as update, watched_by(update), asked("flows can't run without it"), tags(TAG):
        yield


def outcome_of(flow: Callable[..., Any], target: str | None, **parameters: Any) -> Document:
    """Run a flow with the target's own blocks, and return its document: that something is wrong is its outcome, and told so.

    Raises what kept the flow from finding anything.
    """
    from prefect.utilities.annotations import quote

    from blocks.names import own_defaults

    try:
        found: Document | quote = flow(**parameters, **own_defaults(flow, target))
    except HoldfastError as error:
        if not isinstance(document := getattr(error, "found", None), dict):
            raise
        return document
    return found.unwrap() if isinstance(found, quote) else found


def send_what_waits() -> None:
    """Have Prefect send the events and logs that it holds back, as it does at the end of a process."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all()
    APILogWorker.drain_all()
