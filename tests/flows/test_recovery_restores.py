"""Steps that bring backups back, inside a task of a plan's flow: each restore is a job, and only what is in trouble changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task

from blocks.saving import CONFIGURATION, FUNCTIONS, register_and_save
from flows.database_backup import database_backup
from holdfast.errors import TimeLimitError
from holdfast.recovery.step_type import Outcome, Work
from holdfast.recovery.verdict import Verdict
from holdfast.repository import Manifest
from holdfast.storage.opening import open_storage
from orchestration.opening import repository_to_read
from orchestration.recovery.world import LiveWorld
from orchestration.source_opening import open_configuration, open_functions, open_secrets
from tests.flows.conftest import PASSWORD, Installation
from tests.flows.sources import make_configuration, make_env_file, make_functions, tree
from tests.postgres.servers import drop_database
from tests.recovery.restoring_world import step_of, type_and_parameters, work_on
from tests.sources.backing_up import back_up
from tests.test_checking import damage


@flow(name="as a plan does", persist_result=False)
def in_a_plan(step: dict[str, Any], about: dict[str, Any], undo: dict[str, Any] | None = None) -> Outcome:
    """Carry out one step as a plan's flow does: as a task, with the repository that is open already."""
    settings = about.pop("settings")
    with repository_to_read("holdfast-storage", "holdfast-key", settings) as repository:
        world = LiveWorld(settings, repository)
        made = step_of("backup_restore", **step)
        return carry_out(work_on(world, made, **about), undo)


@task(persist_result=False)
def carry_out(work: Work, undo: dict[str, Any] | None) -> Outcome:
    kind, parameters = type_and_parameters(work.step)
    done = kind.run(work, parameters) if undo is None else kind.undo(work, parameters, undo)
    assert done is not None
    return done


def bring_back(installation: Installation, kind: str, verdict: Verdict | None = None, **about: Any) -> Outcome:
    about |= {"settings": installation.settings, "verdicts": {kind: verdict} if verdict else {}}
    return in_a_plan({"backupType": kind}, about)


def undo(installation: Installation, kind: str, done: Outcome) -> Outcome:
    return in_a_plan({"backupType": kind}, {"settings": installation.settings}, done.undo)


