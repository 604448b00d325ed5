"""`holdfast roll-back`: undo a restore, by what it kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import jobs, output
from cli.app import Commands
from cli.session import settings

commands = Commands("")


@commands.command("roll-back", rich_help_panel="Back up and bring back")
def roll_back(
    kept: Annotated[Path, typer.Argument(help="What the restore said it kept: 'kept' in its document.", show_default=False)],
) -> None:
    """Undo a restore of functions or configuration: bring back what it replaced.

    What the restore had brought is kept, too.
    """
    from holdfast.rolling_back import roll_back as bring_back

    touched = bring_back(kept.expanduser().absolute(), settings())
    output.result(
        {"kept": kept, "touched": touched},
        lambda: [jobs.headline("Rolled back", f"{len(touched)} things"), *(f"  {one}" for one in touched)],
    )
