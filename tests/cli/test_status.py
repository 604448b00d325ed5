"""What `holdfast status` says to a person and to a script: about a home with everything, with a failure, with nothing."""

from __future__ import annotations

import io
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import status_text
from holdfast.alarms import Alarm
from holdfast.backup_types import TYPES
from holdfast.opening import open_or_create_repository
from holdfast.settings import Settings
from orchestration.standing import documents
from orchestration.standing.gathering import gathered
from tests.repository.making import back_up, noise
from tests.standing import overview, settings_in, some_backups


def told(report: dict[str, Any], width: int = 100) -> str:
    """What a person sees on a terminal of this width."""
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, markup=False, emoji=False)
    for part in status_text.lines(report):
        console.print(part)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    assert "None" not in out.getvalue()
    return "\n".join(lines)


def types_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in report["types"]}


def with_what_is_recorded(settings: Settings, report: dict[str, Any]) -> dict[str, Any]:
    """The report as it is where a catalog and a schedule are known, too."""
    with closing(open_or_create_repository(settings)[0]) as repository:
        look = overview(settings, repository)
    types = [documents.document(look.of(one["type"]), {one["type"]: one["lastGood"]}, []) for one in report["types"]]
    return {**report, "types": types}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_in(tmp_path, monkeypatch, BACKUP_RPO_TARGET_HOURS="24", BACKUP_RTO_TARGET_MINUTES="5")


def test_rpo_rto_history_and_storage_are_told_exactly(settings: Settings) -> None:
    _, made = some_backups(settings)
    report = gathered(settings).document
    database = types_of(report)["database"]
    assert database["rpo"]["provenBackup"] == "older"
    assert database["rpo"]["seconds"] == pytest.approx(30 * 3600, abs=60)
    assert (database["rpo"]["targetSeconds"], database["rpo"]["missed"]) == (24 * 3600, True)
    assert database["rto"]["seconds"] == pytest.approx(60)
    measured = database["rto"]["measured"]
    assert (measured["backupId"], measured["seconds"], measured["sizeBytes"], measured["drill"]) == ("older", 40, 200_000, True)
    assert [(one["jobId"], one["sizeBytes"], one["verifiedLevel"]) for one in database["history"]] == [
        ("older", 200_000, "proven"),
        ("newer", 300_000, "stored"),
    ]
    assert (database["nextRun"], database["failuresInARow"], database["copies"]) == (None, 0, None)
    assert report["rto"] == {"seconds": pytest.approx(60), "targetSeconds": 300, "missed": False, "notMeasured": []}
    assert report["storage"]["storedBytes"] == sum(one.stored_bytes for one in made)
    assert report["dedupRatio"] == pytest.approx(505_000 / report["storage"]["storedBytes"])
    assert {alarm["key"] for alarm in report["alarms"]} == {"database-rpo", "config-bad"}


def test_a_backup_that_is_known_to_be_bad_is_not_the_last_good_one(settings: Settings) -> None:
    some_backups(settings)
    report = gathered(settings).document
    config = types_of(report)["config"]
    assert (config["lastGood"], config["bad"]) == (None, True)
    seen = told(report)
    assert "✗ config no backup yet" in seen
    assert "holdfast backup config" in seen


def test_what_is_wrong_comes_first_and_in_words(settings: Settings) -> None:
    some_backups(settings)
    report = gathered(settings).document
    alarm = Alarm(
        "database-failing", "The database backup fails", "2 attempts have failed", "Mend it", datetime(2026, 1, 2, tzinfo=UTC)
    )
    report["alarms"] = documents.alarms({"database-failing": alarm, "key": None})
    seen = told(with_what_is_recorded(settings, report))
    assert seen.startswith("✗ alarm The database backup fails, since 2026-01-02 00:00 UTC")
    assert "✗ database last backup 2 h ago; 2 failed since, next in 60 min" in seen
    assert "stored, 2 copies" in seen
    assert "30 h, allowed 24 h: missed" in seen
    assert "1 min 0 s, from a drill of" in seen


def test_all_four_types_are_told_with_a_picture_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(
        tmp_path, monkeypatch, BACKUP_FUNCTIONS_PATH=str(tmp_path), BACKUP_SECRETS_ENV_FILE=str(tmp_path / ".env")
    )
    repository, _ = open_or_create_repository(settings)
    for kind in TYPES:
        for turn in (1, 2):
            at = datetime.now(UTC) - timedelta(hours=5 - 2 * turn)
            back_up(repository, f"{kind}_{turn}", {"base": noise(turn, 1000 * turn)}, backup_type=kind, snapshot_at=at)
    seen = told(gathered(settings).document)
    assert [line.split()[1] for line in seen.splitlines() if line.startswith("✓")] == list(TYPES)
    assert seen.count("▅█ size") == 4
    assert seen.count("none is proven") == seen.count("not measured yet") == 4


def test_a_home_with_nothing_yet_says_what_to_do(settings: Settings) -> None:
    nothing = gathered(settings).document
    assert (nothing["repository"]["ok"], nothing["storage"], nothing["dedupRatio"]) == (False, None, None)
    assert "✗ database not known: the repository can't be looked at" in told(nothing)
    open_or_create_repository(settings)
    empty = gathered(settings).document
    assert (types_of(empty)["database"]["overdue"], types_of(empty)["database"]["lastGood"]) == (False, None)
    seen = told(empty)
    assert "✗ database no backup yet" in seen
    assert "– function off: neither BACKUP_FUNCTIONS_PATH" in seen
    assert "holdfast backup database" in seen
    assert {one.name for one in settings.home.iterdir()} == {"repository"}, "something was started"


def test_what_is_at_work_and_what_waits_for_a_person_is_named(settings: Settings) -> None:
    some_backups(settings)
    report = gathered(settings).document
    at = datetime(2026, 1, 2, tzinfo=UTC)
    report["jobs"] = [{"jobId": "restore_1", "kind": "restore", "type": "database", "status": "running", "startedAt": at}]
    waiting = {"executionId": "execution_1", "planId": "database_failure", "mode": "run", "status": "running", "startedAt": at}
    report["executions"] = [waiting | {"waitingFor": "approval"}]
    report["prefect"] |= {"running": True, "url": "http://127.0.0.1:4200/api", "workerOnline": False}
    seen = told(report)
    assert "database restore restore_1 (running)" in seen
    assert "plan database_failure execution_1 (waits for approval)" in seen
    assert "http://127.0.0.1:4200; no worker is online" in seen
