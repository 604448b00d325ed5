"""What steps may reach of the world around the engine, each by one word; `orchestration/recovery/` has it with Prefect.

Tests of steps may hand over a world of their own that holds real parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.messages import Message
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.service import Service
    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.sources.secrets.contract import SecretProvider
    from holdfast.storage.replica import Replica

Json = dict[str, Any]


class World(Protocol):
    """The system that a plan is about."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def repository(self) -> Repository:
        """The repository, open to be read; a replica may stand in."""

    @property
    def as_of(self) -> datetime | None:
        """When a person was asked who has agreed by now: a backup made since may hold the trouble itself. None: nobody was."""

    def database(self) -> DatabaseUrl:
        """Name the live database. Raises NotFoundError where none is set."""

    def find_database(self, name: str) -> DatabaseUrl:
        """Find a database by the name of its block, or by a URL, which holds no password. Raises NotFoundError, SettingsError."""

    def find_storage(self, name: str) -> Replica:
        """Find a storage by the name of its block, or by its URL. Raises NotFoundError, SettingsError."""

    def restore(
        self,
        backup_type: str,
        backup_id: str,
        deadline: Deadline,
        *,
        mode: str,
        only: Sequence[str] = (),
        tables: Sequence[str] = (),
        target: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Bring a backup back to what is live, or to another target, as the flow `restore` does, with a row of its own.

        Returns the document of that restore; `dry_run` only looks, and its `losses` tell what would be lost.
        Raises what the flow raises, and TimeLimitError.
        """

    def check(self, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
        """Read all of a backup: `jobId`, `backupId`, `ok`, `problems`, `seconds`. Leaves a proof; damage is set aside."""

    def rehearse(self, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
        """Bring a backup back into scratch and compare it: `jobId`, `backupId`, `ok`, `problems`, `seconds`. Leaves a proof."""

    def services(self) -> list[str]:
        """Name the managed services that there are."""

    def service(self, name: str) -> Service:
        """Find a managed service. Raises NotFoundError."""

    def providers(self) -> list[SecretProvider]:
        """Open the providers of secrets of the settings; whoever asked closes them."""

    def notify(self, message: Message, channels: Iterable[str] | None) -> list[Json]:
        """Send a message by channels, or by all: for each `channel`, and `error` or None. Raises PrefectUnreachableError."""