@pytest.fixture(scope="module")
def sources(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Functions, configuration and secrets beside the database, all backed up."""
    folder = tmp_path_factory.mktemp("sources")
    make_functions(folder / "supabase")
    make_configuration(folder / "settings")
    make_env_file(folder / "secrets.env")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKUP_FUNCTIONS_PATH", f"{folder}/supabase")
        patch.setenv("BACKUP_CONFIG_FILES", f"{folder}/settings/*")
        patch.setenv("BACKUP_SECRETS_ENV_FILE", f"{folder}/secrets.env")
        register_and_save(installation.settings)
        repository = installation.repository
        for source in (
            open_functions(FUNCTIONS),
            open_configuration(CONFIGURATION, "holdfast-key", installation.settings, repository),
            open_secrets(None, installation.settings, repository),
        ):
            back_up(repository, source)
        yield folder


@pytest.fixture(scope="module")
def backups(installation: Installation) -> list[Manifest]:
    """Two backups of the database, the newer first; the older has a tag less."""
    older = database_backup()["jobId"]
    installation.sql("INSERT INTO tags VALUES (51, 'newer')")
    newer = database_backup()["jobId"]
    installation.sql("DELETE FROM tags WHERE id = 51")
    return [installation.repository.manifest(one) for one in (newer, older)]


def test_a_drill_proves_the_newest_backup_and_nothing_live_changes(installation: Installation, backups: list[Manifest]) -> None:
    done = bring_back(installation, "database", mode="drill")
    assert done.output["backupId"] == backups[0].id
    assert done.output["restoreSeconds"] > 0
    assert installation.repository.proofs(backups[0].id)[0].level == "proven"
    assert installation.sql("SELECT count(*) FROM tags") == [(50,)]
    assert {"holdfast.verification.completed"} < set(installation.events(done.output["verificationId"]))


def test_a_damaged_database_is_promoted_and_an_undo_swaps_back(installation: Installation, backups: list[Manifest]) -> None:
    done = bring_back(installation, "database", Verdict("database", "damaged", "it can't be read"))
    try:
        assert installation.sql("SELECT count(*) FROM tags") == [(51,)]
        with installation.catalog() as catalog:
            row = catalog.restore(done.output["restoreId"])
        assert row is not None
        assert (row.status, row.backup_id, row.metadata["kept"]) == ("completed", backups[0].id, done.output["kept"])
        assert PASSWORD not in str(row)
        assert PASSWORD not in str(done)
        assert "holdfast.restore.completed" in installation.events(done.output["restoreId"])
        tasks = installation.task_names(row.metadata["flowRunId"])
        assert {"restore rows", "compare with the source's truth", "take its name"} < tasks
        undone = undo(installation, "database", done).output["undone"]
        assert installation.sql("SELECT count(*) FROM tags") == [(50,)]
        assert installation.sql("SELECT count(*) FROM tags", database=undone) == [(51,)]
    finally:
        for name in installation.sql("SELECT datname::text FROM pg_database WHERE datname LIKE 'pipeline\\_%'"):
            drop_database(installation.source.with_database(name[0]))


def test_where_the_newest_backup_is_damaged_the_older_comes_back_and_the_newest_is_known_to_be_bad(
    installation: Installation, backups: list[Manifest]
) -> None:
    newer, older = backups
    damage(open_storage(installation.settings.storage_settings), installation.repository, newer, "base")
    drop_database(installation.source)
    done = bring_back(installation, "database", Verdict("database", "lost", "it is gone"))
    assert installation.sql("SELECT count(*) FROM tags") == [(50,)]
    assert (done.output["backupId"], [one["backupId"] for one in done.output["passedOver"]]) == (older.id, [newer.id])
    assert installation.repository.proof_index().is_bad(newer)
    assert any(newer.id in note and "did not pass its check" in note for note in done.notes)
    installation.repository.forget(newer.id)  # so that other tests of this home find no bad one


def test_a_step_without_time_leaves_a_failed_job_and_nothing_else(installation: Installation, backups: list[Manifest]) -> None:
    assert backups
    with pytest.raises(TimeLimitError):
        bring_back(installation, "database", Verdict("database", "damaged", "it can't be read"), seconds=0)
    assert installation.sql("SELECT datname::text FROM pg_database WHERE datname ~ '^(pipeline_|holdfast_scratch)'") == []


def test_only_the_function_that_fails_comes_back_and_an_undo_brings_back_what_was_there(
    installation: Installation, sources: Path
) -> None:
    live = sources / "supabase"
    before = tree(live)
    for slug in ("hello", "publish"):
        (live / "functions" / slug / "index.ts").write_text("broken")
    broken = tree(live)
    verdict = Verdict("function", "failing", "hello answers with errors", affected=("hello", "unheard-of"))
    done = bring_back(installation, "function", verdict)
    now = tree(live)
    assert now["functions/hello/index.ts"] == before["functions/hello/index.ts"]
    assert now["functions/publish/index.ts"][1] == b"broken"
    assert any("unheard-of" in note for note in done.notes)
    undo(installation, "function", done)
    assert tree(live) == broken


def test_only_the_file_that_is_corrupt_is_put_back_and_an_undo_brings_back_what_was_there(
    installation: Installation, sources: Path
) -> None:
    live = sources / "settings"
    before = tree(live)
    (live / "pipeline.toml").write_text("title = ")
    (live / "feeds.yaml").write_text("feeds: []\n")
    broken = tree(live)
    verdict = Verdict("config", "damaged", "it can't be read", affected=(str(live / "pipeline.toml"), "environment:REGION"))
    done = bring_back(installation, "config", verdict)
    now = tree(live)
    assert (now["pipeline.toml"], now["feeds.yaml"]) == (before["pipeline.toml"], broken["feeds.yaml"])
    assert any("environment:REGION was not put back" in note for note in done.notes)
    undo(installation, "config", done)
    assert tree(live) == broken


def test_names_of_secrets_that_are_gone_are_made_again_with_placeholders(installation: Installation, sources: Path) -> None:
    file = sources / "secrets.env"
    kept = file.read_text().replace("FEED_TOKEN", "OTHER")
    file.write_text(kept)
    verdict = Verdict("secrets", "compromised", "one was seen in a log")
    done = bring_back(installation, "secrets", verdict)
    assert [one.rpartition("/")[2] for one in done.output["created"]] == ["FEED_TOKEN"]
    assert (done.needed, done.undo) == (True, None)
    assert kept.strip() in file.read_text()
    assert not bring_back(installation, "secrets", verdict).needed
