"""Checks and drills as flows: damage is named, told, healed; every type comes back from its newest backup, and is timed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client

from blocks.saving import register_and_save
from flows.config_backup import config_backup
from flows.database_backup import database_backup
from flows.function_backup import function_backup
from flows.recovery_drill import recovery_drill
from flows.replication import replication
from flows.repository_check import repository_check
from flows.restore import restore
from flows.verification import verification
from holdfast.errors import BusyError, CheckFailedError, DamagedError, DrillFailedError, VerificationFailedError
from holdfast.look import look_over
from holdfast.opening import embedded_server
from holdfast.postgres.connection import connect
from holdfast.process_identity import is_known_dead_holder
from holdfast.repository import names
from orchestration import events
from orchestration.declared import declared
from orchestration.deployments import deploy, remove
from tests.flows.conftest import Installation
from tests.flows.sources import make_configuration, make_functions, tree
from tests.repository.replicas import flipped

TYPES = ["database", "function", "config"]

CUT_SHORT = """
import time
from holdfast.postgres.restore import DatabaseRestore

def analyze(restore):
    print("analyzing", flush=True)
    time.sleep(600)

DatabaseRestore.analyze = analyze
from flows.recovery_drill import recovery_drill
recovery_drill(types=["database"])
"""


@pytest.fixture(scope="module")
def sources(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Functions and configuration beside the database; secrets are off."""
    folder = tmp_path_factory.mktemp("sources")
    make_functions(folder / "supabase")
    make_configuration(folder / "settings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKUP_FUNCTIONS_PATH", f"{folder}/supabase")
        patch.setenv("BACKUP_CONFIG_FILES", f"{folder}/settings/*")
        patch.setenv("BACKUP_READ_WITHIN_DAYS", "1")
        register_and_save(installation.settings)
        yield folder


@pytest.fixture(scope="module")
def backups(sources: Path) -> dict[str, str]:
    """The newest backup of each type."""
    del sources
    made = {"database": database_backup, "function": function_backup, "config": config_backup}
    return {kind: str(back_up()["jobId"]) for kind, back_up in made.items()}


def test_a_check_reads_everything_in_time_and_leaves_what_it_proved(installation: Installation, backups: dict[str, str]) -> None:
    found = repository_check()
    assert (found["type"], found["status"], found["ok"], found["bad"]) == ("check", "completed", True, [])
    assert (found["part"], found["problems"]) == ("1/1", [])
    assert found["backups"] == len(installation.repository.backups())
    assert found["chunksRead"] > 0
    assert [installation.repository.verified_level(one) for one in backups.values()] == ["read"] * 3
    assert installation.row(backups["database"]).metadata["verifiedLevel"] == "read"
    assert installation.events(found["jobId"])["holdfast.check.completed"]["part"] == "1/1"
    assert "all is there" in installation.artifacts("check-summary")[-1]
    before = [len(installation.repository.proofs(one)) for one in backups.values()]
    repository_check()
    assert [len(installation.repository.proofs(one)) for one in backups.values()] == before


def test_a_drill_brings_every_type_back_times_it_and_leaves_nothing_but_proofs(
    installation: Installation, sources: Path, backups: dict[str, str]
) -> None:
    live = _live(installation, sources)
    found = recovery_drill()
    assert (found["type"], found["status"], found["ok"]) == ("drill", "completed", True)
    assert [(one["type"], one["backupId"], one["ok"], one["problems"]) for one in found["types"]] == [
        (kind, backups[kind], True, []) for kind in TYPES
    ]
    repository = installation.repository
    for one in found["types"]:
        proof = repository.proofs(one["backupId"])[0]
        assert (proof.level, proof.ok, proof.figures["drill"]) == ("proven", True, True)
        assert proof.figures["restoreSeconds"] == one["seconds"] > 0
        assert proof.figures["restoredBytes"] == one["sizeBytes"] == repository.manifest(one["backupId"]).size_bytes
    assert found["seconds"] == pytest.approx(sum(one["seconds"] for one in found["types"]), abs=0.01)
    measured = look_over(installation.settings, repository).of("database").restore
    assert measured is not None
    assert (measured.drill, measured.backup_id) == (True, backups["database"])
    assert installation.events(found["jobId"])["holdfast.drill.completed"]["seconds"] == found["seconds"]
    assert "database" in installation.artifacts("drill-types")[-1]
    assert _live(installation, sources) == live
    _require_nothing_left(installation)


