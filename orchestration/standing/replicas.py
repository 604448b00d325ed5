"""The replicas of the settings: URLs, which need no Prefect, and names of blocks, which do.

A replica starts nothing: one that is a block is looked up when it is needed, on a Prefect server that runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, cast

from holdfast.errors import PrefectUnreachableError
from orchestration.masking import hide, hide_all_of
from orchestration.server import use_running_prefect

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.storage import Storage, StorageSettings
    from holdfast.storage.replica import Replica

Find = Callable[[str, "Settings"], "Replica"]
"""Finds the replica of a URL, or of a block on the Prefect server that this process uses."""


class LaterReplica:
    """A replica that is a block, and is looked up when it is first used; stands for a `Replica`."""

    def __init__(self, name: str, settings: Settings, find: Find) -> None:
        self.name = name
        self._settings = settings
        self._find = find

    @cached_property
    def _found(self) -> Replica:
        return self._find(self.name, self._settings)

    @property
    def settings(self) -> StorageSettings:
        return self._found.settings

    def open(self) -> Storage:
        return self._found.open()


def known(settings: Settings, find: Find | None = None) -> list[Replica]:
    """Return the replicas of the settings. What is wrong with one that is a block shows when it is used."""
    look_up = find or find_running
    return [
        look_up(name, settings) if is_url(name) else cast("Replica", LaterReplica(name, settings, look_up))
        for name in settings.replicas
    ]


def is_url(name: str) -> bool:
    """Tell a location from the name of a block."""
    return "://" in name


def find_running(name: str, settings: Settings) -> Replica:
    """Find a replica where that starts nothing; its secrets are hidden from then on.

    Raises NotFoundError, SettingsError, PrefectUnreachableError.
    """
    if not is_url(name):
        join_prefect(name, settings)
    from blocks.replicas import find_replicas

    (found,) = find_replicas([name], bandwidth_limit=settings.bandwidth_limit)
    hide_all_of(found.settings)
    hide(*found.secrets)
    return found


def join_prefect(name: str, settings: Settings) -> None:
    """Lead this process to the Prefect server that runs, to look up a block. Raises PrefectUnreachableError where none does."""
    if use_running_prefect(settings) is None:
        raise PrefectUnreachableError(
            f"the replica {name} is a Prefect block, and no Prefect server runs",
            next_step="Name the replica by its URL, or start the server: 'holdfast serve'",
        )
