"""`holdfast audit`: who did what, and the proof that nothing of that was changed. Nothing is started for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import figures, jobs, output, progress
from cli.app import Commands
from cli.session import settings
from holdfast.errors import SettingsError
from holdfast.since import moment_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.audit.verification import Verification

commands = Commands("The audit log: who did what, and whether any of it was changed.", no_args_is_help=True)

Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only since then: 24h, 7d, or a time as 2027-01-31T08:00.", show_default=False),
]


@commands.command("list")
def list_lines(
    since: Since = None,
    actor: Annotated[str | None, typer.Option(help="Only what this token or user did.", show_default=False)] = None,
    action: Annotated[str | None, typer.Option(help="Only this, such as plan.remove.", show_default=False)] = None,
    subject: Annotated[str | None, typer.Option(help="Only what was done to this.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
) -> None:
    """List what was done, the newest first. What waits for the catalog comes before it."""
    from holdfast.audit import AuditBook
    from holdfast.audit.reading import newest_lines

    loaded = settings()
    found = newest_lines(loaded, since=_moment(since), actor=actor, action=action, subject=subject, limit=limit)
    waiting = len(AuditBook(loaded).waiting.paths())
    if waiting:
        output.warn(f"{waiting} more entries wait for the catalog")
    output.result({"lines": found, "waiting": waiting}, lambda: _table(found) if found else "There is no such line.")


@commands.command()
def verify() -> None:
    """Prove that no line was changed, taken out, put in or moved: in the catalog, in the repository, and one against the other.

    Ends with 5 where one was, and names the first. Where catalog or repository can't be reached the other is proven alone.
    """
    from holdfast.audit.reading import verified

    with progress.waiting("Following the chains"):
        found = verified(settings())
    for note in found.notes:
        output.warn(note)
    output.result(found.document(), lambda: _verdict(found))
    if not found.ok:
        raise typer.Exit(found.error().exit_code)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return moment_of(text)
    except ValueError:
        raise SettingsError(f"{text!r} is no time", next_step="Write it as 24h, 7d or 2027-01-31T08:00") from None


def _table(found: list[dict[str, Any]]) -> RenderableType:
    shown = output.table("Line", "When (UTC)", "Who", "From", "What", "To what", "How it ended", right=("Line",), whole=("Line",))
    for one in found:
        outcome = one["outcome"] + (f" ({one['code']})" if one["code"] else "")
        who = f"{one['actor']['name']} ({one['actor']['kind']})"
        shown.add_row(
            str(one["sequence"]), figures.moment(one["at"]), who, one["origin"], one["action"], one["subject"] or "–", outcome
        )
    return shown


def _verdict(found: Verification) -> Iterator[RenderableType]:
    lines = sum(chain.lines for chain in found.chains)
    if found.ok:
        yield jobs.headline("Nothing was changed", f"({lines:,} lines)")
    else:
        yield jobs.headline("The audit log was changed", f"(first at {found.faults[0]})", good=False)
    for chain in found.chains:
        yield output.facts(
            ("  Chain", chain.chain + (", a former one" if chain.in_catalog and not chain.goes_on else "")),
            ("  Lines", f"{chain.lines:,}, {chain.mirrored_to:,} of them in the repository too"),
            ("  Wrong", "\n".join(str(fault) for fault in chain.faults) or None),
        )
    yield output.facts(
        ("Not mirrored", f"{found.not_mirrored:,}" if found.not_mirrored else None),
        ("Waiting", f"{found.waiting:,} entries, for the catalog" if found.waiting else None),
    )
