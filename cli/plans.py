"""`holdfast plans …`: the recovery plans. They are found though the catalog is gone, and changed where it is there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import figures, jobs, logs, output, progress
from cli.app import Commands
from cli.audited import audited
from cli.session import settings
from holdfast.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.recovery.plan import Plan, Step
    from holdfast.recovery.plan_book import PlanBook, PlanList
    from holdfast.settings import Settings

_LATER = "No Prefect server answers: what starts plans follows at the next 'holdfast serve', 'deploy' or look of the monitor"

commands = Commands("Recovery plans: what starts them, and what they do.", no_args_is_help=True)

PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="Which plan; 'holdfast plans list' shows them.")]
PlanIds = Annotated[list[str] | None, typer.Argument(metavar="PLAN …", help="Which plans; none named: all.", show_default=False)]
File = Annotated[str, typer.Argument(metavar="FILE|-", help="A plan, or a list of plans, as YAML or JSON; - reads stdin.")]


@commands.command("list")
def list_plans() -> None:
    """List the plans, the most urgent first."""
    loaded = settings()
    found = _book(loaded).all()
    _tell(found.note, *(error.what_and_why for error in found.unreadable))
    untested = found.untested(loaded.plan_test_days, datetime.now(UTC))
    documents = [_described(plan, found.origin) | {"untested": plan.id in untested} for plan in found.plans]
    output.result(documents, lambda: _table(found, untested) if found.plans else "There is no recovery plan.")


@commands.command()
def show(plan_id: PlanId) -> None:
    """Show a plan with its steps."""
    found = _book(settings()).find(plan_id)
    _tell(found.note)
    output.result(_described(found.plan, found.origin), lambda: _in_full(found.plan))


@commands.command()
def add(
    file: File,
    replace: Annotated[bool, typer.Option("--replace", help="Change a plan that is there; its executions stay.")] = False,
) -> None:
    """Add plans, all of the file or none. Their events start them from now on."""
    loaded, plans = settings(), _read(file)
    names = ", ".join(plan.id for plan in plans)
    with audited("plan.replace" if replace else "plan.add", loaded, names):
        replaced = _book(loaded).add(plans, replace=replace)
    document = {
        "added": [plan_id for plan_id, was_there in replaced.items() if not was_there],
        "replaced": [plan_id for plan_id, was_there in replaced.items() if was_there],
    }
    done = [f"{plan_id} is {'changed' if was_there else 'added'}" for plan_id, was_there in replaced.items()]
    _changed(loaded, document, done)


@commands.command()
def remove(plan_id: PlanId) -> None:
    """Remove a plan. What it has done stays on record; 'init' does not make it again."""
    loaded = settings()
    with audited("plan.remove", loaded, plan_id):
        _book(loaded).remove(plan_id)
    _changed(loaded, {"removed": plan_id}, [f"{plan_id} is removed"])


@commands.command()
def enable(plan_id: PlanId) -> None:
    """Let a plan's events start it again."""
    _switch(plan_id, True)


@commands.command()
def disable(plan_id: PlanId) -> None:
    """Keep a plan's events from starting it; it can still be started by hand."""
    _switch(plan_id, False)


@commands.command()
def validate(file: File) -> None:
    """Check plans without adding them. Needs no catalog."""
    plans = _read(file)
    document = {"valid": True, "plans": [plan.document() for plan in plans]}
    output.result(document, lambda: [jobs.headline(plan.id, _sum(plan)) for plan in plans])


@commands.command()
def export(plan_ids: PlanIds = None) -> None:
    """Print plans as YAML, as 'add' reads them; with --json, as a list."""
    from holdfast.recovery.plan_file import write_plans

    book = _book(settings())
    if plan_ids:
        plans = [book.find(plan_id).plan for plan_id in plan_ids]
    else:
        found = book.all()
        _tell(found.note, *(error.what_and_why for error in found.unreadable))
        plans = found.plans
    if not plans:
        raise NotFoundError("There is no recovery plan to export", next_step="'holdfast init' makes the default plans")
    output.result([plan.document() for plan in plans], lambda: _verbatim(write_plans(plans)))


def _book(loaded: Settings) -> PlanBook:
    from holdfast.recovery.plan_book import PlanBook

    return PlanBook(loaded)


