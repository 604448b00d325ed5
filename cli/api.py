"""`holdfast api`: the HTTP API alone, where Prefect server and worker run elsewhere."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.app import Commands
from cli.session import settings

commands = Commands("")

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API; a free one otherwise.", show_default=False)]


@commands.command(rich_help_panel="Run")
def api(port: Port = None) -> None:
    """Answer on this machine how things stand: /metrics for Prometheus, /healthz.

    It stays in the foreground until Ctrl-C or SIGTERM. 'holdfast serve' runs it too.
    """
    settings()  # what is wrong with them shows now, not at the first question
    from api.server import run
    from orchestration.local_server import bound

    listening = bound(port, "The HTTP API")
    sys.stdout.write(f"ready api=http://{':'.join(map(str, listening.getsockname()))}\n")
    sys.stdout.flush()
    run(listening)
