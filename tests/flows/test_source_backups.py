"""Backups of functions, configuration and secrets metadata as flows: what is kept, what is left out by name, what is refused."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks.saving import register_and_save
from flows.backup_all import backup_all
from flows.config_backup import config_backup
from flows.function_backup import function_backup
from flows.restore import restore
from flows.secrets_backup import secrets_backup
from flows.verification import verification
from holdfast.errors import (
    BackupsFailedError,
    HoldfastError,
    NotFoundError,
    SourceEmptyError,
    TargetNotEmptyError,
)
from holdfast.jobs import new_job_id
from holdfast.sources.truth import read_document, read_truth
from tests.flows.conftest import Installation
from tests.flows.sources import SECRET, make_configuration, make_env_file, make_functions, tree

BACKUPS: dict[str, Callable[..., dict[str, Any]]] = {
    "function": function_backup,
    "config": config_backup,
    "secrets": secrets_backup,
}
every_type = pytest.mark.parametrize("kind", BACKUPS)


@pytest.fixture(scope="module")
def place(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that settings and blocks name: of functions, configuration and secrets, once there are any."""
    folder = tmp_path_factory.mktemp("sources")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKUP_FUNCTIONS_PATH", f"{folder}/pipeline/supabase")
        patch.setenv("BACKUP_CONFIG_FILES", f"{folder}/pipeline/settings/*")
        patch.setenv("BACKUP_CONFIG_ENV", "PIPELINE_*")
        patch.setenv("PIPELINE_REGION", "eu-central-1")
        patch.setenv("PIPELINE_API_TOKEN", SECRET)
        patch.setenv("BACKUP_SECRETS_ENV_FILE", f"{folder}/pipeline/secrets.env")
        register_and_save(installation.settings)
        yield folder


@pytest.fixture
def sources(place: Path) -> Iterator[Path]:
    """The same, with a small pipeline in it."""
    folder = place / "pipeline"
    make_functions(folder / "supabase")
    make_configuration(folder / "settings")
    make_env_file(folder / "secrets.env")
    yield folder
    shutil.rmtree(folder)


@every_type
@pytest.mark.usefixtures("sources")
def test_a_backup_is_in_the_repository_the_row_the_events_and_the_ui(installation: Installation, kind: str) -> None:
    made = BACKUPS[kind]()
    manifest = installation.repository.manifest(made["jobId"])
    assert (made["type"], made["status"], made["leftOut"]) == (kind, "completed", [])
    assert made["checksum"] == manifest.checksum
    assert made["sizeBytes"] == manifest.size_bytes > 0
    row = installation.row(made["jobId"])
    assert (row.type, row.status, row.checksum) == (kind, "completed", made["checksum"])
    events = installation.events(made["jobId"])
    assert events.keys() == {"holdfast.backup.started", "holdfast.backup.completed"}
    assert made["jobId"] in installation.artifacts(f"{kind}-backup-summary")[-1]
    tasks = installation.task_names(installation.flow_run(made["jobId"]).id)
    assert {"look at the source", "note the truth", "commit"} < tasks


@every_type
@pytest.mark.usefixtures("sources")
def test_each_level_of_verification_leaves_its_proof(installation: Installation, kind: str) -> None:
    backup_id = BACKUPS[kind]()["jobId"]
    for level in ("stored", "read", "restored", "proven"):
        found = verification(type=kind, level=level)
        assert (found["backupId"], found["ok"], found["problems"], found["verifiedLevel"]) == (backup_id, True, [], level)
    assert installation.repository.proofs(backup_id)[0].level == "proven"
    assert list((installation.home / "spool").iterdir()) == [], "what was restored to be looked at was left behind"


def test_functions_come_back_byte_for_byte_each_an_entry_of_its_own(installation: Installation, sources: Path) -> None:
    backup_id = function_backup()["jobId"]
    before = tree(sources / "supabase")
    entries = {entry.name for entry in installation.repository.manifest(backup_id).entries}
    assert entries == {"project", "function/hello", "function/publish", "truth"}
    shutil.rmtree(sources / "supabase")
    done = restore(type="function", target=str(sources / "supabase"))
    assert (done["status"], done["proven"], done["files"], done["kept"]) == ("completed", True, 5, None)
    assert tree(sources / "supabase") == before
    with installation.catalog() as catalog:
        row = catalog.restore(done["jobId"])
    assert row is not None
    assert (row.type, row.status, row.backup_id) == ("function", "completed", backup_id)


