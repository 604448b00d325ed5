"""Kills a process (SIGKILL) before each single step that it takes at the storage, and looks at what it left behind.

Run as a script with SCENARIO and FOLDER; it prints how many deaths it went through.
"""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from dying import Deed, die_before_each_step

from holdfast.errors import WrongKeyError
from holdfast.repository import Compression, ManifestDraft, Repository, UserKey
from holdfast.storage import LocalStorage

KEY, NEW_KEY = UserKey.parse("11" * 32), UserKey.parse("22" * 32)
OLD = {"a": random.Random(1).randbytes(700_000), "b": b"same in both\n" * 1000}
NEW = {"a": random.Random(2).randbytes(900_000), "b": b"same in both\n" * 1000, "empty": b""}
CONTENTS = {"backup_1": OLD, "backup_2": NEW, "backup_3": NEW}


class Mortal(LocalStorage):
    """A storage in whose process death comes before a given step."""

    steps_left: int | None = None

    def _step(self) -> None:
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        self._step()
        super().put(name, data, replace=replace, bulk=bulk)

    def delete(self, name: str) -> None:
        self._step()
        super().delete(name)

    def sync(self) -> None:
        self._step()
        super().sync()


def back_up(repository: Repository, backup_id: str) -> None:
    now = datetime.now(UTC)
    with repository.lease("backup") as lease, repository.writer(lease, compression=Compression("zstd")) as writer:
        entries = [writer.store(name, "k", io.BytesIO(data)) for name, data in CONTENTS[backup_id].items()]
        writer.commit(ManifestDraft(backup_id, "database", {}, now, entries, {}, {}, {}, now))


def made(storage: LocalStorage) -> None:
    back_up(Repository.create(storage, key=KEY), "backup_1")


def nothing(_: LocalStorage) -> None:
    """Begin with an empty storage."""


def forgotten(storage: LocalStorage) -> None:
    made(storage)
    back_up(Repository.open(storage, key=KEY), "backup_2")
    Repository.open(storage, key=KEY).forget("backup_1")


def create(storage: LocalStorage) -> None:
    Repository.create(storage, key=KEY)


def backup(storage: LocalStorage) -> None:
    back_up(Repository.open(storage, key=KEY), "backup_2")


def forget(storage: LocalStorage) -> None:
    Repository.open(storage, key=KEY).forget("backup_1")


def prune(storage: LocalStorage) -> None:
    Repository.open(storage, key=KEY).prune(grace_seconds=0)


def rotate(storage: LocalStorage) -> None:
    Repository.open(storage, key=KEY).keys.rotate(NEW_KEY)


def look(storage: LocalStorage) -> None:
    """What must be true whenever and wherever death came."""
    repository = _opened(storage)
    report = repository.check(level="read")
    assert report.ok, report.problems
    for one in repository.backups():
        for entry in one.manifest.entries:
            assert b"".join(repository.read(entry)) == CONTENTS[one.id][entry.name]
    let_time_pass(storage)
    back_up(repository, "backup_3")
    assert repository.leases() == []
    for one in repository.backups():
        assert repository.verified_level(one.id) == "stored"
    repository.prune(grace_seconds=0)
    assert repository.check(level="read").ok
    assert not list(storage.list("prune"))
    for one in repository.backups():
        repository.forget(one.id)
    repository.prune(grace_seconds=0)
    assert {info.name.split("/")[0] for info in storage.list()} == {"keys", "repository.json"}


def _opened(storage: LocalStorage) -> Repository:
    try:
        return Repository.create(storage, key=KEY)
    except WrongKeyError:
        return Repository.open(storage, key=NEW_KEY)


def let_time_pass(storage: LocalStorage) -> None:
    """Make what the dead left an hour old, by the storage's clock, rather than wait."""
    folder = Path(storage.location.removeprefix("file://"))
    for path in (folder / "leases").glob("*"):
        os.utime(path, (time.time() - 3600,) * 2)


SCENARIOS: dict[str, tuple[Callable[[LocalStorage], None], Callable[[LocalStorage], None]]] = {
    "create": (nothing, create),
    "backup": (made, backup),
    "forget": (made, forget),
    "prune": (forgotten, prune),
    "rotate": (made, rotate),
}


def _deed(work: Callable[[LocalStorage], None]) -> Deed:
    def do(folder: Path, steps: int | None) -> None:
        storage = Mortal(folder)
        storage.steps_left = steps
        work(storage)

    return do


def main() -> None:
    before, work = SCENARIOS[sys.argv[1]]
    print(die_before_each_step(_deed(before), _deed(work), _deed(look), Path(sys.argv[2])))


if __name__ == "__main__":
    main()
