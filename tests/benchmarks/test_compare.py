"""The comparison itself, on a database of a megabyte: every work is done, by whoever can, and leaves nothing behind."""

from __future__ import annotations

import shutil

from benchmarks import compare
from benchmarks.contenders.contender import BACKUPS, CHECK, RESTORE
from benchmarks.figures import Size
from benchmarks.section import Section
from benchmarks.stage import Stage
from tests.postgres.servers import server_folder


def test_each_contender_does_each_work_that_it_can_and_the_others_are_said_to_be_absent() -> None:
    only, saved = frozenset({"restic", "pgbackrest", "engine"}), list[Section]()
    with server_folder() as folder:
        folder.chmod(0o755)  # where root runs this, the server is another user's
        section = compare.section(folder, [(1, 1)], only=only, save=saved.append)
        assert not Stage(folder).server.is_running()
    size = Size.from_json(section.figures["sizes"][0])
    assert size.failures == []
    done = {(run.contender, run.work): run for run in size.runs}
    assert done.keys() == {(who.key, work) for who in size.contenders if not who.absent for work in who.works}
    assert {work for who, work in done if who == "engine"} == {*BACKUPS, CHECK, RESTORE}
    assert all(done["engine", work].added_bytes > 0 for work in BACKUPS)
    assert done["engine", "restore"].server_cpu_seconds > 0.1  # of sessions that have ended since
    assert size.database_bytes > size.copy_bytes
    assert [who.absent != "" for who in size.contenders if who.key == "restic"] == [shutil.which("restic") is None]
    assert all(who.absent for who in size.contenders if who.key == "pgbackrest")
    assert saved == [section]
