"""A comparison says what differs, so that a person can find it; and it says nothing of what only looks different."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.postgres.compare import prove
from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.repository import Manifest, Repository
from tests.postgres.restoring import back_up, dropped_at_end, load_sql, make_database, restore, rows

SCHEMA = b"""
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood mood DEFAULT 'sad', text text);
CREATE VIEW happy AS SELECT * FROM notes WHERE mood = 'happy';
CREATE INDEX by_mood ON notes (mood);
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT SELECT ON notes TO PUBLIC;
GRANT UPDATE ON notes TO PUBLIC;
INSERT INTO notes (text) SELECT 'note ' || i FROM generate_series(1, 10) AS i;
SELECT lo_create(4711);
"""


@pytest.fixture(scope="module")
def backup(server: EmbeddedServer) -> Iterator[tuple[Repository, Manifest]]:
    with dropped_at_end(make_database(server.url(), "compared")) as url:
        load_sql(url, SCHEMA)
        yield back_up(url)


@pytest.fixture
def restored(backup: tuple[Repository, Manifest], server: EmbeddedServer, tmp_path: Path) -> Iterator[DatabaseUrl]:
    with dropped_at_end(server.url().with_database("comparable")) as url:
        restore(backup, url, tmp_path, prove=False)
        yield url


def test_an_equal_copy_has_no_problems(backup: tuple[Repository, Manifest], restored: DatabaseUrl) -> None:
    report = prove(*backup, restored)
    assert (report.problems, report.notes, report.tables_compared, report.rows) == ([], [], 1, 10)


def test_every_difference_is_told_in_words(backup: tuple[Repository, Manifest], restored: DatabaseUrl) -> None:
    rows(
        restored,
        "DELETE FROM notes WHERE id = 3; ALTER TABLE notes ALTER mood SET DEFAULT 'happy'; DROP INDEX by_mood;"
        "REVOKE UPDATE ON notes FROM PUBLIC; CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2';"
        "CREATE TABLE more (i int); SELECT lo_unlink(4711); SELECT setval('notes_id_seq', 99);"
        "COMMENT ON DATABASE comparable IS 'another'; ALTER DATABASE comparable SET work_mem = '5MB';"
        "ALTER VIEW happy OWNER TO pg_database_owner",
    )
    problems = prove(*backup, restored).problems
    for expected in (
        "public.notes has 9 rows, the source had 10",
        "the rows of public.notes are not those of the source",
        "sequence public.notes_id_seq stands at 99, in the backup at 10",
        "there are 0 large objects, the source had 1",
        "the database's comment was None and is 'another'",
        "the database's settings was [] and is [('', ['work_mem=5MB'])]",
        "missing: INDEX public.by_mood",
        "not in the source: TABLE public.more",
        "differs: VIEW public.happy: its owner was postgres and is pg_database_owner",
        "differs: ACL public.TABLE notes: it was 'GRANT SELECT,UPDATE ON TABLE public.notes TO PUBLIC;'"
        " and is 'GRANT SELECT ON TABLE public.notes TO PUBLIC;'",
    ):
        assert expected in problems
    assert any("TABLE public.notes" in line and "'sad'" in line and "'happy'" in line for line in problems)
    assert any("FUNCTION public.one()" in line and "SELECT 1" in line and "SELECT 2" in line for line in problems)
    assert len(problems) == 12


def test_a_missing_table_is_told_once_and_ends_nothing(backup: tuple[Repository, Manifest], restored: DatabaseUrl) -> None:
    rows(restored, "DROP TABLE notes CASCADE")
    problems = prove(*backup, restored).problems
    assert "missing: TABLE public.notes" in problems
    assert "missing: VIEW public.happy" in problems


def test_other_rows_of_the_same_number_are_found_where_the_backup_has_hashes(
    backup: tuple[Repository, Manifest], restored: DatabaseUrl
) -> None:
    rows(restored, "UPDATE notes SET text = 'changed' WHERE id = 5")
    assert prove(*backup, restored).problems == ["the rows of public.notes are not those of the source"]
    assert prove(*backup, restored, content=False).problems == []
