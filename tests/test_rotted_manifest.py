"""A manifest that rotted in place, with size and time as before, while this home remembers it as good: nothing goes for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.cleanup import Cleanup, How
from holdfast.errors import RefusedError
from holdfast.giving_up import loss_of
from holdfast.history import History
from holdfast.recovery.assessing.reference import Reference, newest_reference
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.restoring.choice import Choice
from holdfast.repository import Repository, UserKey, names
from holdfast.retention import Rules
from holdfast.storage import LocalStorage
from tests.recovery.assessed import AssessedWorld
from tests.repository.making import back_up, one_bit_off

KEY = UserKey.parse("11" * 32)
RULES = Rules({"database": 0, "function": 0, "config": 0, "secrets": 0}, keep_last=1, keep_monthly=3)
HOW = How("cleanup_1", RULES, lambda: lambda kind, source: None, grace_seconds=0, at_once=True)

Open = Callable[[], Repository]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Open:
    """Open a repository as another process of the same home would, which has listed it before one manifest rotted.

    There are `newest` of today, and of one month some time ago `rotted` and, ten days before it, `intact`. All but `rotted` are
    proven.
    """
    (tmp_path / "home").mkdir()
    made = Repository.create(LocalStorage(folder), key=KEY)
    month = (made.now.replace(day=1) - timedelta(days=40)).replace(day=1)
    times = {"intact": month + timedelta(days=9), "rotted": month + timedelta(days=19), "newest": made.now - timedelta(hours=1)}
    for backup_id, at in times.items():
        back_up(made, backup_id, {"a": backup_id.encode()}, snapshot_at=at)
        if backup_id != "rotted":
            made.add_proof(backup_id, "proven", ok=True, problems=[], figures={}, started_at=made.now)
        for path in folder.rglob(f"*{backup_id}*"):
            os.utime(path, (at.timestamp(), at.timestamp()))

    def again() -> Repository:
        found = Repository.open(LocalStorage(folder), key=KEY)
        found.use_cache(tmp_path / "home" / "cache")
        return found

    held = again()
    held.backups()
    held.verified_levels()
    rot(folder)
    assert next(one for one in again().backups() if one.id == "rotted").damaged is None, "its list does not know"
    return again


def rot(folder: Path) -> None:
    path = folder / names.manifest("database", "rotted")
    before = path.stat()
    path.write_bytes(one_bit_off(path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def left(repository: Repository) -> set[str]:
    return {one.id for one in repository.backups()}


def test_a_clean_up_keeps_the_intact_one_of_the_month(opened: Open) -> None:
    done = Cleanup(History(opened()), HOW).run()
    assert [one.id for one in done.forgotten] == ["rotted"]
    assert left(opened()) == {"newest", "intact"}


def test_a_dry_run_and_a_dry_prune_say_the_same(opened: Open) -> None:
    plan = Cleanup(History(opened()), HOW).run(dry_run=True).the_plan
    assert [verdict.backup.id for verdict in plan.doomed] == ["rotted"]
    with pytest.raises(RefusedError, match="nothing was deleted"):
        opened().prune(grace_seconds=0, dry_run=True)
    assert left(opened()) == {"newest", "rotted", "intact"}


def test_forgetting_by_hand_says_what_would_be_lost_as_it_is(opened: Open) -> None:
    assert "damaged" in str(loss_of(opened(), "rotted"))


def test_a_recovery_takes_the_next_one_where_the_newest_rotted(opened: Open, tmp_path: Path) -> None:
    opened().forget("newest")
    world: Any = AssessedWorld(tmp_path, repository=opened())
    choice = Choice(world, "database", None, Deadline(10, "The step"))
    assert choice.first().id == "intact"
    assert [one.backup_id for one in choice.passed_over] == ["rotted"]


def test_an_assessment_does_not_compare_with_what_rotted_where_a_list_does_not_know(opened: Open, tmp_path: Path) -> None:
    opened().forget("newest")
    world: Any = AssessedWorld(tmp_path, repository=opened())
    reference = newest_reference(world, "database")
    assert isinstance(reference, Reference)
    assert reference.manifest.id == "intact"
