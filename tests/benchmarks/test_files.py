"""Beside pgBackRest, on a database of a megabyte: each does every work on a server that both know, and leaves nothing behind."""

from __future__ import annotations

import shutil

from benchmarks import files
from benchmarks.contenders.contender import WORKS
from benchmarks.figures import Size
from tests.postgres.servers import server_folder


def test_who_copies_files_is_measured_on_a_server_that_it_knows_or_said_to_be_absent() -> None:
    with server_folder() as folder:
        folder.chmod(0o755)  # where root runs this, the server is another user's
        section = files.section(folder, [(1, 1)], only=frozenset({"pgbackrest", "engine"}))
        assert not (folder / "older" / "data" / "postmaster.pid").exists()
    if shutil.which("pgbackrest") is None:
        assert section.notes == ["not on this machine; Debian: apt-get install pgbackrest"]
        assert section.tables == []
        return
    size = Size.from_json(section.figures["sizes"][0])
    assert size.failures == []
    done = {(run.contender, run.work): run for run in size.runs}
    assert done.keys() == {(who, work) for who in ("engine", "pgbackrest") for work in WORKS}
    first, appended = (done["pgbackrest", work].added_bytes for work in ("first", "appended"))
    assert first > appended > 0
    assert section.targets == []
