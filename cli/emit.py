"""`holdfast emit`: tell what has happened, so that the recovery plans that listen to it start."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import jobs, logs, output, progress
from cli.app import Commands
from cli.audited import audited
from cli.session import settings
from holdfast.errors import PrefectUnreachableError, RecoveryFailedError, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings
    from orchestration.recovery.emitting import Emitted, Started

commands = Commands("")

Document = dict[str, Any]

_EXAMPLE = """Write it as --payload '{"table": "orders"}'"""

Event = Annotated[str, typer.Argument(metavar="EVENT", help="What has happened, such as database_unavailable.")]
Payload = Annotated[
    str | None,
    typer.Option("--payload", metavar="JSON", help="Facts for the plans, a JSON object; '-' reads stdin.", show_default=False),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the plans have ended, or wait for your approval.")]


@commands.command(rich_help_panel="Recover")
def emit(event: Event, payload: Payload = None, *, wait: Wait = False) -> None:
    """Emit an event: the recovery plans that listen to it start.

    With --wait the exit code is 1 where a plan did not succeed.
    """
    facts = _facts(payload)
    loaded = settings()
    _use_running_prefect(loaded)
    from orchestration.recovery.emitting import emit_event, followed

    with audited("event.emit", loaded, event), progress.waiting("Waiting for the plans that hear it"):
        emitted = emit_event(event, facts, loaded)
    if wait:
        with progress.waiting("Waiting for the plans to end"):
            emitted = followed(emitted)
    output.result(emitted.document(), lambda: _text(emitted))
    if any(_has_failed(one) for one in emitted.runs):
        raise typer.Exit(RecoveryFailedError.exit_code)


def _facts(payload: str | None) -> Document:
    """Read the payload. Raises SettingsError, which never repeats it."""
    if payload is None:
        return {}
    try:
        found = json.loads(sys.stdin.read() if payload == "-" else payload)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SettingsError("The payload is no JSON", reason=reason, next_step=_EXAMPLE) from None
    if not isinstance(found, dict):
        raise SettingsError("The payload is no JSON object", next_step=_EXAMPLE)
    return found


def _use_running_prefect(loaded: Settings) -> None:
    """Lead Prefect to the server that answers; none is started, for an event that no worker hears of helps nobody."""
    from orchestration.server import use_running_prefect

    if use_running_prefect(loaded) is None:
        raise PrefectUnreachableError(
            "No Prefect server answers, so that no plan can hear of the event",
            next_step="Recover by hand: holdfast recover PLAN ('holdfast plans list' shows them); or start 'holdfast serve'",
        )
    logs.keep_prefect_quiet()


def _has_failed(run: Started) -> bool:
    if run.execution is not None:
        return run.execution.status in ("failed", "partial")
    return run.has_ended and run.state != "Completed"


def _text(emitted: Emitted) -> Iterator[RenderableType]:
    yield jobs.headline("Emitted", emitted.event)
    yield output.facts(
        ("  Event", emitted.event_id),
        ("  Listening", ", ".join(emitted.plans) or "no plan, so that nothing starts"),
        ("  Paused", f"{', '.join(emitted.paused)}: in Prefect, or by BACKUP_ENABLE_RECOVERY" if emitted.paused else None),
        *((f"  {one.plan_id}", _how(one)) for one in emitted.runs),
    )
    yield output.facts(("Next", _next(emitted)))


def _how(run: Started) -> str:
    execution = run.execution
    if run.waits:
        return f"waits for your approval: {'' if execution is None else execution.id}"
    if execution is None:
        return f"{run.state}, as the run {run.name}"
    return f"{execution.status}: {execution.error or execution.id}"


def _next(emitted: Emitted) -> str:
    waiting = [one.execution.id for one in emitted.runs if one.waits and one.execution is not None]
    if waiting:
        return f"holdfast recover --approve {waiting[0]}, or --deny {waiting[0]}"
    if not emitted.plans:
        return "'holdfast plans list' shows what starts each plan; by hand: holdfast recover PLAN"
    if not emitted.worker_online:
        return "holdfast serve, for no worker takes these runs yet"
    if emitted.runs and all(one.has_ended for one in emitted.runs):
        return "holdfast recover --list shows what came of them"
    return "holdfast recover --list shows how far they are"
