"""Faults break what they say, on a real sample, and nothing that is not one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from examples.content_pipeline.fault import MARK, Parts
from examples.content_pipeline.faults import faults
from examples.content_pipeline.generate import build, change
from examples.content_pipeline.sample_files import lay_out
from examples.content_pipeline.server import processes
from holdfast.errors import RefusedError
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.recovery.triggers import TRIGGERS
from holdfast.sources.dotenv import Dotenv
from tests.examples.conftest import ask
from tests.postgres.servers import server_folder

ROWS = "SELECT sum(length(body)) FROM content.revisions"


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    """A small sample; each test leaves it as it found it, or breaks what no other looks at."""
    with server_folder() as root:
        (root / MARK).touch()
        server = EmbeddedServer(root / "home" / "pipeline")
        server.start()
        build(server.create_database("content_pipeline"), megabytes=1)
        (root / "sample").mkdir()
        files = lay_out(root / "sample")
        log = root / "sample" / "pipeline.log"
        yield Parts(root, server, "content_pipeline", files.functions, files.settings, files.env_file, log)
        server.stop()


def service(action: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.content_pipeline.server", action, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=dict(os.environ))


def test_a_killed_server_is_gone_with_all_its_processes_and_starts_again_by_its_services_command(parts: Parts) -> None:
    before = ask(parts.url, ROWS)
    assert service("check", parts.server.data_dir).returncode == 0
    there = processes(parts.server.data_dir)
    assert faults()["database-killed"].do(parts) == f"kill -9 of the {len(there)} processes of the database's server"
    assert not any(process.is_running() for process in there)
    assert service("check", parts.server.data_dir).returncode != 0
    started = service("start", parts.server.data_dir)
    assert started.returncode == 0, started.stderr
    assert ask(parts.url, ROWS) == before


def test_the_services_command_makes_no_server_where_there_is_none(tmp_path: Path) -> None:
    done = service("start", tmp_path / "slip")
    assert done.returncode == 7
    assert "no data folder" in done.stderr
    assert not (tmp_path / "slip").exists()


def test_a_dropped_table_and_a_dropped_database_are_gone(parts: Parts) -> None:
    faults()["table-dropped"].do(parts)
    assert ask(parts.url, "SELECT to_regclass('content.embeddings')") == [(None,)]
    faults()["database-dropped"].do(parts)
    assert ask(parts.url.maintenance(), "SELECT 1 FROM pg_database WHERE datname = 'content_pipeline'") == []
    build(parts.server.create_database("content_pipeline"), megabytes=1)


def test_a_damaged_page_makes_the_applications_query_fail(parts: Parts) -> None:
    assert "invalid page in block" in faults()["page-damaged"].do(parts)
    with pytest.raises(psycopg2.errors.DataCorrupted):
        ask(parts.url, ROWS)
    faults()["database-dropped"].do(parts)
    build(parts.server.create_database("content_pipeline"), megabytes=1)


def test_functions_configuration_and_a_secret_are_broken_as_it_is_said(parts: Parts) -> None:
    for name in ("function-deleted", "function-broken", "config-corrupted"):
        faults()[name].do(parts)
    assert not (parts.functions / "functions" / "search-index").exists()
    assert "}}}" in (parts.functions / "functions" / "summarise" / "main.ts").read_text()
    assert b"\x00\x01" in (parts.settings / "pipeline.toml").read_bytes()
    said = faults()["secret-leaked"].do(parts)
    value = Dotenv.parse(parts.env_file.read_text()).variables()["SUMMARY_API_KEY"]
    assert value in parts.log.read_text()
    assert value not in said


@pytest.mark.parametrize("name", sorted(faults()))
def test_nothing_is_broken_that_is_no_sample(name: str, parts: Parts, tmp_path: Path) -> None:
    bare = Parts(tmp_path, parts.server, parts.database, parts.functions, parts.settings, parts.env_file, parts.log)
    with pytest.raises(RefusedError, match="not of a sample"):
        faults()[name].do(bare)
    (tmp_path / MARK).touch()  # the mark of another sample says nothing of this one
    with pytest.raises(RefusedError, match="not of a sample"):
        faults()[name].do(bare)


def test_every_fault_names_an_event_that_a_plan_can_listen_for() -> None:
    for fault in faults().values():
        assert fault.trigger in TRIGGERS
        assert fault.part in ("database", "function", "config", "secrets")


def test_a_days_work_changes_what_a_backup_made_before_it_does_not_have(parts: Parts) -> None:
    before = ask(parts.url, "SELECT count(*) FROM content.embeddings")
    change(parts.url, percent_appended=5)
    assert ask(parts.url, "SELECT count(*) FROM content.embeddings") > before
