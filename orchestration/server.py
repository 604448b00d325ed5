"""The Prefect server that flows run against: that of PREFECT_API_URL, else the home's own, started in the background once.

Nothing here imports Prefect before the environment is set: Prefect reads its settings when it is imported.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from typing import TYPE_CHECKING

from holdfast.errors import PrefectUnreachableError
from orchestration.local_server import LocalServer, answers

if TYPE_CHECKING:
    from holdfast.settings import Settings

TARGETS = "targets"
"""The folder of a home in which the targets of a fleet have theirs."""

_API_URL = "PREFECT_API_URL"

_chosen_here: set[str] = set()
"""Addresses that this process itself put into PREFECT_API_URL: they are no wish of the user's."""


def ensure_prefect(settings: Settings) -> str:
    """Have a Prefect server answering, lead this process's Prefect to it, and return its API's address.

    Raises PrefectUnreachableError.
    """
    given = given_address()
    if given is not None:
        if not answers(given):
            raise PrefectUnreachableError(
                f"No Prefect server answers at {given}",
                reason=f"{_API_URL} names it",
                next_step=f"Start it, or unset {_API_URL} to use a local one",
            )
        return given
    server = _home_server(settings)
    url = server.start()
    use(server, url)
    return url


def prefect_address(settings: Settings) -> str | None:
    """Return the API's address where a server answers now; start nothing."""
    url = given_address() or _home_server(settings).url
    return url if url and answers(url) else None


def prefect_place(settings: Settings) -> str | None:
    """Name the server that answers now so that it is known again: the home's own has another port each time that it starts.

    It is a digest, for an address may hold a password.
    """
    url, server = prefect_address(settings), _home_server(settings)
    if url is None:
        return None
    place = f"{socket.gethostname()}:{server.folder}" if url == server.url else url
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def use_running_prefect(settings: Settings) -> str | None:
    """Lead this process's Prefect to the server that answers now, and return its API's address; start nothing."""
    url = prefect_address(settings)
    if url is not None and given_address() is None:
        use(_home_server(settings), url)
    return url


def _home_server(settings: Settings) -> LocalServer:
    """The home's own server; a target's home lies in that of the fleet, and shares its server."""
    home = settings.home.absolute()
    fleet = home.parent.parent
    return LocalServer(fleet if home.parent.name == TARGETS and (fleet / "prefect").is_dir() else home)


def stop_prefect(settings: Settings) -> bool:
    """Stop what this home runs in the background, `serve` too; tell whether anything ran."""
    from orchestration.serve_record import stop_serving

    served = stop_serving(settings.home)
    return LocalServer(settings.home).stop() or served


def serve(settings: Settings, prefect_port: int | None = None) -> None:
    """Run server, worker, schedules and API in the foreground until SIGTERM or SIGINT."""
    from orchestration.serving import Serving

    Serving(settings, prefect_port).run()


def given_address() -> str | None:
    """Return the address that the user gave, if any."""
    url = os.environ.get(_API_URL)
    return None if not url or url in _chosen_here else url


def use(server: LocalServer, url: str) -> None:
    """Lead Prefect in this process, and in its children, to this server."""
    _chosen_here.add(url)
    os.environ.update(server.environment(url))
    if "prefect.context" in sys.modules:
        sys.modules["prefect.context"].refresh_global_settings_context()
