"""A world for looks: real settings, a real repository, and whatever of a real system a test gives it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from holdfast.errors import NotFoundError
from holdfast.messages import Message
from holdfast.postgres.connection import DatabaseUrl
from holdfast.recovery.assessing import assess
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.service import Service
from holdfast.recovery.verdict import Subject, Verdict
from holdfast.repository import Repository
from holdfast.settings import Settings
from holdfast.sources.secrets.contract import SecretProvider
from holdfast.storage.memory import MemoryStorage


class AssessedWorld:
    """Holds the parts that looks reach; what a test does not give is not there."""

    as_of: datetime | None = None

    def __init__(
        self,
        home: Path,
        *,
        repository: Repository | None = None,
        database: DatabaseUrl | None = None,
        providers: Iterable[SecretProvider] = (),
        services: Iterable[Service] = (),
        **settings: Any,
    ) -> None:
        self.settings = Settings(HOLDFAST_HOME=home / "home", **settings)
        self.repository = repository or Repository.create(MemoryStorage(), key=None, encrypt=False)
        self.sent: list[Message] = []
        self._database = database
        self._providers = list(providers)
        self._services = {one.name: one for one in services}

    def database(self) -> DatabaseUrl:
        if self._database is None:
            raise NotFoundError("there is no database to recover")
        return self._database

    def providers(self) -> list[SecretProvider]:
        return self._providers

    def services(self) -> list[str]:
        return list(self._services)

    def service(self, name: str) -> Service:
        return self._services[name]

    def notify(self, message: Message, channels: Iterable[str] | None) -> list[dict[str, Any]]:
        assert channels is None
        self.sent.append(message)
        return [{"channel": "kept", "error": None}]

    def restore(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise AssertionError("a look restored")

    check = rehearse = restore


def look(world: AssessedWorld, subject: Subject, *, thorough: bool = True, seconds: float = 60) -> Verdict:
    """Take one look, and require that its verdict can be kept."""
    verdict = assess(subject, world, Deadline(seconds, "A look"), thorough=thorough)
    assert Verdict.of(verdict.document()) == verdict
    return verdict
