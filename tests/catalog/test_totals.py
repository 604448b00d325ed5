"""The totals that statistics are made of are at every moment what the rows add up to, whoever changes them and however."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from psycopg2 import errors

from holdfast.catalog import Catalog
from holdfast.catalog.migrations import VERSION_TABLE
from holdfast.postgres.connection import DatabaseUrl, connect
from tests.catalog.conftest import Ask, ask_once
from tests.catalog.test_statistics_add_up import COUNTS, DURATION, EMPTY, SIZES

KINDS = ("database", "function", "config", "secrets")
DAYS = (None, 0, 1, 2, 30)
ODD = ("NULL", *(f"""'{{"storedBytes": {it}}}'""" for it in ("null", '"7"', "[1]", "1.5", "-3", "-0.25", "1e3", "12345678901")))
OTHER = ("'{}'", "'[]'", "'5'", """'{"more": {"storedBytes": 9}}'""")

# What a statement does to rows of all kinds, with the numbers that it takes; one that completes is the most frequent, as in life.
CHANGES = (
    """INSERT INTO backup_jobs (job_id, type, status, started_at, completed_at, size_bytes, metadata)
    SELECT '{name}' || n, (ARRAY['database', 'function', 'config'])[1 + n % 3], 'completed',
           date_trunc('day', now()) - n * interval '7 hours', now() - n * interval '6 hours', n * 1000, {metadata}
    FROM generate_series(1, {count}) AS n""",
    """INSERT INTO backup_jobs (job_id, type, status, started_at, metadata)
    VALUES ('{name}', 'config', 'running', now() - interval '{count} days', {metadata})
    ON CONFLICT (job_id) DO UPDATE SET status = 'pending'""",
    """UPDATE backup_jobs SET status = 'completed', completed_at = now(), metadata = {metadata}
    WHERE right(id::text, 1) = '{digit}'""",
    "UPDATE backup_jobs SET status = 'failed' WHERE right(id::text, 2) = '{digit}{digit}'",
    "UPDATE backup_jobs SET started_at = started_at - interval '1 day', size_bytes = NULL WHERE right(id::text, 1) = '{digit}'",
    "UPDATE backup_jobs SET type = 'secrets', completed_at = NULL WHERE right(id::text, 2) = '{digit}a'",
    "UPDATE backup_jobs SET started_at = NULL WHERE right(id::text, 2) = '{digit}b'",
    "DELETE FROM backup_jobs WHERE right(id::text, 1) = '{digit}'",
)


def change(by: random.Random, name: str) -> str:
    return by.choice(CHANGES).format(
        name=name, count=by.randint(1, 40), metadata=by.choice(ODD + OTHER), digit=by.choice("0123456789abcdef")
    )


def said_and_so(ask: Ask, days: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what statistics say, and what one sum over all rows says."""
    since = "'-infinity'" if days is None else f"now() - interval '{days} days'"
    said = ask(f"SELECT * FROM get_backup_statistics({'NULL' if days is None else days})")
    plain = ask(f"SELECT type, {COUNTS}, {SIZES}, {DURATION} FROM backup_jobs WHERE started_at >= {since} GROUP BY type")
    found = {row[0]: row[1:] for row in plain}
    return {row[0]: row[1:-2] for row in said}, {kind: found.get(kind, EMPTY["backup"]) for kind in KINDS}


def agree(ask: Ask) -> None:
    for days in DAYS:
        said, so = said_and_so(ask, days)
        assert said == so


def looked(cursor: Any) -> None:
    """Compare in the one snapshot of this transaction."""

    def ask(statement: str) -> list[tuple[Any, ...]]:
        cursor.execute(statement)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    agree(ask)


@pytest.mark.parametrize("seed", range(4))
def test_statistics_are_right_after_whatever_is_done_to_the_rows(ask: Ask, seed: int) -> None:
    by = random.Random(seed)
    for number in range(40):
        ask(change(by, f"job_{number}_"))
        if number % 4 == 0:
            agree(ask)
    agree(ask)
    ask("DELETE FROM backup_jobs")
    agree(ask)


def test_statistics_are_right_at_every_moment_while_others_write(url: DatabaseUrl, ask: Ask) -> None:
    """Each writer keeps to rows of its own, for it would wait at others'; the totals are what they share."""

    def write(number: int) -> None:
        by = random.Random(number)
        with closing(connect(url, autocommit=False)) as connection, connection.cursor() as cursor:
            for turn in range(40):
                if by.random() < 0.3:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                for statement in range(by.randint(1, 3)):
                    cursor.execute("SAVEPOINT here")
                    asked = change(by, f"job_{number}_{turn}_{statement}_")
                    cursor.execute(asked.replace("WHERE ", f"WHERE job_id LIKE 'job_{number}\\_%' AND "))
                    if by.random() < 0.2:
                        cursor.execute("ROLLBACK TO SAVEPOINT here")
                if by.random() < 0.2:
                    connection.rollback()
                connection.commit()

    # What makes one row of a day's comes at every 4,096th id: here at every fourth that is added, by several at once.
    ask("ALTER SEQUENCE backup_totals_id_seq INCREMENT BY 1024 RESTART WITH 1024")
    with ThreadPoolExecutor(4) as pool, closing(connect(url, autocommit=False)) as connection, connection.cursor() as cursor:
        writers = [pool.submit(write, number) for number in range(4)]
        looks = 0
        while not all(writer.done() for writer in writers) or looks < 5:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            looked(cursor)
            connection.rollback()
            looks += 1
        for writer in writers:
            writer.result()
    agree(ask)


