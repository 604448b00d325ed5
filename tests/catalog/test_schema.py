"""The tables are the guide's, and making them is harmless: twice, at once, over what is there, where we own little."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

import sql
from holdfast.catalog import Catalog
from holdfast.catalog.migrations import VERSION_TABLE
from holdfast.errors import AccessDeniedError, NotFoundError, SettingsError
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.process import run_tool
from holdfast.postgres.tools import find_tool
from tests.catalog.conftest import Ask, ask_once
from tests.postgres.servers import running_server

GUIDE = (Path(__file__).parent / "guide.sql").read_text()
TABLES = ("backup_config", "backup_jobs", "disaster_recovery_executions", "disaster_recovery_plans", "restore_jobs")


def dumped(url: DatabaseUrl) -> str:
    """Return pg_dump's text of the whole schema, without what only counts migrations."""
    tool = find_tool("pg_dump", at_least_major=18)
    arguments = ["--schema-only", f"--exclude-table={VERSION_TABLE}"]
    with run_tool(tool, arguments, url=url, stdout="pipe") as child:
        text = child.stdout.read().decode()
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def described(url: DatabaseUrl) -> list[tuple[object, ...]]:
    """Return columns in order with type, default and nullability, and all constraints."""
    columns = """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE c.relname = ANY (%s) ORDER BY 1, 2"""
    constraints = """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid::regclass::text = ANY (%s) ORDER BY 1, 2"""
    return [*ask_once(url, columns, list(TABLES)), *ask_once(url, constraints, list(TABLES))]


def test_the_five_tables_are_exactly_the_guides(url: DatabaseUrl, empty: DatabaseUrl) -> None:
    ask_once(empty, GUIDE)
    assert described(url) == described(empty)
    assert len({row[0] for row in described(url)}) == 5


def test_the_schema_that_people_read_is_the_one_that_migrations_make(url: DatabaseUrl, empty: DatabaseUrl) -> None:
    ask_once(empty, sql.schema())
    assert dumped(empty) == dumped(url)


def test_the_schema_file_may_be_run_again(url: DatabaseUrl, empty: DatabaseUrl) -> None:
    ask_once(empty, sql.schema())
    ask_once(empty, "INSERT INTO backup_jobs (job_id, type, status) VALUES ('backup_1', 'database', 'completed')")
    ask_once(empty, sql.schema())
    assert dumped(empty) == dumped(url)
    assert ask_once(empty, "SELECT job_id FROM backup_jobs") == [("backup_1",)]


def test_a_catalog_made_by_hand_is_taken_over(url: DatabaseUrl, empty: DatabaseUrl) -> None:
    ask_once(empty, sql.schema())
    with Catalog(empty) as catalog:
        catalog.migrate()
        assert catalog.open_job("backup_1", "database")
    assert dumped(empty) == dumped(url)


def test_a_system_made_from_the_guide_keeps_its_rows_and_gets_our_functions(url: DatabaseUrl, empty: DatabaseUrl) -> None:
    ask_once(empty, GUIDE)
    ask_once(
        empty,
        """
        INSERT INTO backup_jobs (job_id, type, status, started_at) VALUES ('backup_1234567890', 'database', 'completed', NULL);
        CREATE FUNCTION get_backup_dashboard() RETURNS TABLE (component TEXT, value NUMERIC)
            LANGUAGE sql AS $$ SELECT 'old', 1.0 $$;
        CREATE FUNCTION get_disaster_recovery_plans(wanted VARCHAR, active BOOLEAN) RETURNS BIGINT
            LANGUAGE sql AS $$ SELECT 1::bigint $$;
        CREATE FUNCTION get_backups_of_mine() RETURNS INTEGER LANGUAGE sql AS $$ SELECT 1 $$;
        """,
    )
    with Catalog(empty) as catalog:
        catalog.migrate()
        assert [row["type"] for row in catalog.dashboard()] == ["database", "function", "config", "secrets"]
        assert ask_once(empty, "SELECT * FROM get_disaster_recovery_plans('critical', true)") == []
        assert ask_once(empty, "SELECT job_id FROM backup_jobs") == [("backup_1234567890",)]
    assert ask_once(empty, "SELECT get_backups_of_mine()") == [(1,)]
    ask_once(empty, "DROP FUNCTION get_backups_of_mine()")
    assert dumped(empty) == dumped(url)


def test_migrating_again_changes_nothing(url: DatabaseUrl, catalog: Catalog) -> None:
    catalog.open_job("backup_1", "database")
    before = dumped(url)
    catalog.migrate()
    assert dumped(url) == before
    assert catalog.job("backup_1") is not None


def test_a_catalog_from_before_there_were_plans_is_brought_up_to_date_with_its_rows(
    url: DatabaseUrl, migrated: DatabaseUrl, catalog: Catalog, ask: Ask
) -> None:
    catalog.open_job("backup_1", "database")
    ask(f"DROP TABLE disaster_recovery_plan_options; UPDATE {VERSION_TABLE} SET version_num = '0003_functions'")
    catalog.migrate()
    assert dumped(url) == dumped(migrated)
    assert catalog.job("backup_1") is not None
    assert catalog.plans.list() == []


def test_processes_that_migrate_at_once_do_not_disturb_each_other(url: DatabaseUrl, empty: DatabaseUrl) -> None:
    program = "import sys; from holdfast.catalog import Catalog; c = Catalog(sys.argv[1]); c.migrate(); c.close()"
    command = [sys.executable, "-c", program, empty.without_password()]
    with closing(connect(empty, autocommit=False)) as gate, gate.cursor() as cursor:
        cursor.execute(sql.queries("migration")["lock"])
        processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        waiting = 0
        while waiting < 2 and all(process.poll() is None for process in processes):
            time.sleep(0.05)
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            waiting = cursor.fetchall()[0][0]
        gate.rollback()  # both found an empty database; now they go, one after the other
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert (waiting, ended) == (2, [("", 0)] * 2)
    assert dumped(empty) == dumped(url)


