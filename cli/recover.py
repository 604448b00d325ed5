"""`holdfast recover`: carry out a recovery plan, resume or undo an execution, answer one that waits for a person."""

from __future__ import annotations

import getpass
import socket
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output, progress, recover_text
from cli.app import Commands
from cli.audited import audited
from cli.flow_runs import ready_for_flows, shown
from cli.session import settings
from holdfast.errors import ExitCode, RecoveryFailedError, SettingsError

if TYPE_CHECKING:
    from holdfast.recovery.execution import Execution, StepRecord
    from holdfast.settings import Settings
    from orchestration.recovery.approval import Answer

commands = Commands("")

_MOST_LISTED = 50


class Mode(StrEnum):
    """How a plan is carried out."""

    RUN = "run"
    PLAN = "plan"
    DRILL = "drill"


Plan = Annotated[str | None, typer.Argument(metavar="PLAN", help="A plan of 'holdfast plans list'.", show_default=False)]
Resume = Annotated[
    str | None, typer.Option(metavar="EXECUTION", help="Go on with this execution where it stopped.", show_default=False)
]
RollBack = Annotated[
    str | None, typer.Option(metavar="EXECUTION", help="Undo what this execution did, the last step first.", show_default=False)
]
Approve = Annotated[
    str | None, typer.Option(metavar="EXECUTION", help="Agree to this execution, which waits for it.", show_default=False)
]
Deny = Annotated[
    str | None,
    typer.Option(metavar="EXECUTION", help="Refuse this execution, which ends without having done anything.", show_default=False),
]


@commands.command(rich_help_panel="Recover")
def recover(
    plan: Plan = None,
    *,
    trigger: Annotated[str, typer.Option(help="What started it; test_trigger makes it a drill.")] = "manual",
    mode: Annotated[
        Mode, typer.Option(help="run: do it. plan: look, and say what would be done. drill: do it on scratch targets.")
    ] = Mode.RUN,
    force: Annotated[bool, typer.Option("--force", help="Recover though nothing seems to be lost.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Agree beforehand, where a person has to.")] = False,
    resume: Resume = None,
    roll_back: RollBack = None,
    approve: Approve = None,
    deny: Deny = None,
    comment: Annotated[str, typer.Option(help="Kept with the answer of --approve or --deny.", show_default=False)] = "",
    listed: Annotated[bool, typer.Option("--list", help="List executions, the newest first.")] = False,
) -> None:
    """Carry out a recovery plan: look first, then bring back what is lost, step by step.

    What is well is left alone, and what was live is kept. Ends with 1 where a step failed: what to do then is said.
    """
    _require_one(plan, resume, roll_back, approve, deny, listed or None)
    loaded = settings()
    if listed:
        _list(loaded)
    elif approve or deny:
        _answer(loaded, approve or deny or "", agreed=approve is not None, comment=comment)
    elif resume or roll_back:
        _go_on(loaded, resume or roll_back or "", force=force, yes=yes, back=roll_back is not None)
    else:
        agreed_by = who() if yes else None
        _carry_out(loaded, plan_id=plan, trigger=trigger, mode=mode.value, force=force, approved_by=agreed_by)


def who() -> str:
    """Name who sits here."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a user without a name, as in a container
        return f"somebody@{socket.gethostname()}"


def _require_one(*given: object) -> None:
    if sum(one is not None for one in given) != 1:
        raise SettingsError(
            "recover takes one thing to do",
            reason="a plan, --resume, --roll-back, --approve, --deny or --list",
            next_step="'holdfast plans list' shows the plans, 'holdfast recover --list' the executions",
        )


def _carry_out(loaded: Settings, **parameters: Any) -> None:
    """Run the flow, tell each step as it ends, and what came of it all."""
    ready_for_flows(loaded)
    from blocks.names import own_defaults
    from flows.disaster_recovery import disaster_recovery
    from orchestration.recovery.approval import asked_by
    from orchestration.recovery.record import watched_by

    try:
        with shown("Recovering"), watched_by(_tell_step), asked_by(_ask):
            found = disaster_recovery(**parameters, **own_defaults(disaster_recovery, loaded.target))
    except RecoveryFailedError as error:
        if error.found is None:
            raise
        document = error.found
        output.result(document, lambda: recover_text.ended(document))
        raise typer.Exit(ExitCode.WORK_FAILED) from None
    output.result(found, lambda: recover_text.ended(found))


def _go_on(loaded: Settings, execution_id: str, *, force: bool, yes: bool, back: bool) -> None:
    from orchestration.recovery.record import find_execution

    plan_id = find_execution(execution_id).plan_id
    mode = "roll_back" if back else "run"
    approved_by = who() if yes else None
    _carry_out(loaded, plan_id=plan_id, mode=mode, resume=execution_id, force=force, approved_by=approved_by)


def _answer(loaded: Settings, execution_id: str, *, agreed: bool, comment: str) -> None:
    ready_for_flows(loaded)
    from orchestration.recovery.approval import Answer, give
    from orchestration.recovery.record import find_execution

    execution = find_execution(execution_id)
    with audited("recovery.approve" if agreed else "recovery.deny", loaded, execution.id, plan=execution.plan_id):
        give(execution, Answer(agreed, who(), comment))
    document = {"executionId": execution.id, "planId": execution.plan_id, "approved": agreed, "by": who()}
    output.result(document, lambda: recover_text.answered(document))


def _list(loaded: Settings) -> None:
    del loaded
    from orchestration.recovery.record import executions

    found = [_short(one) for one in executions(_MOST_LISTED)]
    output.result({"executions": found}, lambda: recover_text.listed(found))


def _short(execution: Execution) -> dict[str, Any]:
    return {name: value for name, value in execution.document().items() if name != "plan"}


def _tell_step(record: StepRecord) -> None:
    if line := recover_text.step_line(record):
        output.note(line)


def _ask(execution: Execution) -> Answer | None:
    """Ask whoever sits at the terminal; where there is none nobody answers, and what would have been asked is only shown."""
    from orchestration.recovery.approval import Answer, question

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        for line in question(execution):
            output.note(f"  {line}")
        return None
    console = output.console(stderr=True)
    with progress.aside():
        console.print()
        for line in question(execution):
            console.print(output.masked(line))
        agreed = typer.confirm("Go on, and change what is live?", default=False, err=True)
    return Answer(agreed, who())
