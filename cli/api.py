"""`holdfast api`: the HTTP API alone, where Prefect server and worker run elsewhere."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.api_options import Certificate, Host, Key, Port, RootPath, TrustedProxies, api_settings
from cli.app import Commands

commands = Commands("")

OpenApi = Annotated[bool, typer.Option("--openapi", help="Print the OpenAPI document, and serve nothing.")]


@commands.command(rich_help_panel="Run")
def api(
    *,
    host: Host = None,
    port: Port = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    trusted_proxies: TrustedProxies = None,
    root_path: RootPath = None,
    openapi: OpenApi = False,
) -> None:
    """Answer requests of other programs, and the page: all that the guide's API does, /metrics for Prometheus, /healthz.

    It stays in the foreground until Ctrl-C or SIGTERM. 'holdfast serve' runs it too.
    """
    if openapi:
        _print_openapi(root_path or "")
        return
    loaded = api_settings(
        host=host,
        port=port,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        trusted_proxies=trusted_proxies,
        root_path=root_path,
    )
    from api.server import run
    from orchestration.api_process import listening_at, url_of

    listening = listening_at(loaded)
    sys.stdout.write(f"ready api={url_of(listening, loaded)}\n")
    sys.stdout.flush()
    run(listening)


def _print_openapi(root_path: str) -> None:
    """Print the document for whoever makes a client of it; nothing has to be set for that."""
    import json

    from api.app import create_app
    from api.openapi import describe

    sys.stdout.write(json.dumps(describe(create_app(), root_path), indent=2) + "\n")
