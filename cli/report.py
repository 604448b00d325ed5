"""`holdfast report`: what happened in the last days, as the weekly report tells it. Nothing is started or sent for it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import output
from cli.app import Commands
from cli.session import settings

commands = Commands("")


@commands.command(rich_help_panel="Look")
def report(days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look back.")] = 7) -> None:
    """Show what ran, what failed, what was deleted and proven in the last days, and what to see to."""
    from holdfast.period_document import document
    from holdfast.period_report import text, title
    from orchestration.looking import look_back

    period = look_back(settings(), days)
    output.result(document(period), lambda: output.masked(f"{title(period)}\n\n{text(period)}"))
