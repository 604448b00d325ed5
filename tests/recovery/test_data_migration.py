"""Data moved to another place: all of it is there and compared, what was there is kept, and a failure changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import (
    MigrationDiffersError,
    NotFoundError,
    RefusedError,
    SettingsError,
    SourceFailedError,
    TargetNotEmptyError,
    TimeLimitError,
)
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.recovery.migrating import database as migrating
from holdfast.recovery.step_type import Outcome
from holdfast.recovery.steps import problems_of
from holdfast.repository import Repository
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.storage import LocalStorage
from tests.postgres import oracle
from tests.postgres.restoring import EVERYTHING, TOOLS, databases, load_sql, make_database, rows
from tests.postgres.servers import drop_database, running_server
from tests.recovery.restoring_world import RestoringWorld, step_of, type_and_parameters, work_on
from tests.repository.replicas import flipped
from tests.sources.backing_up import KEY, back_up


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with running_server(18) as found:
        yield found


@pytest.fixture(scope="module")
def source(server: EmbeddedServer) -> DatabaseUrl:
    """A small database."""
    url = make_database(server.url(), "shop")
    rows(url, "CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 300) AS g; CREATE SEQUENCE numbers")
    return url


@pytest.fixture
def destination(server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """Where nothing is yet; whatever a test makes of its name is dropped after it."""
    yield server.url("moved")
    for name in databases(server.url()):
        if name.startswith(("moved", "holdfast_scratch")):
            drop_database(server.url(name))


@pytest.fixture
def world(tmp_path: Path, server: EmbeddedServer) -> RestoringWorld:
    return RestoringWorld(tmp_path, server.url(), BACKUP_SCRATCH_URL=server.url().without_password())


def migrate(world: Any, kind: str, source: object, destination: object, *, seconds: float = 60, **about: Any) -> Outcome:
    step = step_of("data_migration", source=str(source), destination=str(destination), migrationType=kind)
    kind_of_step, read = type_and_parameters(step)
    assert kind_of_step.foresee(work_on(world, step, **about), read)
    done: Outcome = kind_of_step.run(work_on(world, step, seconds=seconds, **about), read)
    return done


def undo(world: Any, kind: str, source: object, destination: object, done: Outcome) -> Outcome:
    step = step_of("data_migration", source=str(source), destination=str(destination), migrationType=kind)
    kind_of_step, read = type_and_parameters(step)
    assert done.undo is not None
    undone = kind_of_step.undo(work_on(world, step), read, done.undo)
    assert undone is not None
    return undone


def test_a_database_is_brought_whole_and_an_undo_takes_only_its_name_away(
    world: RestoringWorld, server: EmbeddedServer, destination: DatabaseUrl
) -> None:
    source = make_database(server.url(), "everything")
    load_sql(source, EVERYTHING)
    world.settings = world.settings.model_copy(update={"proof": "content"})
    done = migrate(world, "database", source, destination)
    assert done.output["contentCompared"]
    assert done.output["largeObjects"] > 0
    oracle.assert_same(TOOLS, source.without_password(), destination.without_password())
    undone = undo(world, "database", source, destination, done).output["undone"]
    assert destination.database not in databases(source)
    assert undone in databases(source)


def test_a_database_is_only_brought_to_where_nothing_is(
    world: RestoringWorld, source: DatabaseUrl, destination: DatabaseUrl
) -> None:
    make_database(destination, destination.database)
    rows(destination, "CREATE TABLE orders AS SELECT 1 AS id")
    before = databases(destination)
    with pytest.raises(TargetNotEmptyError):
        migrate(world, "database", source, destination)
    with pytest.raises(SettingsError, match="the same database"):
        migrate(world, "database", source, f"{source}&application_name=other")
    assert databases(destination) == before
    rows(destination, "DROP TABLE orders")
    assert migrate(world, "database", source, destination).output["rows"] > 0


def test_what_does_not_compare_gets_no_name(
    world: RestoringWorld, source: DatabaseUrl, destination: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Losing(migrating.Script):
        """Loses a row on its way, as a bug of ours could."""

        def run_data(self, source: Any) -> None:
            super().run_data(source)
            self.execute("DELETE FROM public.orders WHERE id = 7")

    monkeypatch.setattr(migrating, "Script", Losing)
    before = databases(destination)
    with pytest.raises(MigrationDiffersError, match="rows, the source had"):
        migrate(world, "database", source, destination)
    assert databases(destination) == before


def test_a_migration_of_a_database_that_takes_too_long_leaves_nothing(
    world: RestoringWorld, source: DatabaseUrl, destination: DatabaseUrl
) -> None:
    before = databases(destination)
    with closing(connect(source)) as blocker, blocker.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimeLimitError):
            migrate(world, "database", source, destination, seconds=1)
    assert databases(destination) == before


def test_a_drill_brings_a_database_into_scratch_and_drops_it(
    world: RestoringWorld, source: DatabaseUrl, destination: DatabaseUrl
) -> None:
    before = databases(destination)
    done = migrate(world, "database", source, destination, mode="drill")
    assert (done.output["rows"] > 0, done.undo) == (True, None)
    assert databases(destination) == before


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    folder = tmp_path / "supabase"
    (folder / "functions" / "hello").mkdir(parents=True)
    (folder / "functions" / "hello" / "index.ts").write_text("Deno.serve()\n")
    (folder / "config.toml").write_text("[functions.hello]\nverify_jwt = false\n")
    (folder / "functions" / "hello" / "link.ts").symlink_to("index.ts")
    (folder / "config.toml").chmod(0o640)
    folder.chmod(0o700)
    return folder


def test_a_repository_is_brought_with_all_its_backups(world: RestoringWorld, functions: Path, tmp_path: Path) -> None:
    first = LocalStorage(tmp_path / "first")
    world.repository = Repository.create(first, key=KEY)
    manifest = back_up(world.repository, FunctionDirectory(functions))
    second = f"file://{tmp_path}/second"
    assert migrate(world, "repository", f"file://{tmp_path}/first", second, mode="drill").output["backups"] == 1
    assert not (tmp_path / "second").exists()
    assert list((world.settings.home / "spool").iterdir()) == []
    done = migrate(world, "repository", f"file://{tmp_path}/first", second)
    assert (done.output["backups"], done.output["proven"], done.undo) == (1, True, None)
    copy = Repository.open(LocalStorage(tmp_path / "second"), key=KEY)
    assert copy.manifest(manifest.id) == manifest
    assert copy.check(level="read").ok
    with pytest.raises(NotFoundError):
        migrate(world, "repository", f"file://{tmp_path}/nowhere", second)


def test_a_repository_that_is_damaged_is_not_said_to_be_brought(world: RestoringWorld, functions: Path, tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "first")
    world.repository = Repository.create(storage, key=KEY)
    back_up(world.repository, FunctionDirectory(functions))
    chunk = max(storage.list("chunks"), key=lambda one: one.size_bytes).name
    storage.put(chunk, flipped(storage.get(chunk)), replace=True)
    with pytest.raises(MigrationDiffersError, match="does not hold all"):
        migrate(world, "repository", f"file://{tmp_path}/first", f"file://{tmp_path}/second")


def test_a_folder_is_brought_and_what_was_there_is_kept_for_an_undo(
    world: RestoringWorld, functions: Path, tmp_path: Path
) -> None:
    place = tmp_path / "elsewhere"
    done = migrate(world, "directory", functions, place)
    assert tree(place) == tree(functions)
    assert (done.output["files"], done.output["kept"]) == (2, None)
    (functions / "config.toml").write_text("changed")
    done = migrate(world, "directory", functions, place)
    assert (place / "config.toml").read_text() == "changed"
    assert (Path(done.output["kept"]) / "config.toml").read_text() != "changed"
    undo(world, "directory", functions, place, done)
    assert (place / "config.toml").read_text() != "changed"
    assert {one.name.partition("_")[0] for one in tmp_path.iterdir()} == {"supabase", "elsewhere"}


def test_a_folder_that_can_t_be_read_or_lies_within_the_other_is_refused(
    world: RestoringWorld, functions: Path, tmp_path: Path
) -> None:
    place = tmp_path / "elsewhere"
    with pytest.raises(RefusedError, match="lies within"):
        migrate(world, "directory", functions, functions / "functions" / "copy")
    with pytest.raises(NotFoundError):
        migrate(world, "directory", tmp_path / "nowhere", place)
    step = step_of("data_migration", source=str(tmp_path / "nowhere"), destination=str(place), migrationType="directory")
    kind_of_step, read = type_and_parameters(step)
    assert kind_of_step.foresee(work_on(world, step), read) == [f"fail, for there is no folder {tmp_path / 'nowhere'}"]
    os.mkfifo(functions / "pipe")
    with pytest.raises(SourceFailedError, match="pipe"):
        migrate(world, "directory", functions, place)
    assert [one.name for one in tmp_path.iterdir() if "elsewhere" in one.name] == []


def test_a_drill_copies_a_folder_into_scratch(world: RestoringWorld, functions: Path, tmp_path: Path) -> None:
    done = migrate(world, "directory", functions, tmp_path / "elsewhere", mode="drill")
    assert done.output["files"] == 2
    assert not (tmp_path / "elsewhere").exists()
    assert list((world.settings.home / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "source", "problem"),
    [
        ("database", "postgresql://a:secret-of-mine@h/d", "may hold no password"),
        ("repository", "s3://key:secret-of-mine@bucket/x", "may hold no password"),
        ("directory", "relative/path", "absolute path"),
        ("table", "/srv", "'database', 'repository' or 'directory'"),
        ("directory", "/there", "are the same"),
    ],
)
def test_what_can_t_be_migrated_is_said_when_the_plan_is_read(kind: str, source: str, problem: str) -> None:
    (said,) = problems_of(step_of("data_migration", source=source, destination="/there", migrationType=kind))
    assert problem in said
    assert "secret-of-mine" not in said


def tree(folder: Path) -> dict[str, tuple[int, bytes | str | None]]:
    found: dict[str, tuple[int, bytes | str | None]] = {".": (folder.stat().st_mode, None)}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found
