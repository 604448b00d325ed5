"""A backup of functions, configuration or secrets: what it holds, what it goes on without, and what ends it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.errors import (
    BusyError,
    HoldfastError,
    LeaseLostError,
    NotFoundError,
    SourceEmptyError,
    StorageDeniedError,
    StorageFullError,
    StorageUnreachableError,
    TimeLimitError,
)
from holdfast.repository import Manifest, Repository
from holdfast.source_backup import SourceBackup, SourceBackupOptions, purpose
from holdfast.sources.configuration.source import ConfigurationOptions, ConfigurationSource
from holdfast.sources.contract import Source
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.source import SecretsSource
from holdfast.sources.truth import TRUTH, read_document, read_truth
from holdfast.storage import LocalStorage
from tests.flows.sources import SECRET, make_configuration, make_env_file, make_functions
from tests.sources.backing_up import KEY, OPTIONS, back_up


class Failing(LocalStorage):
    """A storage in a folder that takes a number of chunks more, and then fails so."""

    chunks_left: int | None = None
    error: HoldfastError | None = None

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        if self.error is not None and name.startswith("chunks/"):
            self.chunks_left = (self.chunks_left or 0) - 1
            if self.chunks_left < 0:
                raise self.error
        super().put(name, data, replace=replace, bulk=bulk)


@pytest.fixture
def storage(tmp_path: Path) -> Failing:
    return Failing(tmp_path / "repository")


@pytest.fixture
def repository(storage: Failing) -> Iterator[Repository]:
    with closing(Repository.create(storage, key=KEY)) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_functions(tmp_path / "supabase")


@pytest.fixture
def functions(folder: Path) -> FunctionDirectory:
    return FunctionDirectory(folder)


def _configuration(folder: Path) -> ConfigurationSource:
    files = make_configuration(folder / "settings")
    return ConfigurationSource(
        ConfigurationOptions(folder, files=(f"{files}/*",), environment=("PIPELINE_*",)),
        backup_config=lambda: {"retention_days": {"value": 30}},
    )


def _ids(repository: Repository) -> list[str]:
    return [one.id for one in repository.backups()]


def _names(manifest: Manifest) -> list[tuple[str, str, str]]:
    return [(entry.name, entry.kind, entry.media) for entry in manifest.entries]


def test_each_function_is_an_entry_that_any_tar_reads_and_the_truth_has_every_file(
    repository: Repository, functions: FunctionDirectory, folder: Path
) -> None:
    manifest = back_up(repository, functions)
    tar = "application/x-tar"
    assert _names(manifest) == [
        ("project", "tar", tar),
        ("function/hello", "tar", tar),
        ("function/publish", "tar", tar),
        (TRUTH, TRUTH, "application/json"),
    ]
    assert manifest.source == functions.description
    truth = read_truth(repository, manifest)
    for name, part in truth.parts.items():
        with tarfile.open(fileobj=io.BytesIO(b"".join(repository.read(manifest.entry(name))))) as opened:
            assert opened.getnames() == [record.path for record in part.files]
    assert sorted(record.path for record in truth.files) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert truth.parts["function/hello"].facts["verify_jwt"] is False
    assert (truth.left_out, manifest.parameters) == ([], {"left_out": [], "left_out_count": 0})


def test_configuration_and_secrets_are_documents_and_files_and_hold_no_secret(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_REGION", "eu-central-1")
    monkeypatch.setenv("PIPELINE_TOKEN", SECRET)
    config = back_up(repository, _configuration(tmp_path))
    assert [entry.name for entry in config.entries] == ["environment", "files", "backup_config", TRUTH]
    assert read_document(repository, config.entry("environment")) == {"PIPELINE_REGION": "eu-central-1"}
    assert [(one.name, one.withheld) for one in read_truth(repository, config).left_out] == [("environment:PIPELINE_TOKEN", True)]
    env_file = EnvFile(make_env_file(tmp_path / "secrets.env"), name="env")
    with closing(SecretsSource([env_file], repository.secret_digest)) as secrets:
        known = back_up(repository, secrets)
    records = read_document(repository, known.entry("provider/env"))["records"]
    assert [record["name"] for record in records] == ["FEED_TOKEN", "MAIL_PASSWORD"]
    for manifest in (config, known):
        assert SECRET.encode() not in b"".join(b"".join(repository.read(entry)) for entry in manifest.entries)
        assert SECRET.encode() not in manifest.to_bytes()


def test_a_part_that_can_not_be_read_is_left_out_by_name_and_the_others_are_kept(
    repository: Repository, functions: FunctionDirectory, folder: Path, tmp_path: Path
) -> None:
    with (
        repository.lease(purpose(functions)) as lease,
        SourceBackup(repository, lease, functions, OPTIONS, job_id="backup_x") as backup,
    ):
        parts = backup.plan()
        shutil.rmtree(folder / "functions" / "hello")
        with pytest.raises(NotFoundError) as raised:
            backup.store("function/hello")
        for part in parts:
            if part != "function/hello":
                backup.store(part)
        backup.leave_out({"function/hello": raised.value})
        backup.store_truth()
        manifest = backup.commit()
    assert [entry.name for entry in manifest.entries] == ["project", "function/publish", TRUTH]
    (left_out,) = read_truth(repository, manifest).left_out
    assert left_out.name == "function/hello"
    assert "not there any more" in left_out.reason
    assert manifest.parameters == {"left_out": [str(left_out)], "left_out_count": 1}
    there, gone = EnvFile(make_env_file(tmp_path / "a.env"), name="a"), EnvFile(tmp_path / "gone.env", name="b")
    with closing(SecretsSource([there, gone], repository.secret_digest)) as secrets:
        known = back_up(repository, secrets)
    assert [entry.name for entry in known.entries] == ["provider/a", TRUTH]
    assert [one.name for one in read_truth(repository, known).left_out] == ["provider/b"]


def test_where_no_part_can_be_read_there_is_no_backup(repository: Repository, tmp_path: Path) -> None:
    gone = [EnvFile(tmp_path / f"{name}.env", name=name) for name in ("a", "b")]
    with closing(SecretsSource(gone, repository.secret_digest)) as secrets, pytest.raises(NotFoundError, match=r"a\.env"):
        back_up(repository, secrets)
    assert _ids(repository) == []


def test_what_functions_share_is_no_backup_where_none_of_them_can_be_read(
    repository: Repository, functions: FunctionDirectory, folder: Path
) -> None:
    with (
        repository.lease(purpose(functions)) as lease,
        SourceBackup(repository, lease, functions, OPTIONS, job_id="backup_x") as backup,
    ):
        parts = backup.plan()
        backup.store("project")
        shutil.rmtree(folder / "functions")
        failures: dict[str, HoldfastError] = {}
        for part in parts[1:]:
            with pytest.raises(NotFoundError) as raised:
                backup.store(part)
            failures[part] = raised.value
        with pytest.raises(NotFoundError, match="hello"):
            backup.leave_out(failures)
    assert _ids(repository) == []


def test_a_source_that_holds_nothing_is_refused_by_name_unless_that_is_allowed(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    bare = FunctionDirectory(tmp_path / "bare")
    with pytest.raises(SourceEmptyError, match="bare"):
        back_up(repository, bare)
    manifest = back_up(repository, bare, SourceBackupOptions(OPTIONS.compression, allow_empty=True))
    assert [entry.name for entry in manifest.entries] == [TRUTH]


@pytest.mark.parametrize("error", [StorageUnreachableError, StorageDeniedError, StorageFullError])
@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_storage_that_fails_ends_the_backup_rather_than_leave_functions_out(
    repository: Repository, storage: Failing, functions: FunctionDirectory, error: type[HoldfastError], chunks: int
) -> None:
    storage.error, storage.chunks_left = error("the storage fails", reason="it is tried"), chunks
    with pytest.raises(error, match="it is tried"):
        back_up(repository, functions)
    assert (_ids(repository), repository.leases()) == ([], [])
    storage.error = None
    manifest = back_up(repository, functions)
    assert read_truth(repository, manifest).left_out == []
    assert repository.check().ok


@pytest.mark.parametrize("moment", ["a part", "the truth", "the commit"])
def test_a_backup_whose_lease_was_lost_is_never_committed(
    repository: Repository, storage: Failing, functions: FunctionDirectory, moment: str
) -> None:
    with (
        repository.lease(purpose(functions)) as lease,
        SourceBackup(repository, lease, functions, OPTIONS, job_id="backup_x") as backup,
    ):

        def lose(now: str) -> None:
            if now == moment:
                for found in storage.list("leases"):
                    storage.delete(found.name)

        parts = backup.plan()
        backup.store(parts[0])
        lose("a part")
        for part in parts[1:]:
            backup.store(part)
        lose("the truth")
        backup.store_truth()
        lose("the commit")
        with pytest.raises(LeaseLostError, match="Nothing was committed"):
            backup.commit()
    assert _ids(repository) == []
    assert [back_up(repository, functions).id] == _ids(repository)


def test_a_backup_that_takes_too_long_is_stopped_in_the_middle_of_a_part(repository: Repository, folder: Path) -> None:
    (folder / "functions" / "hello" / "large.bin").write_bytes(os.urandom(6 << 20))
    functions = FunctionDirectory(folder)
    options = SourceBackupOptions(OPTIONS.compression, time_limit_seconds=0.3)
    told: list[str] = []

    def slowly(name: str) -> object:
        def tell(_: int) -> None:
            told.append(name)
            if name == "function/hello":
                time.sleep(0.35)

        return tell

    with (
        repository.lease(purpose(functions)) as lease,
        SourceBackup(repository, lease, functions, options, job_id="backup_x", tell_progress=slowly) as backup,  # type: ignore[arg-type]
        pytest.raises(TimeLimitError, match="BACKUP_DUMP_TIME_LIMIT_MINUTES"),
    ):
        backup.run()
    assert told[-1] == "function/hello", "parts were begun after the time was over"
    assert _ids(repository) == []


def test_of_two_backups_of_one_source_at_once_the_later_steps_back_and_another_source_goes_on(
    repository: Repository, functions: FunctionDirectory, tmp_path: Path
) -> None:
    other: Source = FunctionDirectory(make_functions(tmp_path / "other"))
    with (
        repository.lease(purpose(functions)) as lease,
        SourceBackup(repository, lease, functions, OPTIONS, job_id="backup_x") as first,
    ):
        with pytest.raises(BusyError, match="backup function directory"):
            back_up(repository, functions)
        beside = back_up(repository, other)
        made = first.run()
    assert set(_ids(repository)) == {made.id, beside.id}


def test_a_source_that_did_not_change_adds_no_chunk(repository: Repository, functions: FunctionDirectory, folder: Path) -> None:
    first = back_up(repository, functions)
    again = back_up(repository, functions)
    assert (again.new_chunks, again.entries) == (0, first.entries)
    (folder / "functions" / "hello" / "index.ts").write_text("changed")
    changed = back_up(repository, functions)
    assert {entry.name for entry in changed.entries if entry not in first.entries} == {"function/hello", TRUTH}


def test_killed_before_any_step_a_backup_leaves_none_and_the_next_one_is_whole(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_source_backup.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10
