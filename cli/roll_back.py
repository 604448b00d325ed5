"""`holdfast roll-back`: undo a restore, by what it kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import jobs, output
from cli.app import Commands
from cli.audited import audited
from cli.session import settings

if TYPE_CHECKING:
    from rich.text import Text

commands = Commands("")


@commands.command("roll-back", rich_help_panel="Back up and bring back")
def roll_back(
    kept: Annotated[Path, typer.Argument(help="What the restore said it kept: 'kept' in its document.", show_default=False)],
) -> None:
    """Undo a restore of functions or configuration: bring back what it replaced.

    What the restore had brought is kept, too.
    """
    from holdfast.rolling_back import roll_back as bring_back

    loaded, place = settings(), kept.expanduser().absolute()
    with audited("restore.roll_back", loaded, place.name, announced=True):
        touched = bring_back(place, loaded)
    output.result(
        {"kept": kept, "touched": touched},
        lambda: [_ended(touched), *(f"  {one}" for one in touched)],
    )


def _ended(touched: list[str]) -> Text:
    if not touched:
        return jobs.headline("Nothing", "was left to roll back", good=None)
    return jobs.headline("Rolled back", "1 thing" if len(touched) == 1 else f"{len(touched)} things")
