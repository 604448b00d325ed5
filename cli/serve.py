"""`holdfast serve` and `holdfast down`: what runs in the background for a home, and stopping it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import output
from cli.api_options import Certificate, Host, Key, RootPath, TrustedProxies, api_settings
from cli.api_options import Port as ApiPort
from cli.app import Commands
from cli.session import repository_settings

commands = Commands("")

Port = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port of the Prefect server and UI; a free one otherwise.", show_default=False),
]


@commands.command(rich_help_panel="Run")
def serve(
    *,
    prefect_port: Port = None,
    api_host: Host = None,
    api_port: ApiPort = None,
    api_tls_certificate: Certificate = None,
    api_tls_key: Key = None,
    api_trusted_proxies: TrustedProxies = None,
    api_root_path: RootPath = None,
) -> None:
    """Run the Prefect server with its UI, a worker, the schedules and the HTTP API.

    It stays in the foreground, and stops all of them at Ctrl-C or SIGTERM.
    """
    from orchestration.server import serve as serve_in_foreground

    loaded = api_settings(
        host=api_host,
        port=api_port,
        tls_certificate=api_tls_certificate,
        tls_key=api_tls_key,
        trusted_proxies=api_trusted_proxies,
        root_path=api_root_path,
    )
    serve_in_foreground(loaded, prefect_port)


@commands.command(rich_help_panel="Run")
def down() -> None:
    """Stop what runs in the background for this home.

    That is the Prefect server with all that it serves, and the embedded PostgreSQL.
    """
    from holdfast.opening import running_servers
    from orchestration.server import stop_prefect

    loaded = repository_settings()  # it must work whatever else is set
    stopped = []
    if stop_prefect(loaded):
        stopped.append("prefect")
    for server in running_servers(loaded):
        server.stop()
        stopped.append(server.data_dir.name)
    names = {"prefect": "the Prefect server", "postgres": "the embedded PostgreSQL", "pipeline": "the demo's PostgreSQL"}
    output.result(
        {"home": loaded.home, "stopped": stopped},
        lambda: (
            f"Stopped {' and '.join(names.get(name, name) for name in stopped)}."
            if stopped
            else f"Nothing was running for {loaded.home}."
        ),
    )
