"""A world and a work for steps that reach services, secrets, settings and channels: real ones, each given by the test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from blocks.webhook import posted
from holdfast.errors import NotFoundError
from holdfast.messages import Message
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.plan import Plan, Step
from holdfast.recovery.service import Service
from holdfast.recovery.step_type import Work
from holdfast.recovery.steps import step_types
from holdfast.recovery.verdict import Verdict
from holdfast.recovery.world import World
from holdfast.repository import Repository, UserKey
from holdfast.settings import Settings
from holdfast.sources.secrets.contract import SecretProvider
from holdfast.storage.memory import MemoryStorage


class SteppingWorld:
    """Holds what a test gives it; `channels` are webhooks by their addresses."""

    as_of = None

    def __init__(
        self,
        home: Path,
        *,
        services: Iterable[Service] = (),
        providers: Sequence[SecretProvider] = (),
        channels: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.settings = Settings(HOLDFAST_HOME=home / "home", **settings)
        self.repository = Repository.create(MemoryStorage(), key=UserKey.generate()[0])
        self._services = {one.name: one for one in services}
        self._providers = list(providers)
        self._channels = channels or {}

    def services(self) -> list[str]:
        return list(self._services)

    def service(self, name: str) -> Service:
        if name not in self._services:
            raise NotFoundError(f"there is no managed service {name}")
        return self._services[name]

    def providers(self) -> list[SecretProvider]:
        return self._providers

    def notify(self, message: Message, channels: Iterable[str] | None) -> list[dict[str, Any]]:
        names = [name for name in (channels if channels is not None else self._channels) if name in self._channels]
        said = {"subject": message.subject, "body": message.body, "mood": message.mood}
        return [{"channel": name, "error": posted(self._channels[name], said)} for name in names]


def step_of(kind: str, *, timeout: float = 5, **parameters: Any) -> Step:
    return Step(id="do_it", name="Do it", type=kind, order=1, timeout=timeout, parameters=parameters)


def work_on(world: SteppingWorld, kind: str, *, seconds: float = 60, parameters: dict[str, Any], **others: Any) -> Work:
    step = step_of(kind, **parameters)
    plan = Plan(id="mine", name="My own plan", priority="high", steps=(step,), estimated_recovery_time=5)
    given = {"trigger": "manual"} | others
    verdicts: list[Verdict] = given.pop("verdicts", [])
    found = {one.subject: one for one in verdicts}
    return Work("exec-1", plan, step, cast("World", world), Deadline(seconds, "the step"), verdicts=found, **given)


def run(work: Work) -> Any:
    """Run a step as an execution does."""
    kind = step_types()[work.step.type]
    return kind.run(work, kind.read(work.step))


def foreseen(work: Work) -> list[str]:
    kind = step_types()[work.step.type]
    return kind.foresee(work, kind.read(work.step))


def undo(work: Work, note: dict[str, Any]) -> Any:
    kind = step_types()[work.step.type]
    return kind.undo(work, kind.read(work.step), note)


def problems(step: Step) -> list[str]:
    return list(step_types()[step.type].problems(step))
