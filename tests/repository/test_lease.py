"""Leases: those that exclude each other never hold at once, a dead holder's ends, and a holder that slept never commits."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import BusyError, LeaseLostError, SettingsError
from holdfast.repository import Lease, Repository, UserKey
from holdfast.storage import LocalStorage, MemoryStorage, ObjectInfo

from .making import ZSTD, back_up, draft


class Skewed(MemoryStorage):
    """A storage whose clock a test can put forward, for all its objects' times from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, datetime] = {}
        self.ahead = timedelta()

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        super().put(name, data, replace=replace, bulk=bulk)
        info = super().head(name)
        assert info is not None
        self.times[name] = info.modified + self.ahead

    def head(self, name: str) -> ObjectInfo | None:
        info = super().head(name)
        return info and ObjectInfo(name, info.size_bytes, self.times[name])

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for info in super().list(prefix):
            yield ObjectInfo(info.name, info.size_bytes, self.times[info.name])


@pytest.fixture
def skewed() -> Skewed:
    return Skewed()


@pytest.fixture
def in_skewed(skewed: Skewed, key: UserKey) -> Repository:
    return Repository.create(skewed, key=key)


_dead: list[ExitStack] = []  # never closed: the dead give nothing back


@contextmanager
def dead(repository: Repository, purpose: str, *, exclusive: bool = False) -> Iterator[Lease]:
    """A lease whose holder died: taken, and never given back or renewed."""
    with ExitStack() as stack:
        lease = stack.enter_context(repository.lease(purpose, exclusive=exclusive, ttl_seconds=60))
        lease._ended.set()
        _dead.append(stack.pop_all())
        yield lease


def test_shared_leases_go_together(repository: Repository) -> None:
    with repository.lease("backup", holder="a") as one, repository.lease("restore", holder="b") as two:
        assert {lease.purpose for lease in repository.leases()} == {"backup", "restore"}
        one.check()
        two.check()
        assert two.token > one.token
    assert repository.leases() == []


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_an_exclusive_lease_goes_with_no_other(repository: Repository, first: bool, second: bool) -> None:
    with repository.lease("backup", exclusive=first, holder="host-a:17"):
        with pytest.raises(BusyError) as caught, repository.lease("prune", exclusive=second):
            pass
        message = str(caught.value)
        assert "host-a:17" in message
        assert "backup" in message
        assert "since 20" in message
        assert len(repository.leases()) == 1, "who steps back leaves nothing"
    with repository.lease("prune", exclusive=True):
        pass


def test_who_waits_gets_the_lease_when_it_is_given_back(repository: Repository) -> None:
    held = threading.Event()

    def hold() -> None:
        with repository.lease("backup"):
            held.set()
            time.sleep(0.4)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with repository.lease("prune", exclusive=True, wait_seconds=20):
        assert [lease.purpose for lease in repository.leases()] == ["prune"]
    thread.join()


def test_of_many_that_want_it_exclusively_at_once_never_two_hold_it(folder: Path, key: UserKey) -> None:
    Repository.create(LocalStorage(folder), key=key)
    start = threading.Barrier(4)
    inside: list[int] = []
    most = 0

    def run(_: int) -> bool:
        nonlocal most
        repository = Repository.open(LocalStorage(folder), key=key)
        start.wait()
        with repository.lease("prune", exclusive=True, wait_seconds=30):
            inside.append(1)
            most = max(most, len(inside))
            time.sleep(0.02)
            inside.pop()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(4)))
    assert most == 1


def test_a_backup_and_a_prune_at_once_never_hold_together(folder: Path, key: UserKey) -> None:
    Repository.create(LocalStorage(folder), key=key)
    inside: list[bool] = []
    clashes = 0

    def run(exclusive: bool) -> None:
        nonlocal clashes
        repository = Repository.open(LocalStorage(folder), key=key)
        for _ in range(5):
            with repository.lease("work", exclusive=exclusive, wait_seconds=60):
                inside.append(exclusive)
                clashes += exclusive and len(inside) > 1
                time.sleep(0.005)
                inside.remove(exclusive)

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(run, exclusive) for exclusive in (True, False, False)]:
            future.result()
    assert clashes == 0


def test_a_lease_renews_itself_while_the_work_goes_on(sealed_in_memory: Repository) -> None:
    with sealed_in_memory.lease("backup", ttl_seconds=2) as lease:
        begun = lease.renewed_at
        while lease.renewed_at - begun < timedelta(seconds=2.5):
            time.sleep(0.05)
        lease.check_locally()
        assert [found.expired for found in sealed_in_memory.leases()] == [False]


def test_a_dead_holders_lease_ends_by_itself(skewed: Skewed, in_skewed: Repository) -> None:
    with dead(in_skewed, "backup") as lease:
        with pytest.raises(BusyError), in_skewed.lease("prune", exclusive=True):
            pass
        skewed.ahead += timedelta(seconds=59)
        with pytest.raises(BusyError, match="ends by itself"), in_skewed.lease("prune", exclusive=True):
            pass
        skewed.ahead += timedelta(seconds=2)
        assert [found.expired for found in in_skewed.leases()] == [True]
        with in_skewed.lease("prune", exclusive=True) as prune:
            assert [found.id for found in in_skewed.leases()] == [prune.id]
            assert prune.token > lease.token