def test_a_verification_measures_the_restore_alone(installation: Installation, backups: dict[str, str]) -> None:
    figures = verification(level="restored", backup_id=backups["database"])["figures"]
    assert 0 < figures["restoreSeconds"] < figures["seconds"]
    assert figures["restoredBytes"] == installation.repository.manifest(backups["database"]).size_bytes
    assert "drill" not in figures


def test_a_type_that_does_not_come_back_hinders_no_other_and_the_drill_says_which(
    installation: Installation, sources: Path, backups: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.sql("CREATE ROLE may_make_nothing LOGIN")
    monkeypatch.setenv("BACKUP_SCRATCH_URL", installation.source.without_password().replace("postgres@", "may_make_nothing@"))
    live = _live(installation, sources)
    proofs = len(installation.repository.proofs(backups["database"]))
    with pytest.raises(DrillFailedError, match="database") as raised:
        recovery_drill()
    found: dict[str, Any] = raised.value.found or {}
    assert [(one["type"], one["ok"]) for one in found["types"]] == [("database", False), ("function", True), ("config", True)]
    assert len(installation.repository.proofs(backups["database"])) == proofs, "what could not be tried proves nothing"
    assert installation.events(found["jobId"])["holdfast.drill.failed"]["code"] == DrillFailedError.code
    assert _live(installation, sources) == live
    installation.sql("DROP ROLE may_make_nothing")
    _require_nothing_left(installation)


def test_a_type_without_a_good_backup_fails_the_drill(installation: Installation, backups: dict[str, str]) -> None:
    del backups, installation
    with pytest.raises(DrillFailedError, match="no good secrets backup") as raised:
        recovery_drill(types=["secrets", "config"])
    assert [one["ok"] for one in (raised.value.found or {})["types"]] == [True, False]  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["told to end", "killed"])