def test_a_restore_into_the_home_has_a_folder_of_its_own_there(installation: Installation, sources: Path) -> None:
    function_backup()
    done = restore(type="function", target="home")
    assert Path(done["target"]) == installation.home / "restored" / done["jobId"]
    assert tree(Path(done["target"])) == tree(sources / "supabase")
    shutil.rmtree(installation.home / "restored")


def test_what_is_live_is_refused_and_promote_takes_its_place_and_keeps_it(sources: Path) -> None:
    function_backup()
    live = sources / "supabase"
    before = tree(live)
    (live / "functions" / "hello" / "index.ts").write_text("broken")
    broken = tree(live)
    with pytest.raises(TargetNotEmptyError):
        restore(type="function", target=str(live))
    assert tree(live) == broken
    done = restore(type="function", target="live", mode="promote")
    assert tree(live) == before
    assert tree(Path(done["kept"])) == broken


def test_one_function_is_restored_and_the_others_stay_as_they_are(sources: Path) -> None:
    function_backup()
    live = sources / "supabase"
    before = tree(live)
    for slug in ("hello", "publish"):
        (live / "functions" / slug / "index.ts").write_text("broken")
    done = restore(type="function", target="live", mode="promote", only=["hello"])
    now = tree(live)
    assert now["functions/hello/index.ts"] == before["functions/hello/index.ts"]
    assert now["functions/publish/index.ts"][1] == b"broken"
    assert done["status"] == "completed"
    with pytest.raises(NotFoundError, match="no 'farewell'"):
        restore(type="function", target="live", mode="promote", only=["farewell"])


def test_what_looks_like_a_secret_is_left_out_of_the_configuration_and_named(installation: Installation, sources: Path) -> None:
    (sources / "settings" / "mail.toml").write_text(f'password = "{SECRET}"\n')
    backup_id = config_backup()["jobId"]
    repository = installation.repository
    manifest = repository.manifest(backup_id)
    truth = read_truth(repository, manifest)
    assert read_document(repository, manifest.entry("environment")) == {"PIPELINE_REGION": "eu-central-1"}
    assert "PIPELINE_API_TOKEN" in json.dumps(truth.parts["environment"].facts)
    assert "mail.toml" in json.dumps(truth.parts["files"].facts)
    assert {entry.name for entry in manifest.entries} >= {"files", "environment", "backup_config", "prefect", "truth"} - {
        "backup_config"
    }
    everything = b"".join(b"".join(repository.read(entry)) for entry in manifest.entries)
    assert SECRET.encode() not in everything


def test_the_configuration_goes_back_to_its_places_and_what_it_replaces_is_kept(sources: Path) -> None:
    config_backup()
    before = tree(sources / "settings")
    (sources / "settings" / "pipeline.toml").write_text("spoilt")
    (sources / "settings" / "feeds.yaml").unlink()
    done = restore(type="config", target="live", mode="in_place")
    assert tree(sources / "settings") == before
    assert done["kept"]
    assert any(path.read_bytes() == b"spoilt" for path in Path(done["kept"]).rglob("*") if path.is_file())
    (sources / "settings" / "pipeline.toml").write_text("edited since")
    done = restore(type="config", target="live", mode="in_place", only=["prefect"], dry_run=True)
    assert "changes" not in done, "only Prefect's own objects were wanted"
    assert done["prefect"]
    assert (sources / "settings" / "pipeline.toml").read_text() == "edited since"


def test_names_of_secrets_come_back_as_placeholders_and_no_value_is_anywhere(installation: Installation, sources: Path) -> None:
    backup_id = secrets_backup()["jobId"]
    repository = installation.repository
    manifest = repository.manifest(backup_id)
    everything = b"".join(b"".join(repository.read(entry)) for entry in manifest.entries)
    assert b"FEED_TOKEN" in everything
    assert SECRET.encode() not in everything
    (sources / "secrets.env").write_text("OTHER=1\n")
    done = restore(type="secrets", target="live", mode="in_place")
    text = (sources / "secrets.env").read_text()
    assert text.startswith("OTHER=1\n")
    assert {"FEED_TOKEN", "MAIL_PASSWORD"} <= {line.partition("=")[0] for line in text.splitlines()}
    assert SECRET not in text
    assert done["secrets"] == 2


