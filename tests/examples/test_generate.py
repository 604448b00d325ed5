"""The generator keeps its promises: as much as was asked for, the same every time, compressible as real content is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from examples.content_pipeline.facts import measure
from examples.content_pipeline.generate import build, change
from examples.content_pipeline.noise import Noise
from examples.content_pipeline.tables import TABLES, Size
from examples.content_pipeline.vocabulary import prose
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from tests.examples.conftest import ask
from tests.postgres.oracle import differences, dump_text, fingerprint
from tests.postgres.servers import running_server

MIB = 1 << 20


@pytest.mark.parametrize("megabytes", [3, 8])
def test_there_is_as_much_as_was_asked_for_and_little_more(empty: DatabaseUrl, megabytes: int) -> None:
    built = build(empty, megabytes=megabytes)
    found = measure(empty)
    assert built.rows == found.rows
    assert megabytes * MIB <= found.total_copy_bytes < (megabytes * 1.1 + 1) * MIB
    assert found.total_rows == sum(found.rows.values()) > 1000


def test_a_hundred_megabytes_and_four_thousand_are_promised_by_the_same_rule() -> None:
    """Only lines are made here: what the server stores of them is at least as long (the other tests show it)."""
    made = sum(len(line) + 1 for table in TABLES for line in table.maker(Noise(1, table.name), Size(100)))
    assert made >= 100 * MIB


def test_the_same_seed_makes_the_same_database(empty: DatabaseUrl, pipeline: DatabaseUrl, tools: Path) -> None:
    """Rows, large objects, positions of sequences, definitions: all that pg_dump can tell."""
    build(empty.without_password(), megabytes=1)
    assert fingerprint(str(empty)) == fingerprint(str(pipeline))
    assert differences(dump_text(tools, str(empty)), dump_text(tools, str(pipeline))) == []


def test_another_seed_makes_other_rows() -> None:
    for table in TABLES:
        first, second = (list(table.maker(Noise(seed, table.name), Size(0.2))) for seed in (1, 2))
        assert set(first).isdisjoint(second) or table.name == "content.document_tags"


def test_changes_are_the_same_too(server: EmbeddedServer) -> None:
    urls = [server.create_database(name) for name in ("changed one", "changed two")]
    for url in urls:
        build(url, megabytes=1)
        change(url, percent_rows_updated=2, percent_appended=3)
        change(url, percent_rows_updated=2, percent_appended=3, seed=7)
    assert fingerprint(str(urls[0])) == fingerprint(str(urls[1]))


def test_a_change_updates_and_appends_what_it_says(empty: DatabaseUrl) -> None:
    before = build(empty, megabytes=4)
    bytes_before = measure(empty).total_copy_bytes
    assert change(empty, percent_rows_updated=5).rows == before.rows
    corrected, revisions = ask(empty, "SELECT count(*) FILTER (WHERE note = 'corrected'), count(*) FROM content.revisions")[0]
    assert 0.03 < corrected / revisions < 0.07
    change(empty, percent_appended=5)
    assert 0.03 < measure(empty).total_copy_bytes / bytes_before - 1 < 0.08
    ask(
        empty, "SET session_replication_role = origin; ALTER TABLE content.revisions VALIDATE CONSTRAINT revisions_author_id_fkey"
    )


def test_the_pipeline_goes_on_after_the_load(empty: DatabaseUrl) -> None:
    """Identities continue after the loaded rows, triggers fire, and what is forbidden is refused."""
    build(empty, megabytes=1)
    ask(empty, "INSERT INTO content.inbox (slug, title) VALUES ('a-new-one', 'A new one')")
    ask(empty, "UPDATE pipeline.jobs SET state = 'dead' WHERE id = 1")
    actions = ask(empty, "SELECT relation::text, action FROM ops.audit ORDER BY id DESC LIMIT 2")
    assert actions == [("pipeline.jobs_2025_11", "U"), ("content.documents", "I")]
    ask(empty, "CREATE TABLE ops.more (id integer)")
    assert ask(empty, "SELECT command, object FROM ops.ddl_log") == [("CREATE TABLE", "ops.more")]
    with pytest.raises(Exception, match="one_price_a_day"):
        ask(empty, "INSERT INTO commerce.prices VALUES (1, '[2023-01-01,2023-02-01)', 1)")


def test_the_rows_compress_like_content(pipeline: DatabaseUrl) -> None:
    """About a third to a sixth: neither noise nor one sentence over and over."""
    copied = io.BytesIO()
    with closing(connect(pipeline)) as connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.copy_expert(f"COPY (SELECT {table.columns} FROM {table.name}) TO STDOUT", copied)
    assert 2.8 < len(copied.getvalue()) / len(zstandard.compress(copied.getvalue(), 1)) < 6


def test_noise_is_the_same_on_every_machine() -> None:
    noise = Noise(2026, "a name")
    assert list(noise.take(4)) == [5331, 42174, 47338, 46091]
    assert str(noise.uuid()) == "20c0a66c-a2a3-42d5-a799-1d2c9a88ea68"
    assert prose(Noise(2026, "prose"), 6) == "neater powders subscribe to the weekly letter postable operating inform"


def test_what_pg_dump_takes_pg_restore_gives_back(pipeline: DatabaseUrl, empty: DatabaseUrl, tools: Path, tmp_path: Path) -> None:
    """If the standard tools could not bring it back, it would be no fair sample."""
    archive = str(tmp_path / "archive")
    subprocess.run([tools / "pg_dump", "-Fc", "-Z0", "-f", archive, "-d", str(pipeline)], check=True)
    subprocess.run([tools / "pg_restore", "--exit-on-error", "-d", str(empty), archive], check=True)
    assert fingerprint(str(pipeline)) == fingerprint(str(empty))


def test_it_runs_on_an_older_server_with_the_same_rows(pipeline: DatabaseUrl) -> None:
    with running_server(16) as old:
        url = old.create_database("pipeline")
        build(url, megabytes=1)
        assert fingerprint(str(url)) == fingerprint(str(pipeline))


def test_the_command_tells_what_is_there(pipeline: DatabaseUrl) -> None:
    command = [sys.executable, "-m", "examples.content_pipeline", "--url", str(pipeline), "--check"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "pipeline.events_2026_q1_quiet" in told.replace('"', "")
    facts = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout)
    assert facts["total_copy_bytes"] >= MIB
    assert facts["rows"]['"ops"."pulse"'] == 3
