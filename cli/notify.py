"""`holdfast notify …`: try out the channels that people are told by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output, progress
from cli.app import Commands
from cli.flow_runs import ready_for_flows
from cli.session import settings
from holdfast.errors import NotFoundError, NotifyingFailedError, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings
    from orchestration.notifying import Answer

commands = Commands("Try out the channels that people are told by.", no_args_is_help=True)

Report = dict[str, Any]


@commands.callback()
def group() -> None:
    """Try out the channels that people are told by."""  # with a callback `test` stays a command although it is the only one


@commands.command("test")
def try_out(
    channel: Annotated[str | None, typer.Argument(help="Only this channel.", show_default="all of the settings")] = None,
) -> None:
    """Send a test message by each channel, and tell what each said.

    Sent also while BACKUP_ENABLE_NOTIFICATIONS is false. The exit code is 1 where a channel took no message.
    """
    loaded = settings()
    ready_for_flows(loaded)
    found = _tried(loaded, [channel] if channel else list(loaded.notification_channels))
    if not loaded.enable_backup_notifications:
        output.note("BACKUP_ENABLE_NOTIFICATIONS is false: a test is sent, alarms are not.")
    output.result(found, lambda: _text(found))
    if any(one["state"] == "failed" for one in found):
        raise typer.Exit(NotifyingFailedError.exit_code)


def _tried(loaded: Settings, names: list[str]) -> list[Report]:
    """Try these; one that has no block is told, too. Raises SettingsError or NotFoundError where none has one."""
    from blocks.channels import NAMED, find_channels, why_not

    there = find_channels(loaded, names)
    lacking = {name: why_not(name, loaded) for name in names if name not in there}
    if not there:
        kind = SettingsError if all(name in NAMED for name in names) else NotFoundError
        raise kind(
            "No message can be sent",
            reason="; ".join(lacking.values()) or "BACKUP_NOTIFICATION_CHANNELS names no channel",
            next_step="docs/alarms.md shows how each channel is set up",
        )
    with progress.waiting("Sending"):
        answers = {one.channel: one for one in _sent(loaded, list(there))}
    return [_document(name, answers[name]) if name in answers else _not_there(name, lacking[name]) for name in names]


def _sent(loaded: Settings, names: list[str]) -> list[Answer]:
    """Send to all; one that failed before and takes it now is mended."""
    from holdfast.messages import Origin, trial_message
    from orchestration.notifying import announce, judgement_of, send

    answers = send(trial_message(Origin(loaded.target), datetime.now(UTC)), loaded, names)
    announce(judgement_of(one for one in answers if one.error is None), loaded)
    return answers


def _document(name: str, answer: Answer) -> Report:
    return {
        "channel": name,
        "block": answer.block,
        "state": "sent" if answer.error is None else "failed",
        "seconds": round(answer.seconds, 2),
        "error": answer.error and output.masked(answer.error),
    }


def _not_there(name: str, why: str) -> Report:
    return {"channel": name, "block": None, "state": "not set up", "seconds": None, "error": why}


def _text(found: list[Report]) -> Iterator[RenderableType]:
    table = output.table("Channel", "Block", "", "Took", right=("Took",))
    for one in found:
        took = "–" if one["seconds"] is None else f"{one['seconds']:.2f} s"
        table.add_row(one["channel"], one["block"] or "–", one["state"], took)
    yield table
    wrong = [(one["channel"], one["error"]) for one in found if one["error"]]
    if wrong:
        yield ""
        yield output.facts(*wrong)
