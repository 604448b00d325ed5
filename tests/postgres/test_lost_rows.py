"""A row that is lost between the server and the repository is missed: the server's own number of rows is what must come back."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from holdfast.errors import DamagedError, ToolFailedError
from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.embedded import EmbeddedServer
from tests.postgres.restoring import TOOLS, back_up, dropped_at_end, load_sql, restore

TEN_NOTES = b"CREATE TABLE notes (id int, text text); INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 10) AS i;"


def test_a_backup_that_lacks_a_row_which_psql_lost_is_not_restored(
    database: DatabaseUrl, server: EmbeddedServer, tmp_path: Path
) -> None:
    load_sql(database, TEN_NOTES)
    repository, manifest = back_up(database, proof="counts", tools=tools_with_a_psql_that_edits("/^3\t/d", tmp_path / "tools"))
    entry = manifest.entry("table/public.notes")
    assert (b"".join(repository.read(entry)).count(b"\n"), entry.lines) == (9, 10)
    (spool := tmp_path / "spool").mkdir()
    with (
        dropped_at_end(server.url().with_database("with_a_row_less")) as target,
        pytest.raises(DamagedError, match="the source gave 10 rows and the target took 9"),
    ):
        restore((repository, manifest), target, spool)


def test_a_psql_that_does_not_tell_how_many_rows_there_are_makes_no_backup(database: DatabaseUrl, tmp_path: Path) -> None:
    load_sql(database, TEN_NOTES)
    with pytest.raises(ToolFailedError, match="did not tell how many rows"):
        back_up(database, tools=tools_with_a_psql_that_edits(f"s/0{{18}}10$/{20 * '0'}/", tmp_path / "tools"))


def tools_with_a_psql_that_edits(script: str, folder: Path) -> Path:
    """Make a folder whose psql is the real one, with a script of sed's over what it writes."""
    assert TOOLS is not None
    folder.mkdir()
    psql = folder / "psql"
    psql.write_text(f'#!/bin/sh\n{shlex.quote(str(TOOLS / "psql"))} "$@" | sed -u -E {shlex.quote(script)}\n')
    psql.chmod(0o755)
    return folder
