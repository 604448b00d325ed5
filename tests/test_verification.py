"""Verifications without Prefect: how long one may take, and what it measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import TimeLimitError
from holdfast.repository import Manifest, Repository, UserKey
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.storage import MemoryStorage
from holdfast.verification import Verification, VerificationOptions
from tests.sources.backing_up import back_up


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One backup of a function that has a large file."""
    source = tmp_path / "supabase"
    (source / "functions" / "hello").mkdir(parents=True)
    (source / "functions" / "hello" / "index.ts").write_bytes(b"x" * 100_000)
    (source / "config.toml").write_text("[functions.hello]\nverify_jwt = false\n")
    made = Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))
    back_up(made, FunctionDirectory(source))
    return made


def _verification(repository: Repository, tmp_path: Path, *, drill: bool = False) -> Verification:
    manifest: Manifest = repository.latest("function")
    return Verification(repository, manifest, "proven", VerificationOptions(tmp_path / "spool"), drill=drill)


def test_the_time_limit_stops_a_restore_of_files_and_proves_nothing(repository: Repository, tmp_path: Path) -> None:
    work = _verification(repository, tmp_path)
    proofs = repository.proofs(work.manifest.id)
    with work.folder_rehearsal("verify_1") as restore:
        restore.preflight()
        work.options = replace(work.options, time_limit_seconds=0)
        with pytest.raises(TimeLimitError, match="0 seconds"):
            restore.restore("function/hello")
    assert not list((tmp_path / "spool").glob("*"))
    assert repository.proofs(work.manifest.id) == proofs


@pytest.mark.parametrize("drill", [False, True])
def test_the_proof_tells_how_long_the_restore_alone_took(repository: Repository, tmp_path: Path, drill: bool) -> None:
    work = _verification(repository, tmp_path, drill=drill)
    with work.folder_rehearsal("verify_1") as restore:
        restore.preflight()
        for entry in restore.entries:
            restore.restore(entry.name)
        work.note_restored()
        work.judge_files(restore.compare(), restore)
    proof = work.conclude()
    assert proof.ok
    assert 0 < proof.figures["restoreSeconds"] <= proof.figures["seconds"]
    assert proof.figures["restoredBytes"] == work.manifest.size_bytes
    assert proof.figures.get("drill", False) is drill
