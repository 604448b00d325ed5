"""Replicas as commands name them: URLs, which need no Prefect, and names of blocks, which do.

A replica that nobody asked for by name starts nothing: it is looked up when it is needed, on a Prefect server that runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import logs, output, progress

if TYPE_CHECKING:
    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.storage.replica import Replica

FromReplica = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="REPLICA",
        help="Read from this replica, by its name in BACKUP_REPLICAS or any block's, or by its URL.",
        show_default=False,
    ),
]


def known(loaded: Settings) -> list[Replica]:
    """Return the replicas of the settings. What is wrong with one that is a block shows when it is used."""
    from orchestration.standing import replicas

    return replicas.known(loaded, find_running)


def named(name: str, loaded: Settings) -> Replica:
    """Find a replica that the user asked for; for a block's name the Prefect server is started where it must be.

    Raises NotFoundError, SettingsError, PrefectUnreachableError.
    """
    if not is_url(name):
        from orchestration.server import ensure_prefect

        with progress.waiting("Waiting for the Prefect server"):
            ensure_prefect(loaded)
        logs.keep_prefect_quiet()
    return _find(name, loaded)


def is_url(name: str) -> bool:
    """Tell a location from the name of a block."""
    return "://" in name


def opened(loaded: Settings, source: str | None = None) -> Repository:
    """Open the repository to read it: the replica `source`, else the primary, else the first replica that can be opened."""
    from holdfast.opening import read_repository

    return read_repository(loaded, replicas=known(loaded), source=named(source, loaded) if source else None)


def find_running(name: str, loaded: Settings) -> Replica:
    """Find a replica where that starts nothing. Raises NotFoundError, SettingsError, PrefectUnreachableError."""
    if not is_url(name):
        from orchestration.standing.replicas import join_prefect

        join_prefect(name, loaded)
        logs.keep_prefect_quiet()
    return _find(name, loaded)


def _find(name: str, loaded: Settings) -> Replica:
    from blocks.replicas import find_replicas
    from holdfast.secret_texts import secret_parts, secrets_of

    (found,) = find_replicas([name], bandwidth_limit=loaded.bandwidth_limit)
    for secret in (*found.secrets, *secrets_of(found.settings)):
        output.keep_secret(*secret_parts(secret.get_secret_value()))
    return found
