"""A database as streams: every row once, at one moment, byte for byte; and what is said when the server does not play along."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg2
import pytest

from holdfast.errors import (
    DamagedError,
    DatabaseUnreachableError,
    StorageFullError,
    TableLockedError,
    TimeLimitError,
    WorkFailedError,
)
from holdfast.jobs import new_job_id
from holdfast.postgres.connection import DatabaseUrl, connect, connect_to_server
from holdfast.postgres.dump import DatabaseDump, DumpOptions, entry_name
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.process import run_tool
from holdfast.postgres.reading import reading_settings
from holdfast.postgres.snapshot import Snapshot
from holdfast.postgres.tables import Table
from holdfast.postgres.tools import find_tool
from holdfast.postgres.truth import Truth
from holdfast.repository import Compression, Entry, Manifest, Repository
from holdfast.storage.memory import MemoryStorage
from tests.postgres.servers import drop_database

RunSql = Callable[..., list[tuple[object, ...]]]

EVERYTHING = Path(__file__).with_name("everything.sql")


@pytest.fixture
def repository() -> Repository:
    return Repository.create(MemoryStorage(), key=None, encrypt=False)


@contextmanager
def dumping(repository: Repository, url: DatabaseUrl, **options: object) -> Iterator[DatabaseDump]:
    settings = DumpOptions(**{"table_stream_threshold_bytes": 0, **options})  # type: ignore[arg-type]
    with (
        Snapshot(url, lock_timeout_seconds=settings.lock_timeout_seconds) as snapshot,
        repository.lease("a test") as lease,
        repository.writer(lease, compression=Compression("zstd", 1)) as writer,
    ):
        yield DatabaseDump(url, snapshot, writer, options=settings)


def back_up(repository: Repository, url: DatabaseUrl, **options: object) -> Manifest:
    with dumping(repository, url, **options) as dump:
        return commit(dump)


def commit(dump: DatabaseDump) -> Manifest:
    streamed = dump.plan().streamed
    entries = [dump.store_globals(), dump.store_base(), *(dump.store_table(table) for table in streamed)]
    entries.append(dump.store_truth(entries))
    assert [entry.name for entry in entries] == list(dump.plan().entry_names)
    return dump._writer.commit(dump.draft(new_job_id("backup"), entries))


def content(repository: Repository, manifest: Manifest, name: str) -> bytes:
    return b"".join(repository.read(manifest.entry(name)))


def truth(repository: Repository, manifest: Manifest) -> Truth:
    return Truth.from_bytes(content(repository, manifest, "truth"))


def psql(url: DatabaseUrl, script: bytes) -> bytes:
    arguments = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"]
    with run_tool(find_tool("psql", at_least_major=18), arguments, url=url, stdin=script, stdout="pipe") as child:
        return bytes(child.stdout.readall())


def copied_in_base(repository: Repository, manifest: Manifest) -> list[str]:
    """The tables whose rows are in `base`, as pg_restore names them."""
    archive = content(repository, manifest, "base")
    with run_tool(find_tool("pg_restore", at_least_major=18), ["--data-only", "-f", "-"], stdin=archive, stdout="pipe") as child:
        script = child.stdout.readall().decode(errors="surrogateescape")
    return re.findall(r"^COPY (.*?)(?: \(.*\))? FROM stdin;$", script, re.MULTILINE | re.DOTALL)


def test_every_row_is_in_one_entry_and_in_one_only(repository: Repository, database: DatabaseUrl) -> None:
    psql(database, EVERYTHING.read_bytes())
    manifest = back_up(repository, database, proof="content")
    tables = truth(repository, manifest).tables
    in_base = copied_in_base(repository, manifest)
    assert len(in_base) == len(set(in_base)) == len([table for table in tables if table.entry is None])
    assert not {f"{table.schema}.{table.name}" for table in tables if table.entry} & {name.replace('"', "") for name in in_base}
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        for table in tables:
            name = ".".join('"' + part.replace('"', '""') + '"' for part in table.key)
            cursor.execute(f"SELECT count(*) FROM {'ONLY ' if table.kind == 'r' else ''}{name}")
            assert cursor.fetchone() == (table.rows,), name
            assert int(str(table.content_hash)) or not table.rows
            if table.entry:
                expected = io.BytesIO()
                cursor.execute(reading_settings(18, 1))
                columns = ", ".join('"' + column.replace('"', '""') + '"' for column in table.columns)
                cursor.copy_expert(f"COPY {name} ({columns}) TO STDOUT", expected)
                assert content(repository, manifest, table.entry) == expected.getvalue(), name
    assert repository.check([manifest.id]).ok


def test_the_manifest_says_what_was_backed_up_and_with_what(
    repository: Repository, database: DatabaseUrl, run_sql: RunSql
) -> None:
    run_sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS i")
    manifest = back_up(repository, database)
    assert manifest.source["database"] == database.database
    assert manifest.server["major"] == 18
    assert set(manifest.tools) == {"pg_dump", "pg_dumpall", "psql"}
    assert manifest.parameters["table_stream_threshold_bytes"] == 0
    assert manifest.snapshot_at >= manifest.started_at.replace(microsecond=0) - (manifest.finished_at - manifest.started_at)
    (table,) = truth(repository, manifest).tables
    assert (table.rows, table.entry, table.columns, table.content_hash) == (10, "table/public.t", ("i",), None)


def test_large_tables_are_streamed_the_largest_first_and_small_ones_are_not(
    repository: Repository, database: DatabaseUrl, run_sql: RunSql
) -> None:
    run_sql("""
        CREATE TABLE small AS SELECT 1 AS i;
        CREATE TABLE large AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 300);
        CREATE TABLE larger AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 500);
        CREATE TABLE toasted (x text STORAGE EXTERNAL); INSERT INTO toasted VALUES (repeat('x', 1000000));
    """)
    manifest = back_up(repository, database, table_stream_threshold_bytes=200_000)
    names = [entry.name for entry in manifest.entries]
    assert names == ["globals", "base", "table/public.toasted", "table/public.larger", "table/public.large", "truth"]
    assert copied_in_base(repository, manifest) == ["public.small"]


def test_an_empty_database_is_backed_up(repository: Repository, database: DatabaseUrl) -> None:
    manifest = back_up(repository, database)
    assert [entry.name for entry in manifest.entries] == ["globals", "base", "truth"]
    assert truth(repository, manifest).tables == []


def test_all_entries_are_of_one_moment(repository: Repository, database: DatabaseUrl, run_sql: RunSql) -> None:
    for name in ("a", "b", "small"):
        run_sql(f"CREATE TABLE {name} AS SELECT 0 AS amount, repeat('x', 1000) AS filler FROM generate_series(1, 300)")
    run_sql("DELETE FROM small WHERE ctid > '(0,1)'")
    run_sql("VACUUM FULL small")
    stop = threading.Event()

    def move_money() -> None:
        with closing(connect(database)) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute(
                    "BEGIN; INSERT INTO a VALUES (1, ''); INSERT INTO b VALUES (-2, ''); INSERT INTO small VALUES (1, ''); COMMIT"
                )

    thread = threading.Thread(target=move_money)
    thread.start()
    try:
        time.sleep(0.1)
        manifest = back_up(repository, database, table_stream_threshold_bytes=100_000)
    finally:
        stop.set()
        thread.join()
    counted = {table.name: table.rows for table in truth(repository, manifest).tables}
    assert counted["a"] == counted["b"] == counted["small"] + 299
    assert 300 < counted["a"] < 300 + int(str(run_sql("SELECT count(*) FROM small")[0][0]))
    amounts = {
        name: sum(int(line.split(b"\t")[0]) for line in content(repository, manifest, f"table/public.{name}").splitlines())
        for name in ("a", "b")
    }
    assert amounts["b"] == -2 * amounts["a"] == -2 * (counted["a"] - 300)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("LATIN1", "größe".encode("latin-1")), ("EUC_JP", "大きさ".encode("euc_jp")), ("SQL_ASCII", b"\xff\xfe\xe4")],
)
def test_rows_and_names_are_kept_in_the_database_s_own_encoding(
    repository: Repository, server: EmbeddedServer, encoding: str, text: bytes
) -> None:
    url = server.url(f"dump_{encoding.lower()}")
    with closing(connect_to_server(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {url.database} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    try:
        psql(url, b'CREATE TABLE "%b" ("%b" text); INSERT INTO "%b" VALUES (\'%b\');' % (text, text, text, text))
        manifest = back_up(repository, url)
        (table,) = truth(repository, manifest).tables
        assert table.entry is not None
        assert content(repository, manifest, table.entry) == text + b"\n"
        assert copied_in_base(repository, manifest) == []
        assert truth(repository, manifest).database["encoding"] == encoding
    finally:
        drop_database(url)


def test_an_old_server_is_dumped_with_the_nearest_tools(repository: Repository, old_server: EmbeddedServer) -> None:
    url = old_server.create_database("dump_old")
    psql(url, b"CREATE TABLE t AS SELECT generate_series(1, 10) AS i;")
    manifest = back_up(repository, url)
    assert manifest.server["major"] == 16
    assert manifest.entry("table/public.t").lines == 10
    drop_database(url)


def test_an_alter_table_that_queues_meanwhile_does_not_stop_the_streams(
    repository: Repository, database: DatabaseUrl, run_sql: RunSql
) -> None:
    run_sql("CREATE TABLE one AS SELECT generate_series(1, 10) AS i; CREATE TABLE two AS TABLE one")
    with dumping(repository, database, lock_timeout_seconds=2) as dump:
        plan = dump.plan()
        base = dump.store_base()
        with queued(database, "ALTER TABLE two ADD COLUMN late int"):
            entries = [dump.store_table(table) for table in plan.streamed]
            assert [entry.lines for entry in entries] == [10, 10]
            dump.store_truth([base, *entries])


def test_a_table_that_pg_dump_can_t_lock_is_named_with_who_wants_it(
    repository: Repository, database: DatabaseUrl, run_sql: RunSql
) -> None:
    run_sql("CREATE TABLE one AS SELECT 1 AS i; CREATE TABLE two AS SELECT 1 AS i")
    with (
        dumping(repository, database, lock_timeout_seconds=0.3) as dump,
        queued(database, "ALTER TABLE two ADD COLUMN late int"),
    ):
        with pytest.raises(TableLockedError, match=r"waits for an exclusive lock on .*two") as caught:
            dump.store_base()
        assert caught.value.retryable
        assert "an impatient one" in str(caught.value)


def test_a_server_that_is_lost_in_the_middle_is_an_error_and_no_shorter_table(
    repository: Repository, own_server: EmbeddedServer
) -> None:
    own_server.start()
    url = own_server.create_database("lost")
    psql(url, b"CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS x FROM generate_series(1, 30000) AS i;")
    seen: list[int] = []

    def stop_the_server(size_bytes: int) -> None:
        if not seen:
            own_server.stop()
        seen.append(size_bytes)

    with dumping(repository, url) as dump:
        (table,) = dump.plan().streamed
        with pytest.raises(DatabaseUnreachableError) as caught:
            dump.store_table(table, stop_the_server)
        assert caught.value.retryable
        assert seen
        with pytest.raises(DatabaseUnreachableError):
            dump.store_base()
    assert repository.backups() == []


def test_a_failed_stream_can_be_tried_again(repository: Repository, database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 100000) AS i")

    def fail(size_bytes: int) -> None:
        raise StorageFullError(f"full at {size_bytes} bytes")

    with dumping(repository, database, readers=1) as dump:
        (table,) = dump.plan().streamed
        with pytest.raises(StorageFullError):
            dump.store_table(table, fail)
        assert dump.store_table(table).lines == 100000


def test_two_tables_are_streamed_at_once(repository: Repository, database: DatabaseUrl, run_sql: RunSql) -> None:
    for name in ("one", "two", "three"):
        run_sql(f"CREATE TABLE {name} AS SELECT i, md5(i::text) AS x FROM generate_series(1, 50000) AS i")
    found: dict[str, Entry] = {}
    with dumping(repository, database, readers=2) as dump:
        threads = [
            threading.Thread(target=lambda one=table: found.update({one.name: dump.store_table(one)}))
            for table in dump.plan().streamed
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({entry.sha256 for entry in found.values()}) == 1
        assert [entry.lines for entry in found.values()] == [50000] * 3


def test_the_time_limit_ends_a_dump_that_hangs(repository: Repository, database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t AS SELECT 1 AS i")
    with (
        dumping(repository, database, time_limit_seconds=0.5, lock_timeout_seconds=60) as dump,
        queued(database, "ALTER TABLE t ADD COLUMN late int"),
        pytest.raises(TimeLimitError),
    ):
        dump.store_base()


def test_a_dump_that_is_stopped_from_another_thread_ends_at_once(
    repository: Repository, database: DatabaseUrl, run_sql: RunSql
) -> None:
    run_sql("CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS x FROM generate_series(1, 30000) AS i")
    with dumping(repository, database) as dump:
        (table,) = dump.plan().streamed
        with pytest.raises(WorkFailedError, match="psql was told to end"):
            dump.store_table(table, lambda _: dump.stop())
        with pytest.raises(WorkFailedError, match="the dump was stopped"):
            dump.store_base()
    question = "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    while run_sql(f"{question} AND backend_type = 'client backend'") != [(0,)]:
        time.sleep(0.02)


def test_password_hashes_are_kept_only_where_wanted_and_allowed(
    repository: Repository, database: DatabaseUrl, run_sql: RunSql
) -> None:
    run_sql("CREATE ROLE with_password PASSWORD 'canary'; CREATE ROLE few_rights LOGIN")
    try:
        for url, wanted, kept in [
            (database, True, True),
            (database, False, False),
            (DatabaseUrl(database.database, database.host, database.port, "few_rights"), True, False),
        ]:
            manifest = back_up(repository, url, include_role_passwords=wanted)
            roles = content(repository, manifest, "globals")
            assert b"CREATE ROLE with_password" in roles
            assert (b"SCRAM-SHA-256" in roles) is kept
            assert manifest.parameters["role_passwords"] is kept
    finally:
        run_sql("DROP ROLE with_password; DROP ROLE few_rights")


def test_kill_9_in_the_middle_of_a_dump_leaves_no_child_and_no_session(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE one AS SELECT 1 AS i; CREATE TABLE two AS SELECT 1 AS i")
    parent = subprocess.Popen([sys.executable, "-c", HELD_DUMP, database.without_password()], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout as said:
        assert said.readline() == b"held\n"
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) == 4  # two readers, each with its supervisor
    parent.kill()
    parent.wait()
    psutil.wait_procs(family)
    question = "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    while run_sql(f"{question} AND backend_type = 'client backend'") != [(0,)]:
        time.sleep(0.02)


HELD_DUMP = """
import sys, time
from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.dump import DatabaseDump, DumpOptions
from holdfast.postgres.snapshot import Snapshot
url = DatabaseUrl.parse(sys.argv[1])
with Snapshot(url) as snapshot:
    DatabaseDump(url, snapshot, None, options=DumpOptions(table_stream_threshold_bytes=0)).plan()
    print("held", flush=True)
    time.sleep(600)