def test_a_drill_that_is_cut_short_leaves_nothing_that_the_next_one_does_not_clear_away(
    installation: Installation, backups: dict[str, str], number: int
) -> None:
    proofs = len(installation.repository.proofs(backups["database"]))
    with subprocess.Popen([sys.executable, "-c", CUT_SHORT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "analyzing\n" in process.stdout
        assert _scratch_databases(installation)
        process.send_signal(number)
        process.communicate(timeout=60)
    if number == signal.SIGKILL:
        recovery_drill(types=["database"])
        proofs += 1
    assert len(installation.repository.proofs(backups["database"])) == proofs
    _require_nothing_left(installation)


def test_two_checks_take_turns(installation: Installation, backups: dict[str, str]) -> None:
    del backups
    with installation.repository.lease("check"), pytest.raises(BusyError, match="check"):
        repository_check()


def test_damage_fails_the_check_marks_who_needs_it_and_asks_for_one_fresh_backup(installation: Installation) -> None:
    backup_id = str(function_backup()["jobId"])
    chunk = _damage(installation, backup_id)
    with pytest.raises(CheckFailedError, match=chunk) as raised:
        repository_check()
    found: dict[str, Any] = raised.value.found or {}
    assert backup_id in found["bad"]
    assert set(found["bad"]) <= {one.id for one in installation.repository.backups("function")}
    metadata = installation.row(backup_id).metadata
    assert (metadata["bad"], metadata["verifiedLevel"]) == (True, None)
    told = installation.events(found["jobId"])
    assert told["holdfast.check.failed"]["code"] == CheckFailedError.code
    assert told["holdfast.backup.bad"]["backupIds"][0] == backup_id
    assert chunk in str(installation.artifacts("check-problems")[-1])
    with pytest.raises(DamagedError, match=f"{backup_id}, is known to be bad"):
        restore(type="function", target=str(installation.home / "never"))
    with pytest.raises(CheckFailedError) as raised:
        repository_check()
    again = installation.events(str((raised.value.found or {})["jobId"]))
    assert "holdfast.backup.bad_again" in again
    assert "holdfast.backup.bad" not in again
    function_backup()
    assert repository_check()["ok"]
    assert installation.row(backup_id).metadata["bad"] is False


def test_what_a_replica_has_is_healed_and_no_backup_becomes_bad(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_REPLICAS", (tmp_path / "replica").as_uri())
    backup_id = str(function_backup()["jobId"])
    replication()
    chunk = _damage(installation, backup_id)
    found = repository_check()
    assert (found["ok"], found["bad"], found["objectsHealed"]) == (True, [], 1)
    assert chunk in found["healed"][0]
    assert chunk in installation.artifacts("check-summary")[-1]
    assert installation.repository.check().ok


def test_a_verification_that_finds_a_backup_bad_asks_for_a_fresh_one_too(installation: Installation) -> None:
    backup_id = str(function_backup()["jobId"])
    _damage(installation, backup_id)
    with pytest.raises(VerificationFailedError) as raised:
        verification(type="function")
    told = installation.events(str((raised.value.found or {})["jobId"]))
    assert told["holdfast.backup.bad"]["backupIds"] == [backup_id]
    function_backup()
    assert repository_check()["ok"]


def test_where_deployments_are_a_backup_that_was_found_bad_starts_one_fresh_one_of_its_type(
    installation: Installation, backups: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [one for one in declared(None) if one.base in ("function-backup", "config-backup")]  # all of them take their time
    monkeypatch.setattr("orchestration.deployments.declared", lambda _: two)
    deploy(installation.settings)
    try:
        for name, kind in (("backup.bad_again", "config"), ("backup.bad", "function")):
            events.emit(name, job_id="check_1", type=kind, payload={"backupIds": [backups[kind]]})
        with get_client(sync_client=True) as client:
            started = _started_by_events(client)
        assert started == ["function-backup"]
    finally:
        remove(None)


def _started_by_events(client: SyncPrefectClient) -> list[str]:
    """Name the deployments of which events have started runs, when there are some."""
    end, found = time.monotonic() + 60, []
    while not found and time.monotonic() < end:
        time.sleep(0.2)
        runs = client.read_flow_runs()
        found = [run.deployment_id for run in runs if run.created_by is not None and run.created_by.type == "AUTOMATION"]
    return [client.read_deployment(found_id).name for found_id in found if found_id is not None]


def _damage(installation: Installation, backup_id: str) -> str:
    """Flip a bit of what a backup needs and its source still has; return the chunk's id."""
    entry = next(one for one in installation.repository.manifest(backup_id).entries if one.kind == "tar")
    chunk = installation.home / "repository" / names.chunk(entry.root.chunk_id)
    chunk.write_bytes(flipped(chunk.read_bytes()))
    return chunk.name


def _live(installation: Installation, sources: Path) -> tuple[Any, ...]:
    """What must be the same before and after: rows, roles, databases, files."""
    rows = installation.sql("SELECT count(*), sum(hashtextextended(a::text, 0)) FROM articles AS a")
    server = installation.sql("SELECT rolname::text FROM pg_roles UNION ALL SELECT datname::text FROM pg_database ORDER BY 1")
    return rows, server, tree(sources)


def _require_nothing_left(installation: Installation) -> None:
    """No scratch database, no spooled file, no lease of anybody who lives."""
    assert _scratch_databases(installation) == []
    assert list((installation.home / "spool").glob("*")) == []
    assert [one.purpose for one in installation.repository.leases() if not is_known_dead_holder(one.holder)] == []


def _scratch_databases(installation: Installation) -> list[str]:
    server = embedded_server(installation.settings)
    with closing(connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname::text FROM pg_database WHERE datname LIKE 'holdfast_%'")
        return [name for (name,) in cursor.fetchall()]
