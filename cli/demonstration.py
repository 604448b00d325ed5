"""`holdfast demo`: only the command; the story is in `cli.demo`, which is slow to import."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.app import Commands

commands = Commands("")


@commands.command("demo", rich_help_panel="Run")
def demo_command(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server, the worker and the UI running afterwards.")] = False,
    megabytes: Annotated[int, typer.Option(min=1, help="Size of the sample database.")] = 110,
) -> None:
    """Back up, prove, lose and bring back a sample database, from nothing, in a home of its own."""
    from cli.demo import demo

    demo(keep, megabytes)
