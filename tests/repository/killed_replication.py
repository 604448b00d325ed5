"""Kills a process (SIGKILL) before each single step that a replication or a repair takes, and looks at what it left behind.

Run as a script with SCENARIO and FOLDER, like `killed.py`, on whose storage it builds; it prints how many deaths it went through.
The folder holds two places: `source` and `target`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from dying import Deed, die_before_each_step
from killed import CONTENTS, KEY, Mortal, back_up, let_time_pass

from holdfast.repository import Repository, check_storage, replicate
from holdfast.storage import StorageSettings
from holdfast.storage.replica import Replica

Places = tuple[Mortal, Mortal]


class Doomed(Mortal):
    """One of two storages whose steps are counted together."""

    steps: list[int] | None = None

    def _step(self) -> None:
        if self.steps is not None:
            self.steps[0] -= 1
            if self.steps[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def made(places: Places) -> None:
    back_up(Repository.create(places[0], key=KEY), "backup_1")
    back_up(Repository.open(places[0], key=KEY), "backup_2")


def partly_copied(places: Places) -> None:
    back_up(Repository.create(places[0], key=KEY), "backup_1")
    with_key(places)
    back_up(Repository.open(places[0], key=KEY), "backup_2")


def copied_and_harmed(places: Places) -> None:
    made(places)
    with_key(places)
    for number, info in enumerate(sorted(places[0].list(), key=lambda info: info.name)):
        if info.name == "repository.json" or number % 3 == 0:
            places[0].put(info.name, places[0].get(info.name)[:-1] + b"?", replace=True)
        elif number % 3 == 1 and not info.name.startswith("proofs/"):
            places[0].delete(info.name)


def with_key(places: Places) -> None:
    assert replicate(*places, repository=Repository.open(places[0], key=KEY)).ok


def without_key(places: Places) -> None:
    assert replicate(*places).ok


def repair(places: Places) -> None:
    report = check_storage(places[0], KEY, replicas=_replicas(places), repair=True)
    assert report.ok, report.problems


def look(places: Places) -> None:
    """What must be true whenever and wherever death came: what the copy lists is whole, and the next replication completes it."""
    source, target = places
    if Repository.exists(target):
        report = check_storage(target, KEY)
        assert report.content_ok, report.problems
        assert all("born with" in problem.what for problem in report.problems), report.problems
        _assert_right(Repository.open(target, key=KEY))
    _let_leases_pass(places)
    with_key(places)
    opened = Repository.open(target, key=KEY)
    assert {one.id for one in opened.backups()} == {"backup_1", "backup_2"}
    _assert_right(opened)
    for repository in (opened, Repository.open(source, key=KEY)):
        report = repository.check(level="read")
        assert report.ok, report.problems
        assert repository.leases() == []
        assert repository.prune(grace_seconds=0).chunks_deleted == 0


def look_with_key(places: Places) -> None:
    """Then not even a receipt is missing in the meantime: a lease says that it is to come."""
    if Repository.exists(places[1]):
        report = check_storage(places[1], KEY)
        assert report.ok, report.problems
    look(places)


def look_after_repair(places: Places) -> None:
    """A repair that died has harmed nothing, and the next one does the rest."""
    _let_leases_pass(places)
    repair(places)
    assert check_storage(places[0], KEY).ok
    _assert_right(Repository.open(places[0], key=KEY))
    look(places)


def _let_leases_pass(places: Places) -> None:
    for place in places:
        if (Path(place.location.removeprefix("file://")) / "leases").exists():
            let_time_pass(place)


def _assert_right(repository: Repository) -> None:
    for one in repository.backups():
        for entry in one.manifest.entries:
            assert b"".join(repository.read(entry)) == CONTENTS[one.id][entry.name]


def _replicas(places: Places) -> list[Replica]:
    path = Path(places[1].location.removeprefix("file://"))
    return [Replica("copy", StorageSettings(type="local", path=path))]


Work = Callable[[Places], None]
SCENARIOS: dict[str, tuple[Work, Work, Work]] = {
    "with_key": (made, with_key, look_with_key),
    "with_key_again": (partly_copied, with_key, look_with_key),
    "without_key": (made, without_key, look),
    "repair": (copied_and_harmed, repair, look_after_repair),
}


def _deed(work: Work) -> Deed:
    def do(folder: Path, steps: int | None) -> None:
        places = (Doomed(folder / "source"), Doomed(folder / "target"))
        places[0].steps = places[1].steps = None if steps is None else [steps]
        work(places)

    return do


def main() -> None:
    before, work, look_at_it = SCENARIOS[sys.argv[1]]
    print(die_before_each_step(_deed(before), _deed(work), _deed(look_at_it), Path(sys.argv[2])))


if __name__ == "__main__":
    main()
