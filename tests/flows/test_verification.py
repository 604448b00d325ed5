"""Verifications as flows: each level leaves its proof, and damage is named, told and healed."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from flows.database_backup import database_backup
from flows.verification import verification
from holdfast.errors import NotFoundError, SettingsError, VerificationFailedError
from holdfast.opening import scratch_server
from holdfast.postgres.connection import connect
from tests.flows.conftest import Installation


@pytest.fixture(scope="module")
def backup_id(installation: Installation) -> str:
    """The newest backup."""
    return str(database_backup()["jobId"])


@pytest.mark.parametrize("level", ["stored", "read", "restored", "proven"])
def test_each_level_leaves_its_proof_and_raises_what_the_row_says(installation: Installation, backup_id: str, level: str) -> None:
    found = verification(level=level)
    assert (found["backupId"], found["level"], found["ok"], found["problems"]) == (backup_id, level, True, [])
    proof = installation.repository.proofs(backup_id)[0]
    assert (proof.level, proof.ok) == (level, True)
    assert installation.row(backup_id).metadata["verifiedLevel"] == level == found["verifiedLevel"]
    assert installation.events(found["jobId"])["holdfast.verification.completed"]["level"] == level
    assert backup_id in installation.artifacts("database-verification-summary")[-1]
    assert _databases(installation) == {"holdfast", "postgres"}, "a scratch database was left behind"


def test_all_parts_of_the_chunks_together_prove_that_they_can_be_read(installation: Installation) -> None:
    backup_id = database_backup()["jobId"]
    levels = [verification(backup_id=backup_id, level="read", subset=f"{part}/3")["verifiedLevel"] for part in (1, 2, 3)]
    assert levels == ["stored", "stored", "read"]


def test_a_backup_that_does_not_exist_is_not_found(installation: Installation) -> None:
    with pytest.raises(NotFoundError, match="backup_1_none"):
        verification(backup_id="backup_1_none", level="stored")
    with pytest.raises(SettingsError, match="3/2"):
        verification(level="read", subset="3/2")


def test_damage_fails_the_verification_by_name_and_the_next_backup_heals_it(installation: Installation) -> None:
    backup_id = database_backup()["jobId"]
    chunk = max(_chunks(installation), key=lambda path: path.stat().st_size)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(VerificationFailedError, match=chunk.name) as raised:
        verification(level="proven")
    found = raised.value.found or {}
    assert (found["ok"], found["backupId"], found["level"]) == (False, backup_id, "proven")
    assert any(chunk.name in problem for problem in found["problems"])  # type: ignore[attr-defined]
    proof = installation.repository.proofs(backup_id)[0]
    assert (proof.ok, proof.level) == (False, "proven")
    assert installation.row(backup_id).metadata["verifiedLevel"] is None
    told = installation.events(str(found["jobId"]))["holdfast.verification.failed"]
    assert told["code"] == VerificationFailedError.code
    assert chunk.name in installation.artifacts("database-verification-problems")[-1]
    assert _databases(installation) == {"holdfast", "postgres"}
    database_backup()
    assert verification(level="proven")["verifiedLevel"] == "proven"
    assert verification(backup_id=backup_id, level="read")["verifiedLevel"] == "read"


def _chunks(installation: Installation) -> list[Any]:
    return [path for path in (installation.home / "repository" / "chunks").rglob("*") if path.is_file()]


def _databases(installation: Installation) -> set[str]:
    with closing(connect(scratch_server(installation.settings))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname::text FROM pg_database WHERE NOT datistemplate")
        return {name for (name,) in cursor.fetchall()}
