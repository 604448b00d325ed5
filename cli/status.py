"""`holdfast status`: how things stand, also while half of the system is down. What is gathered is `orchestration.standing`."""

from __future__ import annotations

from cli import output, replicas, status_text
from cli.app import Commands
from cli.session import settings
from holdfast import patience

commands = Commands("")


@commands.command("status", rich_help_panel="Look")
def show_status() -> None:
    """Show how old, how well proven and how well copied the backups are, and what runs.

    Nothing is started for it.
    """
    from orchestration.standing.gathering import gathered

    report = gathered(settings(), replicas.find_running).document
    output.result(report, lambda: status_text.lines(report))
    patience.leave()
