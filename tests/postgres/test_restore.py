"""A database comes back as it was, or the restore is refused and nothing is changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from holdfast.errors import (
    DamagedError,
    ExtensionMissingError,
    LocaleMissingError,
    NotFoundError,
    RefusedError,
    RolesMissingError,
    SettingsError,
    TargetNotEmptyError,
    TargetTooOldError,
    TimeLimitError,
)
from holdfast.postgres import preflight
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
from holdfast.repository import Manifest, Repository
from holdfast.storage.local import LocalStorage
from holdfast.storage.memory import MemoryStorage
from tests.postgres import oracle
from tests.postgres.restoring import (
    ALL_IN_BASE,
    ALL_STREAMED,
    EVERYTHING,
    TOOLS,
    back_up,
    databases,
    dropped_at_end,
    load_sql,
    make_database,
    restore,
    rows,
)
from tests.postgres.servers import drop_database, running_server

Backup = tuple[Repository, Manifest]

# Rows of this table take their time where they are restored, and nowhere else.
SLOW = b"""
CREATE FUNCTION slow(i integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN IF current_database() LIKE 'holdfast_scratch%' THEN PERFORM pg_sleep(0.05); END IF; RETURN true; END $$;
CREATE TABLE slow (i integer CHECK (public.slow(i)));
INSERT INTO slow SELECT generate_series(1, 2000);
"""


@pytest.fixture(scope="module")
def everything(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """A database with everything that PostgreSQL has."""
    with dropped_at_end(make_database(server.url(), "everything")) as url:
        load_sql(url, EVERYTHING)
        rows(url, "ALTER TABLE posts SET (autovacuum_enabled = off)")  # so that nobody has statistics of it but who analyzes
        yield url


@pytest.fixture(scope="module")
def backup(everything: DatabaseUrl) -> Backup:
    """A backup of everything, each table in a stream of its own."""
    return back_up(everything, threshold_bytes=ALL_STREAMED)


@pytest.fixture(scope="module")
def other_server() -> Iterator[EmbeddedServer]:
    """A server that has never seen the source."""
    with running_server(18) as embedded:
        yield embedded


@pytest.fixture
def target(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """An address with nothing there yet; its name needs care."""
    with dropped_at_end(server.url().with_database("restored \"Dätabase' = x")) as url:
        yield url


# A restore in a process of its own, to be killed.
RESTORING = """
import sys
from pathlib import Path
from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
from holdfast.repository import Repository
from holdfast.storage.local import LocalStorage

repository = Repository.open(LocalStorage(Path(sys.argv[1])), key=None)
target, options = DatabaseUrl.parse(sys.argv[2]), RestoreOptions(Path(sys.argv[3]))
DatabaseRestore(repository, repository.latest("database"), target, options).run()
"""


# What comes back


@pytest.mark.parametrize("threshold_bytes", [ALL_STREAMED, ALL_IN_BASE], ids=["each table a stream", "all in the base"])
def test_everything_comes_back(everything: DatabaseUrl, target: DatabaseUrl, tmp_path: Path, threshold_bytes: int) -> None:
    report = restore(back_up(everything, threshold_bytes=threshold_bytes), target, tmp_path)
    oracle.assert_same(TOOLS, everything.without_password(), target.without_password())
    assert report.proof is not None
    assert (report.proof.problems, report.proof.content_compared) == ([], True)
    assert report.rows == report.proof.rows


def test_roles_come_back_on_a_server_that_never_had_them(
    backup: Backup, everything: DatabaseUrl, other_server: EmbeddedServer, tmp_path: Path
) -> None:
    target = other_server.url("everything")
    report = restore(backup, target, tmp_path)
    assert 'Everything "Quoted" Röle' in report.roles.created
    assert report.roles.without_password == ("everything_owner",)
    oracle.assert_same(TOOLS, everything.without_password(), target.without_password())
    assert oracle.roles_text(TOOLS, everything.without_password()) == oracle.roles_text(TOOLS, target.without_password())
    drop_database(target)


def test_a_role_that_exists_is_not_altered(backup: Backup, other_server: EmbeddedServer, tmp_path: Path) -> None:
    with dropped_at_end(other_server.url("everything")) as target:
        rows(
            target.maintenance(),
            "DROP ROLE IF EXISTS everything_reader; CREATE ROLE everything_reader NOLOGIN CONNECTION LIMIT 3",
        )
        restore(backup, target, tmp_path)
        assert rows(target, "SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname = 'everything_reader'") == [(False, 3)]


def test_an_older_server_comes_back_on_a_newer_one(old_server: EmbeddedServer, target: DatabaseUrl, tmp_path: Path) -> None:
    with dropped_at_end(make_database(old_server.url(), "everything")) as source:
        load_sql(source, EVERYTHING)
        report = restore(back_up(source), target, tmp_path)
        assert oracle.fingerprint(source.without_password()) == oracle.fingerprint(target.without_password())
    assert report.proof is not None
    assert report.proof.problems == []
    assert any("PostgreSQL 16" in note for note in report.proof.notes)


def test_a_newer_pg_dump_s_backup_goes_back_into_an_older_server(old_server: EmbeddedServer, tmp_path: Path) -> None:
    with (
        dropped_at_end(make_database(old_server.url(), "everything")) as source,
        dropped_at_end(old_server.url("back")) as target,
    ):
        load_sql(source, EVERYTHING)
        backup = back_up(source, tools=TOOLS)
        report = restore(backup, target, tmp_path, tools=TOOLS)
        oracle.assert_same(TOOLS, source.without_password(), target.without_password())
    assert report.proof is not None
    assert report.proof.problems == []


def test_an_empty_database_comes_back(database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path) -> None:
    report = restore(back_up(database), target, tmp_path)
    oracle.assert_same(TOOLS, database.without_password(), target.without_password())
    assert report.tables == 0


@pytest.mark.parametrize(
    ("clauses", "text"),
    [
        ("ENCODING 'LATIN1' LOCALE 'C'", "größe é ÿ"),
        ("ENCODING 'LATIN9' LC_COLLATE 'C' LC_CTYPE 'C'", "€ Žž"),
        ("ENCODING 'EUC_JP' LOCALE 'C'", "漢字 カナ"),
        ("ENCODING 'SQL_ASCII' LOCALE 'C'", "plain"),
        ("ENCODING 'UTF8' LOCALE 'C'", "漢字 größe 😀"),
        ("ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'", "漢字 größe 😀"),
        ("ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LOCALE 'C.UTF-8'", "ǆ ß"),
    ],
)
@pytest.mark.parametrize("threshold_bytes", [ALL_STREAMED, ALL_IN_BASE], ids=["stream", "base"])
def test_every_encoding_and_locale_comes_back(
    server: EmbeddedServer, target: DatabaseUrl, tmp_path: Path, clauses: str, text: str, threshold_bytes: int
) -> None:
    with dropped_at_end(make_database(server.url(), "encoded", f"TEMPLATE template0 {clauses}")) as source:
        table = f'"the table {text}"'
        rows(source, f"CREATE TABLE {table} (\"{text}\" text PRIMARY KEY); COMMENT ON TABLE {table} IS '{text}'")
        rows(source, f"INSERT INTO {table} SELECT '{text}' || i FROM generate_series(1, 50) AS i")
        restore(back_up(source, threshold_bytes=threshold_bytes), target, tmp_path)
        oracle.assert_same(TOOLS, source.without_password(), target.without_password())


def test_bytes_without_an_encoding_come_back(server: EmbeddedServer, target: DatabaseUrl, tmp_path: Path) -> None:
    with dropped_at_end(make_database(server.url(), "bytes", "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")) as source:
        load_sql(source, b'CREATE TABLE "t\xe9\xff" ("c\x80" text); INSERT INTO "t\xe9\xff" VALUES (\'\xfe\xff \xe4\'), (\'x\')')
        report = restore(back_up(source), target, tmp_path)
        oracle.assert_same(TOOLS, source.without_password(), target.without_password())
    assert report.proof is not None
    assert report.proof.problems == []


def test_five_thousand_tables_come_back(database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path) -> None:
    make = "DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT %s AS n', i, i); END LOOP; END $$"
    rows(database, make)
    report = restore(back_up(database, threshold_bytes=ALL_IN_BASE, proof="counts"), target, tmp_path, analyze=False)
    assert (report.tables, report.rows) == (5000, 5000)
    assert report.proof is not None
    assert report.proof.ok


def test_statistics_are_there_after_a_restore(backup: Backup, target: DatabaseUrl, tmp_path: Path) -> None:
    restore(backup, target, tmp_path)
    assert rows(target, "SELECT count(*) FROM pg_stats WHERE tablename = 'posts'") != [(0,)]


def test_a_restore_that_compares_nothing_says_so_and_a_live_database_is_never_replaced_so(
    backup: Backup, target: DatabaseUrl, tmp_path: Path
) -> None:
    report = restore(backup, target, tmp_path, prove=False, analyze=False)
    assert report.proof is None
    assert [note for note in report.notes if "not compared" in note or "statistics" in note] == report.notes[-2:]
    assert rows(target, "SELECT count(*) FROM pg_stats WHERE tablename = 'posts'") == [(0,)]
    for mode in ("promote", "in_place"):
        with pytest.raises(SettingsError, match="always compared"):
            restore(backup, target, tmp_path, mode=mode, prove=False)


def test_progress_reaches_the_whole(backup: Backup, target: DatabaseUrl, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    DatabaseRestore(*backup, target, RestoreOptions(tmp_path)).run(lambda *progress: told.append(progress))
    assert told[-1][1] == told[-1][2]
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


# Single tables


def test_single_tables_come_back_into_a_new_database(
    backup: Backup, everything: DatabaseUrl, target: DatabaseUrl, tmp_path: Path
) -> None:
    report = restore(backup, target, tmp_path, tables=["public.authors", "posts", "events"])
    prints, all_prints = oracle.fingerprint(target.without_password()), oracle.fingerprint(everything.without_password())
    assert set(prints) >= {"public.authors", "public.posts", "public.events_2023_eu", "public.events_default_1"}
    assert prints == {table: all_prints[table] for table in prints}
    assert rows(target, "SELECT count(*) FROM pg_constraint WHERE conname = 'posts_author_id_fkey'") == [(1,)]
    assert report.proof is not None
    assert report.proof.problems == []
    assert rows(target, "SELECT nextval('posts_id_seq')") == [(1000000008,)]


def test_single_tables_are_added_to_an_existing_database(
    backup: Backup, everything: DatabaseUrl, database: DatabaseUrl, tmp_path: Path
) -> None:
    rows(database, "CREATE SCHEMA kinds; CREATE TABLE own AS SELECT 1 AS n")
    report = restore(backup, database, tmp_path, tables=["embeddings", "hen"])
    prints, all_prints = oracle.fingerprint(database.without_password()), oracle.fingerprint(everything.without_password())
    assert prints.pop("public.own")[0] == 1
    assert prints == {table: all_prints[table] for table in ("kinds.embeddings", "public.hen")}
    assert any("hen_egg" in note for note in report.notes)


def test_a_table_that_is_there_already_is_not_overwritten(backup: Backup, database: DatabaseUrl, tmp_path: Path) -> None:
    rows(database, "CREATE TABLE hen (mine text)")
    with pytest.raises(TargetNotEmptyError, match=r"TABLE public\.hen already"):
        restore(backup, database, tmp_path, tables=["egg", "hen"])
    assert rows(database, "SELECT count(*) FROM pg_class WHERE relname IN ('egg', 'hen')") == [(1,)]


def test_a_table_that_is_not_in_the_backup_is_named_with_its_neighbours(
    backup: Backup, target: DatabaseUrl, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match=r"no table 'public\.autors'.*public\.authors"):
        restore(backup, target, tmp_path, tables=["public.autors"])


# What is refused


def test_a_database_that_holds_something_is_refused(backup: Backup, database: DatabaseUrl, tmp_path: Path) -> None:
    rows(database, "CREATE TABLE precious AS SELECT 1 AS n")
    before = databases(database)
    with pytest.raises(TargetNotEmptyError, match="precious"):
        restore(backup, database, tmp_path)
    assert rows(database, "SELECT n FROM precious") == [(1,)]
    assert databases(database) == before


@pytest.mark.parametrize(
    "something",
    [
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE e AS ENUM ()",
        "CREATE SCHEMA s",
        "SELECT lo_create(0)",
    ],
)
def test_anything_that_somebody_made_counts_as_something(database: DatabaseUrl, something: str) -> None:
    preflight.refuse_not_empty(database)
    rows(database, something)
    with pytest.raises(TargetNotEmptyError):
        preflight.refuse_not_empty(database)


def test_an_empty_database_that_the_server_makes_others_from_is_never_replaced(database: DatabaseUrl) -> None:
    with pytest.raises(RefusedError, match="template1"):
        preflight.refuse_not_empty(database.with_database("template1"))


def test_an_empty_database_is_accepted(backup: Backup, everything: DatabaseUrl, database: DatabaseUrl, tmp_path: Path) -> None:
    before = databases(database)
    restore(backup, database, tmp_path)
    oracle.assert_same(TOOLS, everything.without_password(), database.without_password())
    assert databases(database) == before


def test_a_server_older_than_the_source_is_refused(backup: Backup, old_server: EmbeddedServer, tmp_path: Path) -> None:
    target = old_server.url("restored")
    with pytest.raises(TargetTooOldError, match=r"PostgreSQL 16.*backup is from 18"):
        restore(backup, target, tmp_path)
    assert "restored" not in databases(target)


def test_a_backup_with_a_missing_object_is_refused(everything: DatabaseUrl, target: DatabaseUrl, tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "repository")
    backup = back_up(everything, storage=storage, threshold_bytes=1 << 20)
    lost = max(storage.list("chunks"), key=lambda one: one.size_bytes).name
    storage.delete(lost)
    before = databases(target)
    with pytest.raises(DamagedError, match=lost):
        restore(backup, target, tmp_path / "spool")
    assert databases(target) == before


@pytest.mark.parametrize("threshold_bytes", [ALL_STREAMED, ALL_IN_BASE], ids=["in a stream", "in the base"])
def test_damage_in_the_middle_ends_the_restore_and_leaves_nothing(
    database: DatabaseUrl, other_server: EmbeddedServer, tmp_path: Path, threshold_bytes: int
) -> None:
    rows(
        database,
        "CREATE TABLE t AS SELECT i, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 8) AS j)"
        " FROM generate_series(1, 30000) AS i",
    )
    rows(database, "DROP ROLE IF EXISTS only_there; CREATE ROLE only_there; GRANT SELECT ON t TO only_there")
    storage = LocalStorage(tmp_path / "repository")
    backup = back_up(database, storage=storage, threshold_bytes=threshold_bytes)
    damaged = max(storage.list("chunks"), key=lambda one: one.size_bytes).name
    path = tmp_path / "repository" / damaged
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    target = other_server.url("restored")
    before = databases(target)
    with pytest.raises(DamagedError, match=damaged):
        restore(backup, target, tmp_path / "spool")
    assert databases(target) == before
    assert rows(target.maintenance(), "SELECT count(*) FROM pg_roles WHERE rolname = 'only_there'") == [(0,)]
    rows(database, "DROP OWNED BY only_there; DROP ROLE only_there")


def test_a_lost_receipt_does_not_keep_a_good_backup_from_coming_back(
    database: DatabaseUrl, other_server: EmbeddedServer, tmp_path: Path
) -> None:
    rows(database, "CREATE TABLE t AS SELECT i FROM generate_series(1, 100) AS i")
    storage = MemoryStorage()
    repository, manifest = back_up(database, storage=storage)
    for proof in list(storage.list(f"proofs/{manifest.id}")):
        storage.delete(proof.name)
    assert not repository.check([manifest.id], level="stored").ok
    with dropped_at_end(other_server.url("restored")) as target:
        restore((repository, manifest), target, tmp_path / "spool")
        assert rows(target, "SELECT count(*) FROM t") == [(100,)]


def test_a_missing_extension_is_named(server: EmbeddedServer) -> None:
    connection = connect(server.url())
    with pytest.raises(ExtensionMissingError, match="postgis, timescaledb"):
        preflight.refuse_missing_extensions(connection, ["plpgsql", "vector", "postgis", "timescaledb"])
    connection.close()


def test_a_missing_locale_is_refused_or_replaced_when_allowed(database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path) -> None:
    def elsewhere(truth: dict[str, dict[str, object]]) -> None:
        truth["database"] |= {"locale_provider": "libc", "collate": "xx_XX.UTF-8", "ctype": "xx_XX.UTF-8"}

    backup = back_up(database, tamper=elsewhere)
    before = databases(target)
    with pytest.raises(LocaleMissingError):
        restore(backup, target, tmp_path)
    assert databases(target) == before
    report = restore(backup, target, tmp_path, any_locale=True)
    assert any("xx_XX.UTF-8" in note for note in report.notes)
    assert report.proof is not None
    assert report.proof.ok


def test_roles_that_may_not_be_made_are_named(backup: Backup, other_server: EmbeddedServer, tmp_path: Path) -> None:
    rows(other_server.url(), "DROP ROLE IF EXISTS maker; CREATE ROLE maker LOGIN CREATEDB")
    target = DatabaseUrl("restored", other_server.url().host, other_server.url().port, "maker")
    rows(other_server.url(), 'DROP ROLE IF EXISTS "everything writer"')
    with pytest.raises(RolesMissingError, match="everything writer"):
        restore(backup, target, tmp_path)
    assert not {name for name in databases(target) if name.startswith(("restored", "holdfast"))}


def test_without_owners_no_roles_are_needed(database: DatabaseUrl, other_server: EmbeddedServer, tmp_path: Path) -> None:
    rows(database, "CREATE ROLE somebody; CREATE TABLE t AS SELECT 1 AS n; ALTER TABLE t OWNER TO somebody")
    backup = back_up(database)
    rows(database, "DROP OWNED BY somebody; DROP ROLE somebody")
    with dropped_at_end(other_server.url("restored")) as target:
        report = restore(backup, target, tmp_path, owners=False)
        assert rows(target, "SELECT n FROM t") == [(1,)]
        assert report.proof is not None
        assert report.proof.ok
        assert rows(target, "SELECT count(*) FROM pg_roles WHERE rolname = 'somebody'") == [(0,)]


def test_a_user_who_is_no_superuser_can_restore_without_owners(
    database: DatabaseUrl, other_server: EmbeddedServer, tmp_path: Path
) -> None:
    rows(database, "CREATE TABLE t (i int PRIMARY KEY, mood text CHECK (mood <> '')); INSERT INTO t VALUES (1, 'good')")
    rows(
        database,
        "CREATE VIEW v AS SELECT * FROM t; ALTER DATABASE " + database.database + " SET default_transaction_read_only = on",
    )
    rows(other_server.url(), "DROP ROLE IF EXISTS maker; CREATE ROLE maker LOGIN CREATEDB")
    with dropped_at_end(other_server.url("restored")) as address:
        target = DatabaseUrl("restored", address.host, address.port, "maker")
        for mode in ("new", "promote"):
            report = restore(back_up(database), target, tmp_path, owners=False, mode=mode)
            assert report.proof is not None
            assert (report.proof.problems, report.notes) == ([], [])
        assert rows(target, "SELECT * FROM v") == [(1, "good")]
        drop_database(address.with_database(str(report.kept)))


def test_a_name_that_postgresql_would_cut_is_refused(backup: Backup, target: DatabaseUrl, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="64 bytes"):
        restore(backup, target.with_database("ä" * 32), tmp_path)


def test_tools_that_are_too_old_are_named(
    backup: Backup, target: DatabaseUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.postgres.tools._folders", lambda search: iter([TOOLS.parent.parent / "pginstall" / "bin"]))
    with pytest.raises(SettingsError, match="pg_restore of PostgreSQL 18 or newer is needed"):
        restore(backup, target, tmp_path)


# What is left when it fails


def test_a_time_limit_stops_all_of_it(database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path) -> None:
    load_sql(database, SLOW)
    backup = back_up(database)
    before = databases(target)
    started = time.monotonic()
    with pytest.raises(TimeLimitError):
        restore(backup, target, tmp_path, time_limit_seconds=2)
    assert time.monotonic() - started < 60  # the rows alone would take 100 seconds
    assert databases(target) == before
    assert rows(database, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%slow%' AND state = 'active'") == [(0,)]


def test_what_a_killed_restore_leaves_is_dropped_by_the_next(database: DatabaseUrl, target: DatabaseUrl, tmp_path: Path) -> None:
    load_sql(database, SLOW)
    storage = tmp_path / "repository"
    back_up(database, storage=LocalStorage(storage))
    before = databases(target)
    with subprocess.Popen(
        [sys.executable, "-c", RESTORING, str(storage), target.without_password(), str(tmp_path / "spool")]
    ) as run:
        while not rows(target.maintenance(), "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY%slow%' AND state = 'active'"):
            assert run.poll() is None
            time.sleep(0.05)
        children = psutil.Process(run.pid).children(recursive=True)
        os.kill(run.pid, signal.SIGKILL)
    psutil.wait_procs(children, timeout=20)
    assert not [child for child in children if child.is_running()]
    left = databases(target) - before
    assert len(left) == 1
    assert left.pop().startswith("holdfast_scratch_")
    rows(database, "CREATE OR REPLACE FUNCTION slow(i integer) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
    report = restore(back_up(database), target, tmp_path / "spool")
    assert databases(target) == before | {target.database}
    assert any("had left behind" in note for note in report.notes)


def test_a_restore_that_is_at_work_keeps_its_scratch_database(backup: Backup, target: DatabaseUrl, tmp_path: Path) -> None:
    with DatabaseRestore(*backup, target, RestoreOptions(tmp_path)) as first:
        first.create_database()
        first.restore_globals()
        first.restore_schema()
        with dropped_at_end(target.with_database("another")) as other:
            restore_report = DatabaseRestore(*backup, other, RestoreOptions(tmp_path)).run()
            assert restore_report.notes == []
        first.restore_base_data()
        scratch = first.working.database
        assert scratch in databases(target)
    assert scratch not in databases(target)
