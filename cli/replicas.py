"""Replicas as commands name them: URLs, which need no Prefect, and names of blocks, which do.

A replica that nobody asked for by name starts nothing: it is looked up when it is needed, on a Prefect server that runs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cli import logs, output, progress
from holdfast.errors import PrefectUnreachableError

if TYPE_CHECKING:
    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.storage import Storage, StorageSettings
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


class LaterReplica:
    """A replica that is a block, and is looked up when it is first used; stands for a `Replica`."""

    def __init__(self, name: str, loaded: Settings) -> None:
        self.name = name
        self._loaded = loaded

    @cached_property
    def _found(self) -> Replica:
        join_prefect(self._loaded, self.name)
        return _find(self.name, self._loaded)

    @property
    def settings(self) -> StorageSettings:
        return self._found.settings

    def open(self) -> Storage:
        return self._found.open()


def known(loaded: Settings) -> list[Replica]:
    """Return the replicas of the settings. What is wrong with one that is a block shows when it is used."""
    return [_find(name, loaded) if is_url(name) else cast("Replica", LaterReplica(name, loaded)) for name in loaded.replicas]


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


def join_prefect(loaded: Settings, name: str) -> None:
    """Lead this process to the Prefect server that runs, to look up a block. Raises PrefectUnreachableError where none does."""
    from orchestration.server import use_running_prefect

    if use_running_prefect(loaded) is None:
        raise PrefectUnreachableError(
            f"the replica {name} is a Prefect block, and no Prefect server runs",
            next_step="Name the replica by its URL, or start the server: 'holdfast serve'",
        )
    logs.keep_prefect_quiet()


def _find(name: str, loaded: Settings) -> Replica:
    from blocks.replicas import find_replicas
    from holdfast.secret_texts import secret_parts, secrets_of

    (found,) = find_replicas([name], bandwidth_limit=loaded.bandwidth_limit)
    for secret in (*found.secrets, *secrets_of(found.settings)):
        output.keep_secret(*secret_parts(secret.get_secret_value()))
    return found
