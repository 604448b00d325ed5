"""The contents of pg_dump's archives are read whole, whatever the names, and never guessed at."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import DamagedError, NotFoundError, RefusedError
from holdfast.postgres.archive import POST_DATA, Archive
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.process import run_tool
from holdfast.postgres.selection import select
from holdfast.postgres.stages import post_data_stages
from holdfast.postgres.tools import find_tool
from tests.postgres.restoring import EVERYTHING, dropped_at_end, load_sql, make_database


@pytest.fixture(scope="module")
def content(server: EmbeddedServer) -> Iterator[bytes]:
    """An archive of everything."""
    with dropped_at_end(make_database(server.url(), "archived")) as url:
        load_sql(url, EVERYTHING)
        with run_tool(find_tool("pg_dump", at_least_major=18), ["-Fc", "-Z0"], url=url, stdout="pipe") as child:
            yield bytes(child.stdout.readall())


@pytest.fixture
def archive(content: bytes) -> Archive:
    return Archive.read_head(io.BytesIO(content), "everything")


def test_objects_are_read_with_their_exact_names(archive: Archive) -> None:
    tables = {(entry.schema, entry.name) for entry in archive.entries if entry.kind == "TABLE"}
    assert ("odd names", "new\nline\tand tab") in tables
    assert ('dot.ted "schema" ünïcödé', "dot.ted") in tables
    owners = {entry.name: entry.owner for entry in archive.entries if entry.kind == "SCHEMA"}
    assert owners['dot.ted "schema" ünïcödé'] == 'Everything "Quoted" Röle'
    assert archive.database == "archived"


def test_pg_restore_lists_the_same_entries(content: bytes, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(content)
    with run_tool(find_tool("pg_restore", at_least_major=18), ["--list", str(tmp_path / "archive")], stdout="pipe") as child:
        listed = [int(line.split(b";")[0]) for line in child.stdout.readall().splitlines() if line[:1].isdigit()]
    assert set(listed) - {entry.id for entry in archive.entries} == set()
    of_the_session = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}
    not_listed = [entry for entry in archive.entries if entry.id not in listed]
    assert all(entry.kind in of_the_session or "DATABASE" in entry.label for entry in not_listed)


def test_an_archive_that_was_cut_off_is_damaged(content: bytes) -> None:
    for length in (*range(60), 100, 1000, 5000):
        with pytest.raises(DamagedError):
            Archive.read_head(io.BytesIO(content[:length]), "cut")


def test_an_archive_of_an_unknown_format_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedError, match=r"format 1\.99"):
        Archive.read_head(io.BytesIO(content[:6] + b"\x63" + content[7:]), "of the future")
    with pytest.raises(DamagedError, match="not a PostgreSQL archive"):
        Archive.read_head(io.BytesIO(b"CREATE TABLE"), "text")


def test_partitioned_tables_get_their_indexes_before_and_after_their_partitions(archive: Archive) -> None:
    stages = post_data_stages(archive, None)
    assert [stage.at_once for stage in stages] == [False, True, False, True]
    first, leaves, attached, rest = ([(entry.kind, entry.name) for entry in stage.entries or ()] for stage in stages)
    assert ("CONSTRAINT", "events_2023 events_2023_pkey") in first
    assert ("CONSTRAINT", "events_2024 events_2024_pkey") in leaves
    assert ("COMMENT", "INDEX posts_by_time") in leaves
    assert {kind for kind, _ in attached} == {"INDEX ATTACH"}
    assert ("FK CONSTRAINT", "events events_author_id_fkey") in rest
    assert ("COMMENT", "TRIGGER refuse_all ON wide") in rest
    post_data = [entry for entry in archive.entries if entry.section == POST_DATA]
    assert {entry.id for entry in post_data} <= {entry.id for stage in stages for entry in stage.entries or ()}


def test_what_is_made_already_is_not_made_again(archive: Archive) -> None:
    made = {entry.id for entry in archive.entries if entry.section == POST_DATA and entry.kind in {"INDEX", "CONSTRAINT"}}
    stages = post_data_stages(archive, None, made=made)
    assert not made & {entry.id for stage in stages for entry in stage.entries or ()}
    assert stages[-1].entries
    flat = Archive(tuple(entry for entry in archive.entries if entry.id in made), "", "", "")
    assert post_data_stages(flat, None, made=made) == []


def test_tables_are_found_by_any_way_to_write_their_name(archive: Archive) -> None:
    assert select(archive, ["posts"]).tables == {("public", "posts")}
    assert select(archive, ["public.posts"]).tables == {("public", "posts")}
    assert select(archive, ['"odd names"."dot.ted"']).tables == {("odd names", "dot.ted")}
    assert select(archive, ["odd names.dot.ted"]).tables == {("odd names", "dot.ted")}
    assert select(archive, ["dot.ted"]).tables == {("odd names", "dot.ted"), ('dot.ted "schema" ünïcödé', "dot.ted")}
    assert select(archive, ["event_*"]).tables == {("public", "event_notes")}
    assert len(select(archive, ["public.events"]).tables) == 9
    with pytest.raises(NotFoundError, match=r"near to it are .*public\.posts"):
        select(archive, ["publik.post"])


def test_a_table_comes_with_what_it_can_not_do_without(archive: Archive) -> None:
    chosen = select(archive, ["posts"])
    labels = {entry.label for entry in chosen.entries}
    assert {
        "SEQUENCE public.posts_id_seq",
        "OPERATOR CLASS kinds.length_ops",
        "FUNCTION kinds.note_it()",
        "SCHEMA kinds",
    } <= labels
    assert "TABLE public.authors" not in labels
    assert chosen.left_out == ("FK CONSTRAINT public.posts posts_author_id_fkey (it needs TABLE public.authors)",)
    assert "EXTENSION vector" in {entry.label for entry in select(archive, ["embeddings"]).entries}
    assert "TABLE kinds.parent" in {entry.label for entry in select(archive, ["kinds.child"]).entries}
