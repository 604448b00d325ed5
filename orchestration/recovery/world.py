"""The world as steps of a plan see it, with Prefect's blocks, and jobs of their own for what is restored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from blocks.managed_service import find_service, service_names
from orchestration import notifying
from orchestration.masking import hide
from orchestration.opening import find_replica, open_database
from orchestration.recovery.restoring import bring_back, check_backup, live_database, rehearse_backup
from orchestration.source_opening import open_providers

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


class LiveWorld:
    """What this installation, or target, is made of; see `holdfast.recovery.world`."""

    def __init__(
        self,
        settings: Settings,
        repository: Repository | Callable[[], Repository],
        as_of: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """`repository` may be what opens it when it is first asked for."""
        self.settings = settings
        self._repository = repository
        self._as_of = as_of

    @property
    def repository(self) -> Repository:
        return self._repository() if callable(self._repository) else self._repository

    @property
    def as_of(self) -> datetime | None:
        return self._as_of()

    def database(self) -> DatabaseUrl:
        url = live_database(self.settings)
        hide(url.password)
        return url

    def find_database(self, name: str) -> DatabaseUrl:
        return open_database(name)

    def find_storage(self, name: str) -> Replica:
        return find_replica(name, self.settings)

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
        return bring_back(
            self.repository,
            backup_type,
            backup_id,
            deadline,
            mode=mode,
            only=only,
            tables=tables,
            target=target,
            dry_run=dry_run,
        )

    def check(self, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
        return check_backup(self.repository, backup_type, backup_id, deadline)

    def rehearse(self, backup_type: str, backup_id: str, deadline: Deadline) -> Json:
        return rehearse_backup(self.repository, backup_type, backup_id, deadline)

    def services(self) -> list[str]:
        return service_names(self.settings.target)

    def service(self, name: str) -> Service:
        return find_service(name, self.settings.target)

    def providers(self) -> list[SecretProvider]:
        return open_providers(None, self.settings)

    def notify(self, message: Message, channels: Iterable[str] | None) -> list[Json]:
        answers = notifying.send(message, self.settings, channels)
        return [{"channel": one.channel, "error": one.error} for one in answers]