def test_many_changes_of_a_day_become_one_row(ask: Ask) -> None:
    ask("INSERT INTO backup_jobs (job_id, type, status) SELECT n, 'database', 'running' FROM generate_series(1, 4200) AS n")
    ask("UPDATE backup_jobs SET status = 'completed', completed_at = now(), size_bytes = 5")
    assert ask("SELECT COUNT(*) < 200, SUM(completed), SUM(total_bytes) FROM backup_totals") == [(True, 4200, 21000)]
    agree(ask)


def test_what_changes_nothing_of_the_sums_adds_nothing_to_them(catalog: Catalog, ask: Ask) -> None:
    catalog.open_job("backup_1", "database", {"storedBytes": 5})
    catalog.start_job("backup_1")
    assert ask("SELECT COUNT(*) FROM backup_totals") == [(0,)]
    catalog.close_job("backup_1", "completed", size_bytes=7)
    catalog.note_job("backup_1", {"verifiedLevel": "read"})
    assert ask("SELECT completed, total_bytes, stored_bytes FROM backup_totals") == [(1, 7, 5)]


def test_a_number_that_no_sum_can_hold_is_an_error_as_it_is_in_a_plain_sum(ask: Ask) -> None:
    metadata = f"""'{{"storedBytes": {"9" * 30}}}'"""
    ask(f"INSERT INTO backup_jobs (job_id, type, status, metadata) VALUES ('a', 'config', 'completed', {metadata})")
    for query in ("SELECT * FROM get_backup_statistics(NULL)", f"SELECT {SIZES} FROM backup_jobs"):
        with pytest.raises(errors.NumericValueOutOfRange):
            ask(query)
    ask("DELETE FROM backup_jobs")
    agree(ask)


def test_a_row_with_times_without_end_is_taken_and_makes_no_duration(ask: Ask) -> None:
    ask(
        """INSERT INTO backup_jobs (job_id, type, status, started_at, completed_at, size_bytes) VALUES
        ('a', 'config', 'completed', '-infinity', now(), 9223372036854775807),
        ('b', 'config', 'completed', now(), 'infinity', -5),
        ('c', 'config', 'completed', '4713-01-01 BC', '294276-01-01', NULL), ('d', 'config', 'completed', 'infinity', NULL, 0)"""
    )
    assert ask("SELECT completed, total_bytes FROM get_backup_statistics(NULL) WHERE type = 'config'") == [(4, 2**63 - 6)]
    ask(
        """UPDATE backup_jobs SET started_at = now(), completed_at = now() + interval '2 s';
        DELETE FROM backup_jobs WHERE job_id = 'c'"""
    )
    agree(ask)


def test_emptied_tables_and_a_change_past_the_triggers_are_made_good(ask: Ask) -> None:
    by = random.Random(7)
    for number in range(5):
        ask(CHANGES[0].format(name=number, count=20, metadata=by.choice(ODD)))
    ask("SET session_replication_role = replica; DELETE FROM backup_jobs WHERE size_bytes > 9000")
    ask("TRUNCATE backup_totals")
    agree(ask)
    assert ask("SELECT completed > 5 FROM get_backup_statistics(NULL) WHERE type = 'database'") == [(True,)]
    ask("TRUNCATE backup_jobs, backup_totals")
    agree(ask)
    ask(CHANGES[0].format(name="again", count=20, metadata="NULL"))
    ask("TRUNCATE backup_jobs")
    agree(ask)
    with pytest.raises(errors.ActiveSqlTransaction, match="READ COMMITTED only"):
        ask("BEGIN ISOLATION LEVEL REPEATABLE READ; TRUNCATE backup_totals")


def test_rows_that_are_loaded_from_a_dump_of_the_data_count_once(ask: Ask) -> None:
    ask(CHANGES[0].format(name="job", count=20, metadata="NULL"))
    ask(
        "CREATE TABLE kept AS SELECT * FROM backup_jobs; CREATE TABLE totals AS SELECT * FROM backup_totals; TRUNCATE backup_jobs"
    )
    ask(
        """SET search_path = '';
        INSERT INTO public.backup_totals OVERRIDING SYSTEM VALUE SELECT * FROM public.totals;
        INSERT INTO public.backup_jobs SELECT * FROM public.kept;
        UPDATE public.backup_totals SET completed = 0; DELETE FROM public.backup_totals"""
    )
    assert ask("SELECT SUM(completed) FROM backup_totals") == [(20,)]
    agree(ask)


def test_a_catalog_from_before_there_were_totals_has_them_of_its_rows(catalog: Catalog, ask: Ask, url: DatabaseUrl) -> None:
    """Who could write jobs and ask for statistics still can, without a right more."""
    ask(CHANGES[0].format(name="job", count=40, metadata=ODD[4]))
    for trigger in ("come", "change", "go", "anew"):
        ask(f"DROP TRIGGER backup_totals_{trigger} ON backup_jobs")
    ask(f"DROP TABLE backup_totals; UPDATE {VERSION_TABLE} SET version_num = '0007_statistics'")
    ask("CREATE ROLE counter LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON backup_jobs TO counter")
    try:
        catalog.migrate()
        agree(ask)
        counter = DatabaseUrl(url.database, host=url.host, port=url.port, user="counter")
        ask_once(counter, CHANGES[0].format(name="more", count=3, metadata="NULL"))
        ask_once(counter, "DELETE FROM backup_jobs WHERE job_id = 'more1'")
        assert ask_once(counter, "SELECT SUM(completed) FROM get_backup_statistics(NULL)") == [(42,)]
        agree(ask)
    finally:
        ask("DROP OWNED BY counter; DROP ROLE counter")
