"""The step that brings a database back: as its trouble asks for, by the newest backup that is good, and never blindly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import (
    ApprovalNeededError,
    DamagedError,
    DatabaseUnreachableError,
    HoldfastError,
    RefusedError,
    TimeLimitError,
    WorkFailedError,
)
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.promote import promote
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.restoring import server as restoring_server
from holdfast.recovery.service import Health, Service
from holdfast.recovery.step_type import Outcome
from holdfast.recovery.verdict import Verdict
from holdfast.repository import Manifest, Repository
from holdfast.storage import MemoryStorage
from tests.postgres.restoring import back_up, databases, make_database, rows
from tests.postgres.servers import drop_database, running_server
from tests.recovery.assessed import look
from tests.recovery.restoring_world import RestoringWorld, repository_of, step_of, type_and_parameters, work_on
from tests.test_checking import damage

SHOP = """
CREATE TABLE orders (id int PRIMARY KEY, text text);
CREATE TABLE lines (id serial PRIMARY KEY, order_id int REFERENCES orders);
CREATE VIEW counted AS SELECT count(*) FROM orders;
GRANT SELECT ON counted TO pg_monitor;
INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(1, 300) AS g;
INSERT INTO lines (order_id) SELECT g FROM generate_series(1, 200) AS g;
"""
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = 'shop' AND wait_event_type = 'Lock'"
BLOCK = "BEGIN; LOCK TABLE pg_catalog.pg_attrdef IN ACCESS EXCLUSIVE MODE"
"""Meanwhile no table with a default can be looked at or made."""
LOST = Verdict("database", "lost", "it is gone")
DAMAGED = Verdict("database", "damaged", "it can't be read")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with running_server(18) as found:
        yield found


@dataclass(frozen=True)
class Shop:
    """Two backups of a shop, the newer first: 300 orders are in the older, 310 in the newer; and the database as it then was."""

    backups: list[Manifest]
    objects: dict[str, bytes]
    template: DatabaseUrl


@pytest.fixture(scope="module")
def shop(server: EmbeddedServer) -> Shop:
    storage, url = MemoryStorage(), make_database(server.url(), "shop")
    rows(url, SHOP)
    _, older = back_up(url, storage=storage, proof="counts")
    rows(url, "INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(301, 310) AS g")
    _, newer = back_up(url, storage=storage, proof="counts")
    rows(url.maintenance(), "ALTER DATABASE shop RENAME TO pristine")
    return Shop([newer, older], {one.name: storage.get(one.name) for one in storage.list()}, url.with_database("pristine"))


@pytest.fixture
def live(shop: Shop) -> Iterator[DatabaseUrl]:
    """The live database as it was when it was backed up; whatever a test makes of its name is dropped after it."""
    url = make_database(shop.template, "shop", "TEMPLATE pristine")
    yield url
    for name in databases(url):
        if name.startswith("shop"):
            drop_database(url.with_database(name))


@pytest.fixture
def backups(shop: Shop) -> list[Manifest]:
    return shop.backups


@pytest.fixture
def storage(shop: Shop) -> MemoryStorage:
    found = MemoryStorage()
    for name, data in shop.objects.items():
        found.put(name, data)
    return found


@pytest.fixture
def world(live: DatabaseUrl, storage: MemoryStorage, tmp_path: Path) -> RestoringWorld:
    return RestoringWorld(tmp_path, live, repository=repository_of(storage), database=live)


def run(world: Any, verdict: Verdict | None = None, *, seconds: float = 60, parameters: Any = (), **about: Any) -> Outcome:
    step = step_of("backup_restore", backupType="database", **dict(parameters))
    kind, read = type_and_parameters(step)
    verdicts = {verdict.subject: verdict} if verdict else {}
    done: Outcome = kind.run(work_on(world, step, seconds=seconds, verdicts=verdicts, **about), read)
    return done


def undo(world: Any, outcome: Outcome) -> Outcome | None:
    step = step_of("backup_restore", backupType="database")
    kind, read = type_and_parameters(step)
    assert outcome.undo is not None
    return kind.undo(work_on(world, step), read, outcome.undo)


def names(url: DatabaseUrl) -> set[str]:
    """The databases of the shop, and scratch ones."""
    return {name for name in databases(url) if name.startswith(("shop", "holdfast_scratch"))}


def test_a_lost_database_is_there_again_and_an_undo_takes_only_its_name_away(
    world: RestoringWorld, live: DatabaseUrl, backups: list[Manifest]
) -> None:
    drop_database(live)
    done = run(world)
    assert done.output["found"] == "lost", "it looked by itself, for no assessment came before"
    assert (done.output["backupId"], done.output["rows"], done.output["kept"]) == (backups[0].id, 510, None)
    assert rows(live, "SELECT count(*) FROM orders") == [(310,)]
    assert undo(world, done) is not None
    (undone,) = names(live)
    assert undone.startswith("shop_undone_")
    assert rows(live.with_database(undone), "SELECT count(*) FROM orders") == [(310,)]


def test_a_damaged_database_is_kept_and_whoever_was_connected_is_named(world: RestoringWorld, live: DatabaseUrl) -> None:
    rows(live, "DELETE FROM orders WHERE id > 305; DELETE FROM lines; INSERT INTO orders VALUES (1000, 'newer than the backup')")
    with closing(connect(live, application_name="the shop")):
        done = run(world, DAMAGED)
    assert [one["application"] for one in done.output["disconnected"]] == ["the shop"]
    kept = done.output["kept"]
    assert kept in done.summary
    assert rows(live, "SELECT count(*) FROM lines") == [(200,)]
    assert rows(live.with_database(kept), "SELECT count(*) FROM lines") == [(0,)]
    assert undo(world, done) is not None
    assert rows(live, "SELECT count(*), max(id) FROM orders") == [(306, 1000)], "what was live is live again"
    (undone,) = names(live) - {"shop"}
    assert rows(live.with_database(undone), "SELECT count(*) FROM lines") == [(200,)], "and what was brought back is kept"


def test_only_the_tables_that_are_gone_come_back_with_what_fell_with_them(world: RestoringWorld, live: DatabaseUrl) -> None:
    rows(live, "DROP TABLE orders CASCADE; DELETE FROM lines WHERE id > 150")
    found = Verdict("database", "incomplete", "public.orders is gone", affected=("public.orders",))
    done = run(world, found)
    assert world.restored == [("new", ("public.orders",))]
    assert rows(live, "SELECT (SELECT count FROM counted), (SELECT count(*) FROM lines)") == [(310, 150)]
    assert sorted(done.output["ties"]) == ["FK CONSTRAINT public.lines lines_order_id_fkey", "VIEW public.counted"]
    assert rows(live, "SELECT has_table_privilege('pg_monitor', 'counted', 'SELECT')") == [(True,)]
    assert done.notes == ()
    assert undo(world, done) is not None
    assert rows(live, "SELECT to_regclass('public.orders')") == [(None,)]
    (schema,) = rows(live, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'holdfast_undone_%'")[0]
    assert rows(live, f"SELECT count(*) FROM {schema}.orders") == [(310,)]


def test_what_can_t_hang_on_a_table_again_is_named_and_the_table_is_back(world: RestoringWorld, live: DatabaseUrl) -> None:
    rows(live, "DROP TABLE orders CASCADE; INSERT INTO lines (order_id) VALUES (4711)")
    done = run(world, Verdict("database", "incomplete", "public.orders is gone", affected=("public.orders",)))
    assert rows(live, "SELECT count(*) FROM orders") == [(310,)]
    assert done.output["ties"] == ["VIEW public.counted"]
    (note,) = done.notes
    assert "not made again: FK CONSTRAINT public.lines lines_order_id_fkey" in note


def test_a_run_that_is_told_to_end_ends_a_restore_that_waits_and_leaves_nothing_of_it(
    world: RestoringWorld, live: DatabaseUrl
) -> None:
    rows(live, "DROP TABLE lines CASCADE")
    found = Verdict("database", "incomplete", "public.lines is gone", affected=("public.lines",))
    step = step_of("backup_restore", backupType="database")
    kind, read = type_and_parameters(step)
    work = work_on(world, step, verdicts={"database": found})
    with closing(connect(live)) as blocker, ThreadPoolExecutor(1) as pool, blocker.cursor() as cursor:
        cursor.execute(BLOCK)
        running = pool.submit(kind.run, work, read)
        while not rows(live.maintenance(), WAITING):
            assert not running.done()
        work.deadline.cut()
        error = running.exception(timeout=20)
    assert isinstance(error, TimeLimitError | WorkFailedError)
    assert rows(live, "SELECT to_regclass('public.lines')") == [(None,)]
    assert names(live) == {"shop"}


def test_the_next_older_backup_is_taken_where_the_newest_is_damaged_and_that_is_said(
    world: RestoringWorld, live: DatabaseUrl, storage: MemoryStorage, backups: list[Manifest]
) -> None:
    newer, older = backups
    damage(storage, world.repository, newer, "table/public.orders")
    drop_database(live)
    done = run(world, LOST)
    assert (done.output["backupId"], done.output["rows"]) == (older.id, 500)
    assert [one["backupId"] for one in done.output["passedOver"]] == [newer.id]
    assert any(newer.id in note and "did not pass its check" in note for note in done.notes)
    assert repository_of(storage).proof_index().is_bad(newer), "it is known to be bad from now on"
    damage(storage, world.repository, older, "table/public.orders")
    drop_database(live)
    with pytest.raises(DamagedError, match=f"(?s)no database backup is left that is good.*{newer.id}.*{older.id}"):
        run(world, LOST)
    assert names(live) == set()


def test_a_backup_that_was_named_is_never_replaced_by_another(
    world: RestoringWorld, live: DatabaseUrl, storage: MemoryStorage, backups: list[Manifest]
) -> None:
    newer, older = backups
    drop_database(live)
    assert run(world, LOST, parameters={"backupId": older.id}).output["rows"] == 500
    damage(storage, world.repository, newer, "base")
    drop_database(live)
    with pytest.raises(DamagedError, match="was not brought back"):
        run(world, LOST, parameters={"backupId": newer.id})
    assert names(live) == set()


def test_a_healthy_database_is_left_alone_unless_a_person_forces_it(world: RestoringWorld, live: DatabaseUrl) -> None:
    done = run(world)
    assert (done.needed, done.output["found"], done.undo) == (False, "healthy", None)
    assert not run(world, Verdict("database", "slow", "a session waits for a lock")).needed
    assert world.restored == []
    assert run(world, forced=True).output["kept"] in names(live)


def test_what_an_attempt_before_had_brought_back_is_not_replaced_again_and_can_be_undone(
    world: RestoringWorld, live: DatabaseUrl
) -> None:
    began = datetime.now(UTC)
    first = run(world, DAMAGED, begun_at=began)  # killed here, before anybody heard of it
    rows(live, "INSERT INTO orders VALUES (1000, 'written since')")
    for more in ({}, {"forced": True}):
        again = run(world, DAMAGED, begun_at=began, outdated=True, **more)
        assert again.output["kept"] == first.output["kept"]
    assert world.restored == [("promote", ())]
    assert rows(live, "SELECT max(id) FROM orders") == [(1000,)]
    assert undo(world, again) is not None
    assert rows(live, "SELECT max(id) FROM orders") == [(310,)], "the database from before the first attempt is not back"


def test_a_database_that_somebody_has_put_there_since_is_not_rolled_back(world: RestoringWorld, live: DatabaseUrl) -> None:
    done = run(world, DAMAGED)
    rows(live, "INSERT INTO orders VALUES (1000, 'of another restore')")
    promote(live, make_database(live, "shop_other"))
    with pytest.raises(RefusedError, match="another database by now"):
        undo(world, done)
    assert {"shop", done.output["kept"]} <= names(live)


def test_no_older_backup_is_taken_than_the_one_that_a_person_has_agreed_to(
    world: RestoringWorld, live: DatabaseUrl, storage: MemoryStorage, backups: list[Manifest]
) -> None:
    damage(storage, world.repository, backups[0], "base")
    with pytest.raises(DamagedError, match="older than the one that a person has agreed to"):
        run(world, DAMAGED, agreed_at=backups[0].snapshot_at)
    assert (world.restored, names(live)) == ([], {"shop"})


def test_a_backup_that_was_made_while_a_person_thought_is_no_measure_and_is_not_brought_back(
    world: RestoringWorld, live: DatabaseUrl, storage: MemoryStorage, backups: list[Manifest]
) -> None:
    rows(live, "DROP TABLE lines")
    asked_at = datetime.now(UTC)
    _, made_since = back_up(live, storage=storage, proof="counts")
    found = look(world, "database")
    assert found.state == "healthy", "the backup of the night has no such table either"
    world.as_of = asked_at
    found = look(world, "database")
    assert (found.state, found.affected) == ("incomplete", ("public.lines",))
    done = run(world, found)
    assert done.output["backupId"] == backups[0].id
    assert rows(live, "SELECT count(*) FROM lines") == [(200,)]
    rows(live, "DROP TABLE lines")
    world.as_of = None
    done = run(world, found)  # a backup was made between the look and the restore
    assert done.output["backupId"] == backups[0].id
    assert f"backup {made_since.id} was passed over: the backup has no table 'public.lines'" in done.notes[0]


def test_what_an_attempt_before_had_left_of_a_table_s_ties_is_made_when_it_is_taken_up_again(
    world: RestoringWorld, live: DatabaseUrl
) -> None:
    rows(live, "DROP TABLE orders CASCADE")
    found = Verdict("database", "incomplete", "public.orders is gone", affected=("public.orders",))
    world.restore("database", world.repository.backups()[0].id, Deadline(60, "It"), mode="new", tables=found.affected)
    again = run(world, found, begun_at=datetime.now(UTC), outdated=True)
    assert (again.needed, len(world.restored)) == (False, 1)
    assert rows(live, "SELECT count FROM counted") == [(310,)]


def test_what_only_a_person_can_decide_stops_the_step(world: RestoringWorld, live: DatabaseUrl) -> None:
    rows(live, "DROP TABLE lines")
    with pytest.raises(ApprovalNeededError, match="dropped on purpose"):
        run(world)
    unknown = RestoringWorld(world.settings.home, live, repository=world.repository)
    with pytest.raises(RefusedError, match=r"can't be told.*--force"):
        run(unknown)
    assert world.restored == []


def test_a_restore_that_takes_too_long_leaves_nothing_of_it(world: RestoringWorld, live: DatabaseUrl) -> None:
    rows(live, "DROP TABLE lines CASCADE")
    found = Verdict("database", "incomplete", "public.lines is gone", affected=("public.lines",))
    with closing(connect(live)) as blocker, blocker.cursor() as cursor:
        cursor.execute(BLOCK)
        with pytest.raises(TimeLimitError):
            run(world, found, seconds=1)
    assert rows(live, "SELECT to_regclass('public.lines')") == [(None,)]
    assert names(live) == {"shop"}


def test_it_says_beforehand_what_would_be_done_and_lost(
    world: RestoringWorld, live: DatabaseUrl, backups: list[Manifest]
) -> None:
    rows(live, "INSERT INTO orders VALUES (1000, 'newer'), (1001, 'newer')")
    step = step_of("backup_restore", backupType="database")
    kind, read = type_and_parameters(step)
    said = kind.foresee(work_on(world, step, verdicts={"database": DAMAGED}), read)
    assert any(backups[0].id in one for one in said)
    assert any("the live one is kept" in one for one in said)
    assert any("at least 2 rows would be lost" in one and "public.orders: 2 of 312" in one for one in said)
    assert kind.foresee(work_on(world, step), read)[-1] == "nothing would be done"
    assert names(live) == {"shop"}
    assert world.restored == []


def test_a_drill_brings_it_back_into_scratch_and_changes_nothing(world: RestoringWorld, live: DatabaseUrl) -> None:
    before = databases(live)
    done = run(world, mode="drill")
    assert done.output["restoreSeconds"] > 0
    assert done.undo is None
    assert databases(live) == before
    assert world.restored == []


class OwnServer(Service):
    """The service of an embedded server."""

    name = "database"

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    def health(self, deadline: Deadline) -> Health:
        return Health(self._server.is_running(), "asked")

    def start(self, deadline: Deadline) -> list[str]:
        self._server.start()
        return ["started the server"]

    def wait_for_health(self, deadline: Deadline) -> Health:
        return self.health(deadline)

    def restart(self, deadline: Deadline, *, force: bool = False) -> list[str]:
        raise AssertionError("nobody asked for that")

    def foresee(self) -> str:
        return "by the test"


def test_a_server_that_is_down_is_started_and_nothing_restored_that_was_not_lost(
    live: DatabaseUrl, storage: MemoryStorage, tmp_path: Path, server: EmbeddedServer
) -> None:
    given: dict[str, Any] = {"repository": Repository.open(storage, key=None), "database": live}
    server.stop()
    with pytest.raises(DatabaseUnreachableError, match=r"(?s)names no service to start.*holdfast restore latest --target"):
        run(RestoringWorld(tmp_path, live, **given))
    world = RestoringWorld(tmp_path, live, **given, services=[OwnServer(server)], BACKUP_DATABASE_SERVICE="database")
    done = run(world, Verdict("database", "unreachable", "nothing listens"))
    assert not done.needed
    assert done.summary.startswith("The server was down, not the data")
    assert done.output["started"] == ["started the server"]
    assert world.restored == []
    drop_database(live)
    server.stop()
    done = run(world, Verdict("database", "unreachable", "nothing listens"))
    assert (done.output["found"], done.output["started"]) == ("lost", ["started the server"])
    assert rows(live, "SELECT count(*) FROM orders") == [(310,)]


@pytest.mark.parametrize("verdict", [None, Verdict("database", "unreachable", "it does not answer"), DAMAGED])
@pytest.mark.parametrize("forced", [False, True])
def test_where_only_our_way_to_a_healthy_database_is_cut_nothing_is_brought_back(
    verdict: Verdict | None,
    forced: bool,
    live: DatabaseUrl,
    storage: MemoryStorage,
    tmp_path: Path,
    server: EmbeddedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restoring_server, "_ANSWER_SECONDS", 0.3)
    cut = DatabaseUrl.parse("postgresql://postgres@127.0.0.1:9/shop")
    given: dict[str, Any] = {"repository": Repository.open(storage, key=None), "services": [OwnServer(server)]}
    world = RestoringWorld(tmp_path, cut, **given, database=cut, BACKUP_DATABASE_SERVICE="database")
    with pytest.raises(DatabaseUnreachableError):
        run(world, verdict, forced=forced)
    assert (world.restored, names(live)) == ([], {"shop"})


def test_a_server_that_is_coming_up_by_itself_is_waited_for(
    live: DatabaseUrl, storage: MemoryStorage, tmp_path: Path, server: EmbeddedServer
) -> None:
    settings, standby = server.data_dir / "postgresql.auto.conf", server.data_dir / "standby.signal"
    before = settings.read_text()
    server.stop()
    settings.write_text(f"{before}\nhot_standby = off\n")
    standby.touch()
    (server.data_dir / "promote").unlink(missing_ok=True)
    world = RestoringWorld(tmp_path, live, repository=Repository.open(storage, key=None), database=live)
    try:
        with ThreadPoolExecutor(2) as pool:
            started = pool.submit(server.start)  # it says that it is not up yet, until it is told to be no standby any more
            _wait(lambda: "not accepting" in str(_refused(live)))
            done = pool.submit(run, world, Verdict("database", "unreachable", "the server is starting"))
            time.sleep(0.5)
            assert not done.done()
            (server.data_dir / "promote").touch()
            os.kill(int((server.data_dir / "postmaster.pid").read_text().split()[0]), signal.SIGUSR1)
            started.result(30)
            outcome = done.result(30)
    finally:
        server.stop()
        settings.write_text(before)
        standby.unlink(missing_ok=True)
        server.start()
    assert not outcome.needed
    assert "coming up by itself" in outcome.output["started"][0]
    assert world.restored == []


def _refused(url: DatabaseUrl) -> HoldfastError | None:
    try:
        connect(url).close()
    except HoldfastError as error:
        return error
    return None


def _wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)
