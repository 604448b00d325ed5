"""`holdfast drill`: rehearse bringing everything back, or a recovery plan, or break a sample and watch it come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli import figures, jobs, output
from cli.app import Commands
from cli.backup_types import BackupType
from cli.flow_runs import outcome_of, ready_for_flows, shown
from cli.session import settings
from holdfast.documents import Document
from holdfast.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings

commands = Commands("")

Types = Annotated[
    list[BackupType] | None,
    typer.Option("--type", help="Only this type; may be given several times.", show_default="all that are on"),
]
Plans = Annotated[
    list[str] | None,
    typer.Option("--plan", metavar="PLAN", help="Rehearse this recovery plan, or 'all'; may be given again.", show_default=False),
]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="NAME",
        help="Hold a game day: build a sample, break it so, or in 'all' ways, and watch it come back.",
        show_default=False,
    ),
]
Megabytes = Annotated[int, typer.Option(min=1, help="Size of a game day's sample database.")]


@commands.command(rich_help_panel="Back up and bring back")
def drill(kinds: Types = None, plans: Plans = None, faults: Faults = None, megabytes: Megabytes = 12) -> None:
    """Bring the newest good backup of each type back into scratch, time it, compare it, and tear it down.

    With --plan the steps of recovery plans are rehearsed. Nothing live is touched either way. Ends with 5 where something did not
    come back as it was.

    With --fault a sample of its own is built in the home, and really broken, while the health monitor and the plans see to it.
    Ends with 1 where it did not come back.
    """
    if sum(bool(one) for one in (kinds, plans, faults)) > 1:
        raise SettingsError("Only one of --type, --plan and --fault can be given", reason="they are drills of three kinds")
    if faults:
        _game_day(faults, megabytes)
    elif plans:
        _of_plans(plans)
    else:
        _of_restores(kinds)


def _of_restores(kinds: list[BackupType] | None) -> None:
    loaded = settings()
    ready_for_flows(loaded)
    with shown("Bringing back"):
        from flows.recovery_drill import recovery_drill

        found = outcome_of(recovery_drill, loaded.target, types=[kind.value for kind in kinds] if kinds else None)
    output.result(found, lambda: drill_text(found))
    if not found["ok"]:
        raise typer.Exit(ExitCode.DAMAGED)


def _of_plans(plans: list[str]) -> None:
    loaded = settings()
    _require_there(loaded, plans)
    ready_for_flows(loaded)
    with shown("Rehearsing"):
        from flows.plan_drill import plan_drill

        found = outcome_of(plan_drill, loaded.target, plans=plans)
    output.result(found, lambda: plans_text(found))
    if not found["ok"]:
        raise typer.Exit(ExitCode.DAMAGED)


def _require_there(loaded: Settings, plans: list[str]) -> None:
    """Raise NotFoundError for a plan that there is not."""
    from holdfast.recovery.plan_book import PlanBook

    book = PlanBook(loaded)
    for plan_id in (one for one in plans if one != "all"):
        book.find(plan_id)


def _game_day(names: list[str], megabytes: int) -> None:
    from cli.fault_recovery import lines
    from cli.game_day import chosen, game_day, home_of_game_days

    wanted = chosen(names)
    with game_day(home_of_game_days(), output.note, megabytes) as day:
        found = day.meet_each(wanted)
    left = [fault.name for fault in wanted[len(found) :]]
    ok = all(one.ok for one in found)
    output.result({"ok": ok, "faults": [one.document() for one in found], "notDone": left}, lambda: lines(found, left))
    if not ok:
        raise typer.Exit(ExitCode.WORK_FAILED)


def drill_text(found: Document) -> Iterator[RenderableType]:
    """Tell what came back, how long it took and of how many bytes, and what is wrong with the rest."""
    whole = figures.duration(found["seconds"])
    if found["ok"]:
        yield jobs.headline("All came back", f"in {whole}, one after the other")
    else:
        yield jobs.headline(str(found["jobId"]), "did not bring everything back", good=False)
    measured = ("Restored in", "Size")
    table = output.table("Type", "Backup", *measured, "Equal to its source", right=measured, whole=("Type", "Backup", *measured))
    for one in found["types"]:
        took = figures.duration(one["seconds"]) if one["seconds"] is not None else "–"
        table.add_row(one["type"], one["backupId"] or "–", took, figures.size(one["sizeBytes"]), "yes" if one["ok"] else "no")
    yield table
    for one in found["types"]:
        yield from (f"  {one['type']}: {problem}" for problem in one["problems"])
    yield from (f"  {note}" for note in found.get("notes", []))


def plans_text(found: Document) -> Iterator[RenderableType]:
    """Tell which plans passed their drill, and how long that took beside what they estimate."""
    passed = sum(one["ok"] for one in found["plans"])
    yield jobs.headline(f"{passed} of {figures.count(len(found['plans']), 'plan')}", "passed the drill", good=found["ok"])
    measured = ("Took", "Estimated")
    table = output.table("Plan", "Outcome", *measured, "Execution", right=measured, whole=("Plan", *measured, "Execution"))
    for one in found["plans"]:
        times = (figures.duration(one["seconds"]), figures.duration(one["estimatedSeconds"]))
        table.add_row(one["planId"], one["status"], *times, one["executionId"] or "–")
    yield table
    yield from (f"  {one['planId']}: {output.masked(one['error'])}" for one in found["plans"] if one["error"])