def test_a_file_that_can_not_be_read_is_left_out_by_name_and_the_rest_is_kept(installation: Installation, sources: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    folder = sources / "supabase" / "functions" / "hello"
    with listening:
        listening.bind(str(folder / "debug.sock"))
        made = function_backup()
    assert made["status"] == "completed"
    (left_out,) = made["leftOut"]
    assert "functions/hello/debug.sock" in left_out
    assert installation.row(made["jobId"]).metadata["leftOut"] == [left_out]
    found = verification(type="function")
    assert found["ok"]
    assert any("debug.sock" in note for note in found["notes"])


def test_nothing_to_back_up_is_refused_unless_it_is_allowed(
    installation: Installation, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(sources / "supabase" / "functions")
    job_id = new_job_id("backup")
    with pytest.raises(SourceEmptyError, match="BACKUP_ALLOW_EMPTY"):
        function_backup(job_id=job_id)
    assert installation.row(job_id).status == "failed"
    monkeypatch.setenv("BACKUP_ALLOW_EMPTY", "true")
    assert function_backup()["status"] == "completed"


def test_a_source_that_is_gone_fails_by_name(installation: Installation, sources: Path) -> None:
    shutil.rmtree(sources / "supabase")
    job_id = new_job_id("backup")
    with pytest.raises(NotFoundError, match="supabase"):
        function_backup(job_id=job_id)
    row = installation.row(job_id)
    assert row.status == "failed"
    assert str(sources / "supabase") in (row.error_message or "")


@pytest.mark.usefixtures("sources")
def test_all_types_are_backed_up_at_once(installation: Installation) -> None:
    jobs = backup_all()
    assert [(job["type"], job["status"]) for job in jobs] == [
        (kind, "completed") for kind in ("database", "function", "config", "secrets")
    ]
    assert {installation.row(job["jobId"]).status for job in jobs} == {"completed"}


def test_of_all_types_one_that_fails_stops_no_other_and_the_result_says_which(installation: Installation, sources: Path) -> None:
    (sources / "supabase").rename(sources / "away")
    with pytest.raises(BackupsFailedError, match="1 of 4 backups failed: function") as raised:
        backup_all()
    jobs = {job["type"]: job for job in raised.value.found or []}
    assert {kind: job["status"] for kind, job in jobs.items()} == {
        "database": "completed",
        "function": "failed",
        "config": "completed",
        "secrets": "completed",
    }
    failed = jobs["function"]
    assert (failed["code"], str(failed["error"])[:10] != "") == (NotFoundError.code, True)
    assert installation.row(str(failed["jobId"])).status == "failed"


@pytest.mark.usefixtures("sources")
def test_an_unchanged_source_adds_next_to_nothing(installation: Installation) -> None:
    for kind, backup in BACKUPS.items():
        backup()
        again = installation.repository.manifest(backup()["jobId"])
        assert again.new_chunks <= 2, kind  # the truth, and what changes by itself


@pytest.mark.usefixtures("sources")
def test_no_value_of_a_secret_is_in_prefect_or_the_catalog(installation: Installation) -> None:
    jobs = backup_all()
    said: list[Any] = [installation.events(job["jobId"]) for job in jobs]
    said += [installation.row(job["jobId"]).metadata for job in jobs]
    said += [installation.logs(installation.flow_run(job["jobId"]).id) for job in jobs]
    said += [installation.artifacts(f"{kind}-backup-summary") for kind in BACKUPS]
    assert SECRET not in json.dumps(said, default=str)
    folders = [installation.home / "prefect", installation.home / "logs"]
    kept = b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())
    assert SECRET.encode() not in kept


@pytest.mark.parametrize(("kind", "mode"), [("function", "in_place"), ("config", "promote"), ("secrets", "promote")])
@pytest.mark.usefixtures("sources")
def test_a_mode_that_makes_no_sense_is_refused_in_words(kind: str, mode: str) -> None:
    BACKUPS[kind]()
    with pytest.raises(HoldfastError, match=mode):
        restore(type=kind, target="live", mode=mode)
