"""`holdfast alarm-drill`: prove that the alarm of a missed backup reaches those whom it is meant for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import jobs, output, progress
from cli.app import Commands
from cli.flow_runs import ready_for_flows
from cli.session import settings
from holdfast import figures
from holdfast.errors import NotifyingFailedError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings
    from orchestration.alarm_drill import Arrival

commands = Commands("")

Seconds = Annotated[int, typer.Option("--seconds", min=10, max=3600, metavar="N", help="How long the beat is withheld.")]


@commands.command("alarm-drill", rich_help_panel="Look")
def alarm_drill(seconds: Seconds = 10) -> None:
    """Prove the alarm: withhold a beat of a canary, and require that the message arrives.

    The Prefect server sends it by every channel, as it would for a backup that does not come. Ends with 1 where it did not arrive
    at all of them.
    """
    loaded = settings()
    address, _ = ready_for_flows(loaded)
    from orchestration.alarm_drill import drill_alarm
    from orchestration.job import in_force

    loaded = in_force(loaded)
    with progress.waiting(f"Withholding a beat for {seconds} seconds, then waiting for the message"):
        arrivals = drill_alarm(loaded, address, seconds)
    error = _error(loaded, arrivals)
    document = _document(address, seconds, loaded, arrivals, ok=error is None)
    output.result(document, lambda: _text(document))
    if error is not None:
        output.warn(str(error))
        raise typer.Exit(error.exit_code)


def _error(loaded: Settings, arrivals: list[Arrival]) -> NotifyingFailedError | None:
    """Say which channels the message did not reach; none at all is no alarm either."""
    from orchestration.alarm_drill import RECEIVER

    failed = [one for one in arrivals if not one.arrived]
    if failed:
        reason = "; ".join(f"{one.channel}: {one.problem}" for one in failed)
        return NotifyingFailedError("The alarm did not arrive everywhere", reason=reason, next_step="Try: holdfast notify test")
    if all(one.channel == RECEIVER for one in arrivals):
        off = "BACKUP_ENABLE_NOTIFICATIONS is false" if not loaded.enable_backup_notifications else "no channel is set up"
        return NotifyingFailedError("An alarm would reach nobody", reason=off, next_step="docs/alarms.md shows how to set one up")
    return None


def _document(address: str, seconds: int, loaded: Settings, arrivals: list[Arrival], *, ok: bool) -> dict[str, Any]:
    there = [
        {
            "channel": one.channel,
            "block": one.block,
            "arrived": one.arrived,
            "seconds": one.seconds,
            "problem": one.problem and output.masked(one.problem),
        }
        for one in arrivals
    ]
    names = {one.channel for one in arrivals}
    lacking = [name for name in loaded.notification_channels if name not in names]
    return {"prefect": {"url": address}, "withheldSeconds": seconds, "ok": ok, "channels": there, "notSetUp": lacking}


def _text(document: dict[str, Any]) -> Iterator[RenderableType]:
    for one in document["channels"]:
        if one["arrived"]:
            told = f"has the message, {figures.duration(one['seconds'])} after the beat was missed"
        else:
            told = f"has no message: {one['problem']}"
        yield jobs.headline(one["channel"], told, good=one["arrived"])
    for name in document["notSetUp"]:
        yield f"  {name} is not set up"
