"""Kills a clean-up (SIGKILL) before each single step that it takes at the storage, and looks at what it left behind.

Run as a script with FOLDER; it prints how many deaths it went through.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "repository"))

from dying import die_before_each_step
from killed import Mortal, let_time_pass

from holdfast.cleanup import Cleanup, How
from holdfast.history import History
from holdfast.repository import Repository, UserKey
from holdfast.retention import Rules
from holdfast.storage import LocalStorage
from tests.repository.making import back_up, noise, read_all

KEY = UserKey.parse("11" * 32)
HOW = How("cleanup_1", Rules({"database": 30}, keep_last=1), lambda: lambda kind, source: None, grace_seconds=0)
AGES_DAYS = (1, 50, 60)
KEPT = {"backup_1", "backup_50"}  # the newest, and the only proven one


def contents(age_days: int) -> dict[str, bytes]:
    return {"shared": noise(1, 20_000), "own": noise(age_days, 5_000)}


def before(folder: Path, steps: int | None) -> None:
    del steps
    repository = Repository.create(LocalStorage(folder), key=KEY)
    for age in AGES_DAYS:
        back_up(repository, f"backup_{age}", contents(age), snapshot_at=repository.now - timedelta(days=age))
    repository.add_proof("backup_50", "proven", ok=True, problems=[], figures={}, started_at=repository.now)


def clean_up(folder: Path, steps: int | None) -> None:
    storage = Mortal(folder)
    storage.steps_left = steps
    Cleanup(History(Repository.open(storage, key=KEY)), HOW).run()


def look(folder: Path, steps: int | None) -> None:
    """What must be true whenever death came."""
    del steps
    repository = Repository.open(LocalStorage(folder), key=KEY)
    assert repository.check(level="read").ok, repository.check(level="read").problems
    left = {one.id for one in repository.backups()}
    assert left >= KEPT
    planned = [record for record in repository.cleanups.list() if record.plan is not None]
    assert planned or left == {f"backup_{age}" for age in AGES_DAYS}, "nothing goes before the plan is written"
    let_time_pass(LocalStorage(folder))
    Cleanup(History(repository), HOW).run()
    assert {one.id for one in repository.backups()} == KEPT
    for one in repository.backups():
        assert read_all(repository, one.manifest) == contents(int(one.id.removeprefix("backup_")))
    assert repository.verified_level("backup_50") == "proven"
    assert repository.prune(grace_seconds=0, dry_run=True).chunks_deleted == 0
    assert repository.check(level="read").ok


if __name__ == "__main__":
    print(die_before_each_step(before, clean_up, look, Path(sys.argv[1])))
