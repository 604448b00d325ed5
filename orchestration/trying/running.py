"""Run the self-test: all at once, none waited for longer than some seconds, so that it answers whatever hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.backup_types import why_off
from holdfast.errors import HoldfastError
from holdfast.patience import Askers
from orchestration.looking import in_force_if_known
from orchestration.masking import hide_all_of
from orchestration.standing import replicas
from orchestration.standing.part import Report, foreseen, wrong
from orchestration.trying import databases, prefect, sources, storages

if TYPE_CHECKING:
    from holdfast.repository import BackupType
    from holdfast.settings import Settings
    from holdfast.storage.replica import Replica

PATIENCE_SECONDS = 10.0
_KEPT_SECONDS = 3.0
_KEPT = "the configuration in the catalog"

Trial = Callable[["Settings"], Report]
"""Tries one thing; returns what was found, or raises a HoldfastError."""

_ALWAYS: dict[str, Trial] = {
    "storage": storages.storage,
    "key": storages.key,
    "catalog": databases.catalog,
    "prefect": prefect.server,
    "deployments": prefect.deployments,
    "worker": prefect.worker,
}
_OF_TYPES: dict[BackupType, dict[str, Trial]] = {
    "database": {"database": databases.source, "tools": databases.tools, "scratch": databases.scratch},
    "function": {"functions": sources.functions},
    "config": {"configuration": sources.configuration},
    "secrets": {"secrets": sources.secrets},
}


class SelfTest:
    """What tries everything out, again and again: what hangs is not tried anew before it has answered."""

    def __init__(self, find: replicas.Find | None = None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._askers = Askers()
        self._find = find
        self._patience_seconds = patience_seconds

    def run(self, settings: Settings) -> Report:
        """Try all that these settings name, and return the document of it."""
        hide_all_of(settings)
        at, began = datetime.now(UTC), time.monotonic()
        in_force = self._in_force(settings)
        hide_all_of(in_force)
        trials = trials_of(in_force, replicas.known(in_force, self._find))
        answers = self._askers.ask_all(
            {name: foreseen(_timed(trial, in_force)) for name, trial in trials.items()}, self._patience_seconds
        )
        tests = [_told(name, answer) for name, answer in answers.items()]
        seconds = round(time.monotonic() - began, 3)
        return {"ok": all(one["ok"] for one in tests), "at": at, "seconds": seconds, "tests": tests}

    def _in_force(self, settings: Settings) -> Settings:
        """Read what the catalog has kept, where that answers at once."""
        answer = self._askers.ask_all({_KEPT: lambda: in_force_if_known(settings)}, _KEPT_SECONDS)[_KEPT]
        return settings if isinstance(answer, HoldfastError) else answer


def trials_of(settings: Settings, known: list[Replica]) -> dict[str, Trial]:
    """Name what is to be tried: what every installation needs, the types of backup that are on, and each replica."""
    chosen = dict(_ALWAYS)
    for kind, trials in _OF_TYPES.items():
        if why_off(kind, settings) is None:
            chosen |= trials
    return chosen | {f"replica {one.name}": storages.replica(one) for one in known}


def _timed(trial: Trial, settings: Settings) -> Callable[[], Report]:
    def tried() -> Report:
        began = time.monotonic()
        found = trial(settings)
        return {"found": found, "seconds": round(time.monotonic() - began, 3)}

    return tried


def _told(name: str, answer: Report | HoldfastError) -> Report:
    nothing = dict.fromkeys(("code", "error", "reason", "nextStep"))
    if isinstance(answer, HoldfastError):
        return {"name": name, "found": None, "seconds": None, **wrong(answer)}
    return {"name": name, "ok": True, **answer, **nothing}


def self_test(settings: Settings, find: replicas.Find | None = None) -> Report:
    """Try everything out once."""
    return SelfTest(find).run(settings)