def _switch(plan_id: str, enabled: bool) -> None:
    loaded = settings()
    with audited("plan.enable" if enabled else "plan.disable", loaded, plan_id):
        _book(loaded).enable(plan_id, enabled)
    _changed(loaded, {"planId": plan_id, "enabled": enabled}, [f"{plan_id} is {'on' if enabled else 'off'}"])


def _read(file: str) -> list[Plan]:
    from holdfast.recovery.plan_file import LONGEST, read_plans

    try:
        with nullcontext(sys.stdin) if file == "-" else Path(file).open(encoding="utf-8") as opened:
            text = opened.read(LONGEST + 1)  # a device never ends
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise SettingsError(f"{file} can't be read", reason=reason) from None
    return read_plans(text, "stdin" if file == "-" else file)


def _changed(loaded: Settings, document: dict[str, Any], done: Sequence[str]) -> None:
    """Have the deployments of the plans follow, and tell what was done."""
    followed = _follow(loaded)
    output.result(
        document | {"deployments": followed},
        lambda: [*(jobs.headline(*one.split(" ", 1)) for one in done), *([_LATER] if followed is None else followed)],
    )


def _follow(loaded: Settings) -> list[str] | None:
    """Have the deployments follow, and tell how; None where that has to wait."""
    logs.keep_prefect_quiet()
    from orchestration.following import follow_plans

    with progress.waiting("Having the Prefect server follow"):
        followed = follow_plans(loaded)
    if followed.problem:
        output.warn(f"the plan is kept, but its deployment could not be changed: {followed.problem}")
    return followed.changes


def _tell(*notes: str | None) -> None:
    for note in notes:
        if note:
            output.warn(note)


def _described(plan: Plan, origin: str) -> dict[str, Any]:
    return plan.document() | {"origin": origin}


def _table(found: PlanList, untested: frozenset[str]) -> RenderableType:
    shown = output.table(
        "Plan", "Priority", "State", "Approval", "Minutes", "Tested", "Started by", right=("Minutes",), whole=("Plan",)
    )
    for plan in found.plans:
        shown.add_row(
            plan.id,
            plan.priority,
            "on" if plan.enabled else "off",
            "asked for" if plan.requires_approval else "–",
            str(plan.estimated_recovery_time),
            _tested(plan) + (", too long ago" if plan.id in untested else ""),
            ", ".join(plan.triggers) or "by hand only",
        )
    return shown


def _in_full(plan: Plan) -> Iterator[RenderableType]:
    yield jobs.headline(plan.id, f"({plan.name})", good=True if plan.enabled else None)
    yield output.facts(
        ("  Purpose", plan.description or None),
        ("  Priority", plan.priority),
        ("  State", "on" if plan.enabled else "off: no event starts it"),
        ("  Started by", ", ".join(plan.triggers) or "by hand only"),
        ("  Approval", "a person has to agree before anything live is changed" if plan.requires_approval else "nobody is asked"),
        ("  Estimated", f"{plan.estimated_recovery_time} minutes"),
        ("  Tested", _tested(plan)),
    )
    yield ""
    yield _steps(plan.steps)


def _steps(steps: Sequence[Step]) -> RenderableType:
    shown = output.table(
        "Step", "Type", "Minutes", "Retries", "After", "Parameters", right=("Minutes", "Retries"), whole=("Step",)
    )
    for step in sorted(steps, key=lambda one: one.order):
        given = ", ".join(f"{name}: {_value(value)}" for name, value in step.parameters.items())
        shown.add_row(step.id, step.type, f"{step.timeout:g}", str(step.retry_count), ", ".join(step.dependencies) or "–", given)
    return shown


def _value(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tested(plan: Plan) -> str:
    return figures.moment(plan.last_tested) if plan.last_tested else "never"


def _sum(plan: Plan) -> str:
    steps = len(plan.steps)
    return f"can be used: {steps} step{'' if steps == 1 else 's'}, started by {', '.join(plan.triggers) or 'hand only'}"


def _verbatim(text: str) -> list[RenderableType]:
    """Print a text as it is: a console would break its long lines."""
    sys.stdout.write(text)
    return []
