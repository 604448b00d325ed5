"""One moment held still: whatever others do meanwhile, before the locks or after them, nothing is missed or half seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from psycopg2 import errors as pg_errors
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from holdfast.errors import AccessDeniedError, DatabaseUnreachableError, NotFoundError, TableLockedError
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.tables import Table
from tests.postgres.servers import drop_database

RunSql = Callable[..., list[tuple[object, ...]]]


@contextmanager
def session(url: DatabaseUrl) -> Iterator[Cursor]:
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        yield cursor


def table(snapshot: Snapshot, name: str, schema: str = "public") -> Table:
    return next(one for one in snapshot.tables() if one.key == (schema, name))


def rows(snapshot: Snapshot, *names: str) -> list[int]:
    chosen = [table(snapshot, name) for name in names]
    counted = snapshot.count_rows(chosen)
    return [counted["public", name] for name in names]


@dataclass
class Late:
    """A snapshot that is taken in a thread while the test holds a lock that it has to wait for."""

    snapshot: Snapshot
    errors: list[BaseException] = field(default_factory=list)

    def take(self) -> None:
        try:
            self.snapshot.__enter__()
        except BaseException as error:
            self.errors.append(error)


@contextmanager
def meanwhile(url: DatabaseUrl, before: str) -> Iterator[tuple[Cursor, Snapshot]]:
    """Run `before` in a transaction; yield once the snapshot waits for its lock; then commit, and have the snapshot taken."""
    late = Late(Snapshot(url))
    thread = threading.Thread(target=late.take)
    with session(url) as cursor, session(url) as onlooker:
        cursor.execute(f"BEGIN; {before}")
        thread.start()
        waiting = 0
        while not waiting and thread.is_alive():
            time.sleep(0.02)
            onlooker.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s", (url.database,)
            )
            (waiting,) = onlooker.fetchone() or (0,)
        try:
            yield cursor, late.snapshot
        finally:
            if thread.is_alive():
                cursor.execute("COMMIT")
            thread.join()
            late.snapshot.close()
    assert not late.errors


def commit_and_wait(cursor: Cursor, snapshot: Snapshot) -> None:
    cursor.execute("COMMIT")
    while not snapshot.id:
        time.sleep(0.02)


def test_all_that_was_committed_before_is_seen_and_nothing_after(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS i")
    before = datetime.now(UTC)
    with Snapshot(database) as snapshot:
        run_sql("INSERT INTO t SELECT 1")
        assert rows(snapshot, "t") == [10]
        assert before - timedelta(seconds=1) < snapshot.taken_at < datetime.now(UTC) + timedelta(seconds=1)
        with session(database) as other:
            other.execute(
                f"BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{snapshot.id}'; SELECT count(*) FROM t"
            )
            assert other.fetchone() == (10,)


@pytest.mark.parametrize(
    "statement", ["TRUNCATE t", "DROP TABLE t", "ALTER TABLE t ALTER i TYPE bigint", "ALTER TABLE t RENAME TO u", "VACUUM FULL t"]
)
def test_nobody_can_take_a_table_away_while_it_is_backed_up(database: DatabaseUrl, run_sql: RunSql, statement: str) -> None:
    run_sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS i")
    with Snapshot(database) as snapshot, session(database) as other:
        other.execute("SET lock_timeout = 50")
        with pytest.raises(pg_errors.LockNotAvailable):
            other.execute(statement)
        for allowed in ("UPDATE t SET i = 0", "DELETE FROM t", "INSERT INTO t VALUES (1)", "VACUUM t"):
            other.execute(allowed)
        assert rows(snapshot, "t") == [10]


@pytest.mark.parametrize("statement", ["ALTER TABLE t ALTER i TYPE bigint", "CLUSTER t USING t_i_idx"])
def test_a_table_that_is_rewritten_just_before_does_not_read_as_empty(
    database: DatabaseUrl, run_sql: RunSql, statement: str
) -> None:
    run_sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS i; CREATE INDEX ON t (i)")
    with meanwhile(database, statement) as (cursor, snapshot):
        commit_and_wait(cursor, snapshot)
        assert rows(snapshot, "t") == [10]


def test_a_truncate_just_before_is_seen_together_with_what_came_with_it(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS i; CREATE TABLE moved (i int)")
    with meanwhile(database, "INSERT INTO moved SELECT * FROM t; TRUNCATE t") as (cursor, snapshot):
        commit_and_wait(cursor, snapshot)
        assert rows(snapshot, "t", "moved") == [0, 10]


def test_a_table_made_while_others_were_being_locked_is_locked_too(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t (i int)")
    with meanwhile(database, "LOCK TABLE t") as (cursor, snapshot):
        run_sql("CREATE TABLE newcomer AS SELECT generate_series(1, 10) AS i")
        commit_and_wait(cursor, snapshot)
        assert rows(snapshot, "newcomer") == [10]
        with session(database) as other:
            other.execute("SET lock_timeout = 50")
            with pytest.raises(pg_errors.LockNotAvailable):
                other.execute("TRUNCATE newcomer")


def test_a_table_dropped_while_it_was_waited_for_is_let_go(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t (i int); CREATE TABLE other AS SELECT 1 AS i")
    with meanwhile(database, "DROP TABLE t") as (cursor, snapshot):
        commit_and_wait(cursor, snapshot)
        assert rows(snapshot, "other") == [1]
        assert [one.name for one in snapshot.tables()] == ["other"]


def test_tables_that_change_names_while_they_are_waited_for_are_both_locked(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS i; CREATE TABLE u AS SELECT generate_series(1, 20) AS i")
    swap = "ALTER TABLE t RENAME TO v; ALTER TABLE u RENAME TO t; ALTER TABLE v RENAME TO u"
    with meanwhile(database, swap) as (cursor, snapshot):
        commit_and_wait(cursor, snapshot)
        assert rows(snapshot, "t", "u") == [20, 10]
        with session(database) as other:
            other.execute("SET lock_timeout = 50")
            for name in ("t", "u"):
                with pytest.raises(pg_errors.LockNotAvailable):
                    other.execute(f"TRUNCATE {name}")


def test_a_table_that_stays_locked_is_named_with_the_session_that_holds_it(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql('CREATE TABLE "Held fast" (i int); CREATE TABLE other (i int)')
    with closing(connect(database, application_name="the migration")) as connection, connection.cursor() as cursor:
        cursor.execute('BEGIN; LOCK TABLE "Held fast"')
        with pytest.raises(TableLockedError) as caught:
            Snapshot(database, lock_timeout_seconds=0.1).__enter__()
    assert caught.value.retryable
    for said in ('"Held fast"', "the migration", "postgres"):
        assert said in str(caught.value)


def test_a_table_that_may_not_be_read_is_named(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE open (i int); CREATE TABLE secret (i int)")
    with reader_role(database, "GRANT SELECT ON open TO {role}") as url, pytest.raises(AccessDeniedError) as caught:
        Snapshot(url).__enter__()
    assert "table secret" in str(caught.value)
    assert "pg_read_all_data" in str(caught.value)
    assert not caught.value.retryable


def test_rows_hidden_by_row_level_security_are_an_error_and_not_left_out(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS i; ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    run_sql("CREATE POLICY few ON t USING (i < 3)")
    with (
        reader_role(database, "GRANT SELECT ON t TO {role}") as url,
        Snapshot(url) as snapshot,
        pytest.raises(AccessDeniedError, match="row-level security"),
    ):
        rows(snapshot, "t")


def test_a_lost_server_is_noticed(own_server: EmbeddedServer) -> None:
    own_server.start()
    with Snapshot(own_server.url()) as snapshot:
        snapshot.check()
        own_server.stop()
        with pytest.raises(DatabaseUnreachableError):
            snapshot.check()


def test_a_missing_database_is_not_found(server: EmbeddedServer) -> None:
    with pytest.raises(NotFoundError):
        Snapshot(server.url("nowhere")).__enter__()


def test_an_empty_database_has_a_snapshot(database: DatabaseUrl) -> None:
    with Snapshot(database) as snapshot:
        assert snapshot.tables() == []
        assert snapshot.count_rows([]) == {}
        assert snapshot.database["name"] == database.database


def test_the_old_server_works_as_well(old_server: EmbeddedServer) -> None:
    url = old_server.create_database("old")
    with session(url) as cursor:
        cursor.execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS i")
    with Snapshot(url) as snapshot:
        assert snapshot.server.major == 16
        assert rows(snapshot, "t") == [10]
        assert snapshot.database["locale_provider"] == "libc"
    drop_database(url)


def test_time_limits_of_the_server_do_not_end_a_long_snapshot(database: DatabaseUrl, run_sql: RunSql) -> None:
    limits = ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout", "idle_session_timeout")
    for limit in limits:
        run_sql(f"ALTER DATABASE {database.database} SET {limit} = '300ms'")
    run_sql("CREATE TABLE t AS SELECT 1 AS i")
    with Snapshot(database) as snapshot:
        time.sleep(0.7)
        assert rows(snapshot, "t") == [1]


def test_only_tables_with_rows_of_their_own_are_streamed_or_counted(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("""
        CREATE TABLE ordinary AS SELECT 1 AS i;
        CREATE TABLE parent (i int); CREATE TABLE child () INHERITS (parent);
        INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2), (3);
        CREATE TABLE parts (i int) PARTITION BY RANGE (i);
        CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9); INSERT INTO parts VALUES (1), (2), (3), (4);
        CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS i;
        CREATE TABLE columnless (); INSERT INTO columnless DEFAULT VALUES;
        CREATE TABLE generated (i int, twice int GENERATED ALWAYS AS (i * 2) STORED, gone int, "Last One" text);
        INSERT INTO generated VALUES (1); ALTER TABLE generated DROP COLUMN gone;
        CREATE MATERIALIZED VIEW view AS SELECT 1 AS i;
        CREATE FOREIGN DATA WRAPPER away; CREATE SERVER away FOREIGN DATA WRAPPER away;
        CREATE FOREIGN TABLE elsewhere (i int) SERVER away;
        CREATE EXTENSION vector;
        CREATE TYPE mood AS ENUM ('good', 'bad');
        CREATE TABLE moods (m mood) PARTITION BY HASH (m);
        CREATE TABLE mood0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE mood1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO moods VALUES ('good'), ('bad'), ('bad');
    """)
    with Snapshot(database) as snapshot:
        assert sorted(one.name for one in snapshot.streams(0)) == ["child", "generated", "ordinary", "parent", "part"]
        counted = {name: count for (_, name), count in snapshot.count_rows(snapshot.countable()).items()}
        assert counted == {
            "ordinary": 1, "parent": 1, "child": 2, "part": 4, "unlogged": 1, "columnless": 1, "generated": 1, "moods": 3
        }  # fmt: skip
        assert table(snapshot, "generated").columns == ("i", "Last One")
        assert table(snapshot, "generated").stored_columns == b'i, "Last One"'


def test_the_hash_of_a_table_tells_contents_and_not_order(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("""
        CREATE TABLE one AS SELECT i, timestamptz '2024-03-01 12:00+00' + i * interval '1 day' AS at, i * 0.1::float8 AS f
          FROM generate_series(1, 100) AS i;
        CREATE TABLE same AS SELECT * FROM one ORDER BY i DESC;
        CREATE TABLE other AS SELECT * FROM one WHERE i <> 7 UNION ALL SELECT * FROM one WHERE i = 8;
        CREATE TABLE t (t text); INSERT INTO t VALUES ('named as its table'), (NULL);
        CREATE TABLE nothing (i int); CREATE TABLE columnless ();
    """)
    with Snapshot(database) as snapshot:
        hashes = {name: value for (_, name), value in snapshot.content_hashes(snapshot.countable()).items()}
    assert hashes["one"] == hashes["same"] != hashes["other"]
    assert hashes["nothing"] == hashes["columnless"] == 0
    for setting in ("timezone = 'Asia/Tokyo'", "datestyle = 'SQL'", "extra_float_digits = -3"):
        run_sql(f"ALTER DATABASE {database.database} SET {setting}")
    with Snapshot(database) as snapshot:
        assert {name: value for (_, name), value in snapshot.content_hashes(snapshot.countable()).items()} == hashes


@pytest.mark.parametrize(
    ("encoding", "name", "stored"),
    [
        ("LATIN1", "größe", '"größe"'.encode("latin-1")),
        ("EUC_JP", "大きさ", '"大きさ"'.encode("euc_jp")),
        ("UTF8", 'a "b".%s', b'"a ""b"".%s"'),
    ],
)
def test_names_come_as_text_and_as_the_server_stores_them(
    server: EmbeddedServer, encoding: str, name: str, stored: bytes
) -> None:
    with encoded_database(server, encoding) as url:
        with session(url) as cursor:
            cursor.execute('CREATE TABLE "{0}" ("{0}" text)'.format(name.replace('"', '""')))
        with Snapshot(url) as snapshot:
            one = snapshot.tables()[0]
            assert (one.name, one.columns) == (name, (name,))
            assert (one.stored_name, one.stored_columns) == (b"public." + stored, stored)


def test_names_without_any_encoding_are_kept_byte_for_byte(server: EmbeddedServer) -> None:
    with encoded_database(server, "SQL_ASCII") as url:
        with closing(connect(url, client_encoding="LATIN1")) as connection, connection.cursor() as cursor:
            cursor.execute('CREATE TABLE "\xff\xfe" AS SELECT 1 AS "\xe4"')
        with Snapshot(url) as snapshot:
            one = snapshot.tables()[0]
            assert snapshot.client_encoding == "LATIN1"
            assert (one.stored_name, one.stored_columns) == (b'public."\xff\xfe"', b'"\xe4"')
            assert snapshot.count_rows([one]) == {("public", "\xff\xfe"): 1}


def test_five_thousand_tables_are_locked_and_counted(database: DatabaseUrl, run_sql: RunSql) -> None:
    make = "DO $$ BEGIN FOR n IN {0}..{0}+499 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT 1 AS i', n); END LOOP; END $$"
    for first in range(0, 5000, 500):  # a transaction each, or the server's lock table is full
        run_sql(make.format(first))
    with Snapshot(database) as snapshot:
        counted = snapshot.count_rows(snapshot.countable())
        assert len(counted) == 5000
        assert set(counted.values()) == {1}
        with session(database) as other:
            other.execute("SET lock_timeout = 50")
            with pytest.raises(pg_errors.LockNotAvailable):
                other.execute("DROP TABLE t4999")


@contextmanager
def reader_role(url: DatabaseUrl, grant: str) -> Iterator[DatabaseUrl]:
    """A user with few rights, for as long as the context lasts."""
    role = f"reader_of_{url.database}"
    with session(url) as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN; {grant.format(role=role)}")
        yield DatabaseUrl(url.database, url.host, url.port, role)
        cursor.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@contextmanager
def encoded_database(server: EmbeddedServer, encoding: str) -> Iterator[DatabaseUrl]:
    url = server.url(f"encoded_{encoding.lower()}")
    with closing(connect_to_server(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {url.database} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    try:
        yield url
    finally:
        drop_database(url)