def test_a_holder_that_slept_past_its_end_is_fenced(skewed: Skewed, in_skewed: Repository) -> None:
    with dead(in_skewed, "backup") as lease:
        skewed.ahead += timedelta(seconds=61)
        with in_skewed.lease("prune", exclusive=True) as prune:
            with pytest.raises(LeaseLostError, match="removed after it had expired"):
                lease.check()
            with pytest.raises(LeaseLostError):
                lease.check_locally()
            assert [found.id for found in in_skewed.leases()] == [prune.id], "waking up does not bring it back"


def test_a_gap_between_renewals_is_noticed_though_nobody_came(skewed: Skewed, in_skewed: Repository) -> None:
    with dead(in_skewed, "backup") as lease:
        lease.check()
        skewed.ahead += timedelta(seconds=61)
        with pytest.raises(LeaseLostError, match="not renewed in time"):
            lease.check()
        assert in_skewed.leases() == []


def test_a_backup_whose_lease_was_lost_is_not_committed(skewed: Skewed, in_skewed: Repository) -> None:
    with dead(in_skewed, "backup") as lease, in_skewed.writer(lease, compression=ZSTD) as writer:
        skewed.ahead += timedelta(seconds=61)
        with pytest.raises(LeaseLostError, match="Nothing was committed"):
            writer.commit(draft("backup_1"))
    assert in_skewed.backups() == []


def test_a_work_in_progress_stops_soon_after_its_lease_was_lost(skewed: Skewed, in_skewed: Repository) -> None:
    with in_skewed.lease("backup", ttl_seconds=60) as lease, in_skewed.writer(lease, compression=ZSTD) as writer:
        skewed.delete(f"leases/{lease.id}")
        with pytest.raises(LeaseLostError):
            lease.check()
        with pytest.raises(LeaseLostError):
            writer.store("a", "k", io.BytesIO(b"x" * 100))


class PrunesOnCommit(Skewed):
    """Lets a prune happen at the worst moment: after the manifest was put, before the lease is checked again."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[str] = []

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        super().put(name, data, replace=replace, bulk=bulk)
        if name.startswith("manifests/") and self.meanwhile:
            self.ahead += timedelta(seconds=3600)
            for chunk in self.meanwhile:
                self.delete(chunk)


@pytest.mark.parametrize("lost", [True, False])
def test_a_backup_that_lost_its_lease_in_its_commit_is_withdrawn_only_if_chunks_are_gone(key: UserKey, lost: bool) -> None:
    storage = PrunesOnCommit()
    repository = Repository.create(storage, key=key)
    with repository.lease("backup", ttl_seconds=60) as lease, repository.writer(lease, compression=ZSTD) as writer:
        lease._ended.set()
        entry = writer.store("a", "k", io.BytesIO(b"needed"))
        storage.meanwhile = [info.name for info in storage.list("chunks")] if lost else ["chunks/00/none"]
        if lost:
            with pytest.raises(LeaseLostError, match="withdrawn"):
                writer.commit(draft("backup_1", entry))
        else:
            writer.commit(draft("backup_1", entry))
    assert [summary.id for summary in repository.backups()] == ([] if lost else ["backup_1"])
    assert repository.check().ok


def test_an_unreadable_lease_holds_others_off_until_it_is_surely_over(skewed: Skewed, in_skewed: Repository) -> None:
    skewed.put("leases/0123456789abcdef", b"garbage")
    with pytest.raises(BusyError, match="unreadable lease"), in_skewed.lease("prune", exclusive=True):
        pass
    assert [problem.object for problem in in_skewed.check().problems] == ["leases/0123456789abcdef"]
    skewed.ahead += timedelta(seconds=3601)
    with in_skewed.lease("prune", exclusive=True):
        pass
    assert in_skewed.check().ok


def test_the_lease_is_given_back_when_the_work_fails(repository: Repository) -> None:
    with pytest.raises(ZeroDivisionError), repository.lease("backup"):
        _ = 1 / 0
    assert repository.leases() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lease-")]


@pytest.mark.parametrize("ttl", [0, -1, 3601])
def test_a_lease_that_could_hold_others_off_for_ever_is_refused(sealed_in_memory: Repository, ttl: float) -> None:
    with pytest.raises(SettingsError), sealed_in_memory.lease("backup", ttl_seconds=ttl):
        pass


def test_tokens_rise_from_lease_to_lease(repository: Repository) -> None:
    tokens = []
    for _ in range(5):
        with repository.lease("backup") as lease:
            tokens.append(lease.token)
    assert tokens == sorted(set(tokens))
    assert back_up(repository, "backup_1", {}).lease_token > tokens[-1]


def test_a_busy_storage_does_not_lose_a_lease_that_is_renewed_late_but_in_time(skewed: Skewed, in_skewed: Repository) -> None:
    with dead(in_skewed, "backup") as lease:
        for _ in range(5):
            skewed.ahead += timedelta(seconds=59)
            lease.check()
