"""What the network and the services do to a storage: what passes is recovered from, the rest is one clear error, and no
object is ever handed out that is not the one that was stored.

Each storage speaks to its real server through a proxy that spoils requests (`fault_proxy`).
"""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from holdfast.errors import (
    HoldfastError,
    ObjectExistsError,
    SettingsError,
    StorageDeniedError,
    StorageUnreachableError,
)
from holdfast.storage import Storage, StorageSettings, bucket, gcs, gcs_download, open_storage
from holdfast.storage.retrying import RetryPolicy
from tests.storage.fault_proxy import FaultProxy
from tests.storage.faults import QUOTED_SECRET, RECOVERABLE, Fault, Request
from tests.storage.race import winners
from tests.storage.servers import Kind, azurite_server, gcs_server, moto_server

from .conformance import MIB

QUICK = RetryPolicy(tries=8, first_seconds=0.001, longest_seconds=0.01)
ALWAYS = 10**9
DATA = random.Random(5).randbytes(MIB + 17)
SERVERS = {"s3": moto_server, "azure": azurite_server, "gcs": gcs_server}


@dataclass
class Way:
    """One bucket, directly and through the proxy."""

    proxy: FaultProxy
    settings: StorageSettings
    direct: Storage
    storage: Storage


@pytest.fixture(params=["s3", "azure", "gcs"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def way(kind: Kind) -> Iterator[Way]:
    server = SERVERS[kind]()
    settings = server.new_storage()
    with FaultProxy(server) as proxy:
        through = proxy.settings_for(settings)
        way = Way(proxy, through, open_storage(settings), open_storage(through, retry=QUICK))
        try:
            yield way
        finally:
            way.direct.close()
            way.storage.close()


Call = Callable[[Storage], object]
READS: dict[str, Call] = {
    "get": lambda storage: storage.get("a/x"),
    "get_range": lambda storage: storage.get_range("a/x", 100, MIB),
    "stream": lambda storage: b"".join(storage.stream("a/x", part_bytes=MIB // 4)),
    "head": lambda storage: storage.head("a/x"),
    "list": lambda storage: sorted(storage.list("a"), key=lambda info: info.name),
}
WRITES: dict[str, Call] = {
    "put": lambda storage: storage.put("a/y", DATA),
    "replace": lambda storage: storage.put("a/x", DATA, replace=True),
    "delete": lambda storage: storage.delete("a/x"),
}
CALLS = READS | WRITES
each_call = pytest.mark.parametrize("name", CALLS)


def assert_shows_no_secret(error: BaseException, settings: StorageSettings) -> None:
    """Neither what is told of an error nor its trace may show a credential, the server's quotes of it included."""
    told = "".join(traceback.format_exception(error))
    secrets = (settings.access_key, settings.secret_key)
    for secret in (QUOTED_SECRET, *(secret.get_secret_value() for secret in secrets if secret)):
        if secret in {"devstoreaccount1"}:
            continue  # the account's name is part of every address of its objects
        assert secret not in told, told


@pytest.mark.parametrize("fault", RECOVERABLE)
def test_a_fault_that_passes_is_recovered_from(way: Way, fault: Fault) -> None:
    way.direct.put("a/x", DATA)
    way.direct.put("a/z", b"")
    for name, call in READS.items():
        rule = way.proxy.inject(fault, times=2)
        assert call(way.storage) == call(way.direct), name
        assert rule.met >= 1
        way.proxy.heal()
    for name, call in WRITES.items():
        rule = way.proxy.inject(fault, times=2)
        call(way.storage)
        assert rule.met >= 1, name
        way.proxy.heal()
    assert {info.name: way.direct.get(info.name) for info in way.direct.list()} == {"a/y": DATA, "a/z": b""}


@each_call
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.SLOW_DOWN, Fault.RESET_AT_ONCE, Fault.CUT_BODY])
def test_a_fault_that_stays_is_one_clear_error(way: Way, name: str, fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "holdfast")
    way.direct.put("a/x", DATA)
    way.proxy.inject(fault, times=ALWAYS)
    with pytest.raises(StorageUnreachableError, match="tried 8 times") as caught:
        CALLS[name](way.storage)
    told = str(caught.value)
    assert {"list": "'a'", "put": "'a/y'"}.get(name, "'a/x'") in told
    assert way.storage.location in told
    assert len(told) < 600
    assert_shows_no_secret(caught.value, way.settings)
    assert QUOTED_SECRET not in caplog.text


@each_call
@pytest.mark.parametrize("fault", [Fault.DENIED, Fault.UNAUTHORIZED, Fault.EXPIRED])
def test_refused_credentials_are_said_to_be_at_once(way: Way, name: str, fault: Fault) -> None:
    way.direct.put("a/x", DATA)
    way.proxy.inject(fault, times=ALWAYS)
    with pytest.raises(StorageDeniedError) as caught:
        CALLS[name](way.storage)
    told = str(caught.value)
    assert {"list": "'a'", "put": "'a/y'"}.get(name, "'a/x'") in told
    assert way.storage.location in told
    assert len(told) < 600
    assert_shows_no_secret(caught.value, way.settings)
    assert len(way.proxy.requests) <= 2


@each_call
def test_a_bucket_that_is_gone_is_no_missing_object(way: Way, name: str) -> None:
    way.proxy.inject(Fault.NO_BUCKET, times=ALWAYS)
    with pytest.raises(SettingsError, match="BACKUP_STORAGE_BUCKET") as caught:
        CALLS[name](way.storage)
    assert_shows_no_secret(caught.value, way.settings)


class TestAServiceThatNeverAnswers:
    @pytest.fixture
    def hurried(self, way: Way, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
        monkeypatch.setattr(bucket, "REQUEST_SECONDS", 0.4)
        monkeypatch.setattr(gcs, "TIMEOUT", (0.4, 0.4))
        monkeypatch.setattr(gcs_download, "TIMEOUT", (0.4, 0.4))
        storage = open_storage(way.settings, retry=RetryPolicy(tries=3, first_seconds=0.001))
        yield storage
        storage.close()

    @pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.SILENCE_AFTER_DONE])
    def test_is_asked_again_after_a_time(self, way: Way, hurried: Storage, fault: Fault) -> None:
        way.proxy.inject(fault)
        hurried.put("a/x", DATA)
        assert way.direct.get("a/x") == DATA
        for call in READS.values():
            way.proxy.inject(fault)
            assert call(hurried) == call(way.direct)

    def test_is_an_error_in_the_end_that_says_so(self, way: Way, hurried: Storage) -> None:
        way.proxy.inject(Fault.SILENCE, times=ALWAYS)
        with pytest.raises(StorageUnreachableError, match="time") as caught:
            hurried.get("a/x")
        assert "'a/x'" in str(caught.value)
        assert way.storage.location in str(caught.value)


@pytest.mark.parametrize("fault", [Fault.RESET_MID_BODY, Fault.CUT_BODY, Fault.CUT_BODY_UNTOLD])
@pytest.mark.parametrize("name", ["get", "get_range"])
def test_half_an_object_is_never_handed_out(way: Way, fault: Fault, name: str) -> None:
    way.direct.put("a/x", DATA)
    way.proxy.inject(fault, times=ALWAYS, where=lambda request: request.reads_content)
    with pytest.raises(StorageUnreachableError, match="'a/x'"):
        READS[name](way.storage)


@pytest.mark.parametrize(
    "fault",
    [Fault.RESET_MID_BODY, Fault.CUT_BODY, Fault.CUT_BODY_UNTOLD, Fault.CUT_BODY_AND_LENGTH, Fault.RESET_AT_ONCE],
)
def test_a_stream_never_ends_early_as_if_it_were_whole(way: Way, fault: Fault) -> None:
    way.direct.put("a/x", DATA)
    way.proxy.inject(fault, times=ALWAYS, where=lambda request: request.reads_content)
    given = bytearray()
    with pytest.raises(HoldfastError, match="'a/x'"):
        given.extend(b"".join(_noting(way.storage.stream("a/x", part_bytes=1000), given)))
    assert len(given) < len(DATA)
    assert DATA.startswith(given)


def _noting(parts: Iterator[bytes], given: bytearray) -> Iterator[bytes]:
    for part in parts:
        given += part
        yield part


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.CUT_BODY, Fault.CUT_BODY_AND_LENGTH, Fault.RESET_MID_BODY])
def test_a_listing_is_complete_or_fails(way: Way, fault: Fault) -> None:
    names = {f"a/{number}" for number in range(40)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: way.direct.put(name, b""), names))
    way.proxy.inject(fault, times=3, where=lambda request: request.lists)
    assert sorted(info.name for info in way.storage.list("a")) == sorted(names)
    way.proxy.inject(fault, times=ALWAYS, where=lambda request: request.lists)
    with pytest.raises(StorageUnreachableError, match="'a'"):
        list(way.storage.list("a"))


