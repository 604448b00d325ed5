"""The whole story on every storage: back up, prove, change, back up again, check, forget, prune, bring back, compare.

Of a database and of functions, in one repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from examples.content_pipeline.generate import build, change
from holdfast.database_backup import BackupOptions, back_up_database
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.dump import DumpOptions
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
from holdfast.repository import Compression, Manifest, Proof, Repository, UserKey
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.storage import StorageSettings, open_storage
from holdfast.verification import Verification, VerificationOptions
from tests.flows.sources import make_functions
from tests.postgres.oracle import fingerprint
from tests.postgres.servers import drop_database, running_server
from tests.sources.backing_up import back_up, bring_back, verify
from tests.sources.files import seen
from tests.storage.servers import azurite_server, gcs_server, moto_server

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

KINDS = ("local", "s3", "azure", "gcs")
MEGABYTES = 12
OPTIONS = BackupOptions(Compression("zstd", 1), DumpOptions(table_stream_threshold_bytes=1 << 20))


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with running_server(18) as server:
        server.create_database("pipeline")
        build(server.url("pipeline"), megabytes=MEGABYTES)
        yield server


def settings_of(kind: str, folder: Path) -> StorageSettings:
    """Name an empty place on a real server process of that kind."""
    if kind == "local":
        return StorageSettings(type="local", path=folder / "repository")
    started = {"s3": moto_server, "azure": azurite_server, "gcs": gcs_server}[kind]()
    return started.new_storage().model_copy(update={"prefix": "production/content"})


def prove(repository: Repository, manifest: Manifest, server: EmbeddedServer, spool: Path) -> Proof:
    """Restore into a scratch database, compare with the source, leave the proof."""
    work = Verification(repository, manifest, "proven", VerificationOptions(spool))
    work.check()
    with work.rehearsal(server.url()) as restore:
        restored = restore.fill().proof
        assert restored is not None
        work.judge(restored)
    return work.conclude()


def refresh(source: DatabaseUrl) -> None:
    """Bring the materialized views up to date, as every restore leaves them."""
    with closing(connect(source)) as connection, connection.cursor() as cursor:
        cursor.execute("REFRESH MATERIALIZED VIEW content.activity; REFRESH MATERIALIZED VIEW content.activity_by_month")
        connection.commit()


def restored(repository: Repository, manifest: Manifest, target: DatabaseUrl, spool: Path) -> dict[str, tuple[int, str]]:
    """Bring a backup back as a new database, and tell what is in it."""
    DatabaseRestore(repository, manifest, target, RestoreOptions(spool_dir=spool)).run()
    try:
        return fingerprint(target.without_password())
    finally:
        drop_database(target)


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_story_holds_on(kind: str, server: EmbeddedServer, tmp_path: Path) -> None:
    key, _ = UserKey.generate()
    place = settings_of(kind, tmp_path)
    source, target = server.url("pipeline"), server.url(f"back_from_{kind}")

    functions = make_functions(tmp_path / "supabase")
    (functions / "functions" / "publish" / "map.bin").write_bytes(bytes(range(256)) * (5 << 12))

    with closing(Repository.create(open_storage(place), key=key)) as repository:
        old_functions = back_up(repository, FunctionDirectory(functions))
        functions_before = seen(functions)
        assert verify(repository, old_functions, "proven", tmp_path / "spool").ok
        first = back_up_database(repository, source, OPTIONS)
        before = fingerprint(source.without_password())
        assert prove(repository, first, server, tmp_path / "spool").ok
        again = back_up_database(repository, source, OPTIONS)
        assert again.stored_bytes < first.stored_bytes / 2, "tables that did not change were stored again"
        change(source, percent_appended=3.0, percent_rows_updated=0.0)
        refresh(source)
        second = back_up_database(repository, source, OPTIONS)
        after = fingerprint(source.without_password())
        assert before != after
        (functions / "functions" / "hello" / "index.ts").write_text("export default {}\n")
        new_functions = back_up(repository, FunctionDirectory(functions))
        functions_after = seen(functions)

    # Whoever opens it later finds the same, and of what was given up nothing is left.
    with closing(Repository.open(open_storage(place), key=key)) as repository:
        made = {old_functions.id, new_functions.id, first.id, again.id, second.id}
        assert {one.id for one in repository.backups()} == made
        assert repository.verified_level(first.id) == repository.verified_level(old_functions.id) == "proven"
        bring_back(repository, repository.manifest(old_functions.id), tmp_path / "old")
        assert seen(tmp_path / "old") == functions_before
        assert restored(repository, repository.manifest(first.id), target, tmp_path / "spool") == before
        repository.forget(first.id)
        repository.forget(again.id)
        repository.forget(old_functions.id)
        assert repository.prune(grace_seconds=0).chunks_deleted > 0
        report = repository.check()
        assert (report.ok, report.problems) == (True, [])
        assert set(report.backups) == {second.id, new_functions.id}
        bring_back(repository, repository.latest("function"), tmp_path / "old", mode="promote")
        assert seen(tmp_path / "old") == functions_after
        assert verify(repository, repository.latest("function"), "proven", tmp_path / "spool").ok
        assert restored(repository, repository.latest("database"), target, tmp_path / "spool") == after
        assert prove(repository, repository.latest("database"), server, tmp_path / "spool").ok
        assert repository.leases() == []