def test_threads_that_migrate_at_once_do_not_disturb_each_other(url: DatabaseUrl, empty: DatabaseUrl) -> None:
    with Catalog(empty) as catalog, ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(catalog.migrate) for _ in range(4)]:
            done.result()
    assert dumped(empty) == dumped(url)


def test_a_migration_that_fails_leaves_nothing_behind(empty: DatabaseUrl) -> None:
    ask_once(empty, "CREATE VIEW restore_jobs AS SELECT 1 AS one")  # in the way of a table
    with Catalog(empty) as catalog, pytest.raises(Exception, match="migrating the catalog"):
        catalog.migrate()
    assert ask_once(empty, "SELECT relname FROM pg_class WHERE relname LIKE 'backup%' OR relname LIKE 'holdfast%'") == []


def test_each_sql_migration_has_its_revision() -> None:
    revisions = Path(sql.__file__).parents[1] / "holdfast" / "catalog" / "revisions" / "versions"
    assert sorted(path.stem for path in revisions.glob("[0-9]*.py")) == sql.migrations()


def test_each_query_is_described_and_fits_the_schema(url: DatabaseUrl) -> None:
    folder = Path(sql.__file__).parent / "queries"
    for path in sorted(folder.glob("*.sql")):
        named = sql.queries(path.stem)
        assert len(named) == path.read_text().count("-- name:"), f"a query of {path.name} has no description"
        for name, query in named.items():
            if query.startswith(("SET", "SELECT pg_advisory")):
                continue
            statement = re.sub(r"(?<!:):(\w+)", "NULL", query.rstrip(";"))
            assert ask_once(url, f"EXPLAIN {statement}"), f"{path.name}: {name}"


def test_a_newer_catalog_is_refused_by_name(catalog: Catalog, ask: Ask) -> None:
    ask(f"UPDATE {VERSION_TABLE} SET version_num = '9999_future'")
    with pytest.raises(SettingsError, match=r"newer Holdfast.*9999_future"):
        catalog.migrate()


def test_another_systems_alembic_in_the_same_database_is_left_alone(empty: DatabaseUrl) -> None:
    ask_once(empty, "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('theirs')")
    with Catalog(empty) as catalog:
        catalog.migrate()
    assert ask_once(empty, "SELECT version_num FROM alembic_version") == [("theirs",)]


def test_a_hosted_database_will_do_where_we_own_one_schema_and_nothing_else(server: EmbeddedServer, empty: DatabaseUrl) -> None:
    ask_once(empty, "CREATE ROLE tenant LOGIN; CREATE SCHEMA tenant AUTHORIZATION tenant")
    hosted = DatabaseUrl(empty.database, host=empty.host, port=empty.port, user="tenant")
    try:
        with Catalog(hosted) as catalog:
            catalog.migrate()
            assert catalog.open_job("backup_1", "database")
            assert catalog.backup_statistics()[0]["pending"] == 1
        assert ask_once(empty, "SELECT count(*) FROM pg_tables WHERE schemaname = 'tenant'") == [(12,)]
    finally:
        ask_once(empty, "DROP OWNED BY tenant; DROP ROLE tenant")


def test_a_user_who_may_only_use_the_tables_needs_no_right_to_make_them(url: DatabaseUrl) -> None:
    ask_once(url, "CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO clerk")
    clerk = DatabaseUrl(url.database, host=url.host, port=url.port, user="clerk")
    try:
        with Catalog(clerk) as catalog:
            catalog.migrate()
            assert catalog.open_job("backup_1", "database")
            assert catalog.close_job("backup_1", "completed")
            with pytest.raises(AccessDeniedError, match=r"cleaning up.*grant it"):
                catalog.cleanup(0)
    finally:
        ask_once(url, "DROP OWNED BY clerk; DROP ROLE clerk")


def test_an_older_server_will_do() -> None:
    with running_server(version=16) as server, Catalog(server.create_database("catalog")) as catalog:
        catalog.migrate()
        catalog.open_job("backup_1", "database", {"storedBytes": 5})
        catalog.close_job("backup_1", "completed", size_bytes=7)
        assert (catalog.backup_statistics()[0]["stored_bytes"], catalog.dashboard()[0]["health"]) == (5, "healthy")
        assert catalog.cleanup(0)["deleted_backup_jobs"] == 1


def test_a_database_without_a_catalog_is_named_as_such(empty: DatabaseUrl) -> None:
    with Catalog(empty) as catalog, pytest.raises(NotFoundError, match=rf"no catalog in .*{empty.database}.*holdfast init"):
        catalog.jobs()


@pytest.mark.parametrize("table", [name for name in TABLES if name != "disaster_recovery_executions"])
def test_updated_at_follows_a_change_made_by_hand(ask: Ask, table: str) -> None:
    row = {
        "backup_config": "(config_key, config_value) VALUES ('key', '1')",
        "backup_jobs": "(job_id, type, status) VALUES ('one', 'database', 'running')",
        "restore_jobs": "(job_id, backup_id, type, status) VALUES ('one', 'backup', 'database', 'running')",
        "disaster_recovery_plans": "(plan_id, name, priority, steps) VALUES ('one', 'One', 'high', '[]')",
    }[table]
    ask(f"INSERT INTO {table} {row}")
    ask(f"UPDATE {table} SET created_at = '2020-01-01', updated_at = '2020-01-01'")
    assert ask(f"SELECT created_at < '2021-01-01', updated_at > now() - interval '1 minute' FROM {table}") == [(True, True)]