class TestPutIfAbsent:
    """Whatever happens to requests and answers, one put of a name wins and knows it."""

    @pytest.mark.parametrize("fault", [Fault.RESET_AFTER_DONE, Fault.ERROR_AFTER_DONE, Fault.CUT_BODY])
    def test_that_was_done_although_its_answer_was_lost_is_known_to_be_ours(self, way: Way, fault: Fault) -> None:
        rule = way.proxy.inject(fault, where=_stores)
        way.storage.put("x", DATA)
        assert rule.met == 1
        assert way.direct.get("x") == DATA

    @pytest.mark.parametrize("fault", [Fault.RESET_AT_ONCE, Fault.RESET_MID_REQUEST, Fault.RESET_AFTER_DONE, Fault.CONFLICT])
    def test_of_what_is_there_is_refused_also_after_faults(self, way: Way, fault: Fault) -> None:
        way.direct.put("x", b"theirs")
        way.proxy.inject(fault, times=2, where=_stores)
        with pytest.raises(ObjectExistsError, match="'x'"):
            way.storage.put("x", b"mine")
        assert way.direct.get("x") == b"theirs"

    def test_in_conflict_with_another_that_is_not_done_yet_is_tried_again(self, way: Way) -> None:
        """Such an answer says that another put is under way, not that an object is there."""
        rule = way.proxy.inject(Fault.CONFLICT, times=2, where=_stores)
        way.storage.put("x", DATA)
        assert rule.met == 2
        assert way.direct.get("x") == DATA

    @pytest.mark.parametrize("seed", range(3))
    def test_has_exactly_one_winner_of_many(self, way: Way, seed: int) -> None:
        way.proxy.inject(*RECOVERABLE, times=ALWAYS, chance=0.25, seed=seed)
        patient = open_storage(way.settings, retry=RetryPolicy(tries=40, first_seconds=0.001, longest_seconds=0.01))

        won = winners(lambda number: patient.put(f"race/{number // 8}", bytes([number]) * 50_000), 32, at_once=8)
        patient.close()
        assert [number // 8 for number in won] == [0, 1, 2, 3]
        for number in won:
            assert way.direct.get(f"race/{number // 8}") == bytes([number]) * 50_000


def _stores(request: Request) -> bool:
    """Tell an upload from a deletion, which is a POST on some services."""
    return request.writes and not {"delete", "comp"} & request.query.keys()