"""


def test_five_thousand_tables_are_dumped(repository: Repository, database: DatabaseUrl, run_sql: RunSql) -> None:
    make = "DO $$ BEGIN FOR n IN {0}..{0}+499 LOOP EXECUTE format('CREATE TABLE t%s (i int)', n); END LOOP; END $$"
    for first in range(0, 5000, 500):
        run_sql(make.format(first))
    run_sql("INSERT INTO t4999 SELECT generate_series(1, 100000)")
    manifest = back_up(repository, database, table_stream_threshold_bytes=1 << 20)
    assert manifest.entry("table/public.t4999").lines == 100000
    assert len(truth(repository, manifest).tables) == 5000


def test_names_of_entries_never_collide() -> None:
    names = [("a.b", "c"), ("a", "b.c"), ("a%2Eb", "c"), ("A", "b"), ("a", "b"), ("ä", "/")]
    tables = [Table(1, *name, "r", False, False, 0, 0, None, False, None, (), b"", b"") for name in names]
    assert len({entry_name(table) for table in tables}) == len(names)


def test_a_truth_that_is_not_one_is_damage() -> None:
    for wrong in (b"", b"{}", b'{"schema": 99}', b"[]", b"\xff"):
        with pytest.raises(DamagedError, match="truth"):
            Truth.from_bytes(wrong)


@contextmanager
def queued(url: DatabaseUrl, statement: str) -> Iterator[None]:
    """Have a statement wait for a lock for as long as the context lasts; it is done or given up after."""
    connection = connect(url, application_name="an impatient one")

    def run() -> None:
        with connection.cursor() as cursor, suppress(psycopg2.Error):
            cursor.execute(statement)

    thread = threading.Thread(target=run)
    with closing(connect(url)) as onlooker, onlooker.cursor() as cursor, closing(connection):
        thread.start()
        while True:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = %s", (connection.info.backend_pid,)
            )
            if cursor.fetchone():
                break
            time.sleep(0.02)
        try:
            yield
        finally:
            connection.cancel()
            thread.join()
