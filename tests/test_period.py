"""The report on the last days says what happened in them, and what it can't know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.alarms import Alarm
from holdfast.catalog import Catalog
from holdfast.look import look_over
from holdfast.period import AttemptCounts, Period, kept_since, logged_since
from holdfast.period_document import document
from holdfast.period_report import markdown, sections, text, title
from holdfast.repository import Repository
from holdfast.settings import Settings
from tests.postgres.servers import running_server
from tests.standing import overview, settings_in, some_backups

WEEK = timedelta(days=7)
ALARM = Alarm("key", "The <b>key</b> is missing", "Nobody has it", "Find it")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_in(tmp_path, monkeypatch, BACKUP_RPO_TARGET_HOURS="24", BACKUP_RTO_TARGET_MINUTES="5")


@pytest.fixture
def repository(settings: Settings) -> Repository:
    return some_backups(settings)[0]


@pytest.fixture(scope="module")
def catalog() -> Iterator[Catalog]:
    """A catalog with a week of attempts, and one failure from before."""
    now = datetime.now(UTC)
    with running_server(18) as server, closing(Catalog(server.create_database("period").without_password())) as made:
        made.migrate()
        for job_id, days, status in (
            ("good", 1, "completed"),
            ("bad", 2, "failed"),
            ("stopped", 3, "cancelled"),
            ("old", 9, "failed"),
        ):
            at = now - timedelta(days=days)
            made.open_job(job_id, "database", at=at)
            made.close_job(job_id, status, error_message="the disk is full" if status == "failed" else None, at=at)
        made.open_restore("brought_back", "good", "database")
        made.close_restore("brought_back", "failed", error_message="no room")
        yield made


def back(settings: Settings, repository: Repository, since: timedelta = WEEK) -> Period:
    look = overview(settings, repository)
    return Period(look.at - since, look, {}, kept_since(repository, look.at - since, look), None)


def lines(period: Period, heading: str) -> list[str]:
    return dict(sections(period))[heading]


def test_it_tells_what_was_made_added_and_proven(settings: Settings, repository: Repository) -> None:
    period = back(settings, repository)
    kept = period.of("database")
    assert kept is not None
    assert (kept.made, kept.added_bytes) == (2, sum(one.manifest.stored_bytes for one in repository.backups("database")))
    assert lines(period, "Proofs")[:2] == ["database: 1 passed (1 proven), 0 did not", "config: 0 passed (none), 1 did not"]
    assert lines(period, "Proofs")[2].endswith("damaged did not pass: a chunk is gone")
    assert lines(period, "Restore drill")[0].endswith("database (older) came back in 40.0 s")
    assert lines(period, "Deleted") == ["Nothing: no clean-up ran"]
    assert "RPO 30 h, allowed 24 h" in lines(period, "RPO and RTO")[0]
    assert "RTO 1 min 0 s (measured on 195.3 KiB" in lines(period, "RPO and RTO")[0]


def test_it_tells_how_things_stood_when_these_days_began(settings: Settings, repository: Repository) -> None:
    """Everything was made just now, so that the beginning lies a moment back, or in the future."""
    before = back(settings, repository, since=timedelta(0)).of("database")
    assert before is not None
    assert (before.made, before.size_before) == (0, 300_000)
    assert before.rpo_before is not None
    assert abs(before.rpo_before - timedelta(hours=30)) < timedelta(minutes=1)
    assert before.rto_seconds_before == pytest.approx(60)
    early = back(settings, repository).of("database")
    assert early is not None
    assert (early.size_before, early.rpo_before, early.rto_seconds_before) == (None, None, None)


def test_it_tells_what_a_clean_up_did_and_not_what_it_planned(settings: Settings, repository: Repository) -> None:
    name = repository.cleanups.put_plan({"doomed": ["older"]}, repository.now)
    assert "it was cut short" in lines(back(settings, repository), "Deleted")[0]
    repository.cleanups.put_done(name, {"forgotten": ["a", "b"], "freed_bytes": 2048, "problems": []})
    assert lines(back(settings, repository), "Deleted")[0].endswith("2 backups, 2.0 KiB freed")
    assert repository.cleanups.list(repository.now + timedelta(minutes=1)) == []


def test_the_catalog_tells_of_attempts_and_why_they_failed(catalog: Catalog, settings: Settings, repository: Repository) -> None:
    look = overview(settings, repository)
    logged = logged_since(catalog, look.at - WEEK)
    assert logged.backups == {"database": AttemptCounts(1, 1, 1)}
    assert logged.restores == AttemptCounts(0, 1, 0)
    period = Period(look.at - WEEK, look, {}, None, logged)
    assert [line.partition(", ")[2] for line in lines(period, "What failed")] == [
        "restore of database (brought_back): no room",
        "backup of database (bad): the disk is full",
    ]
    assert lines(period, "Backups")[0].startswith("database: 1 completed, 1 failed, 1 cancelled; the newest good one is newer")


def test_what_can_not_be_asked_is_said_to_be_not_known(settings: Settings) -> None:
    look = look_over(settings, None)
    period = Period(look.at - WEEK, look, {}, None, None)
    told = text(period)
    assert "The repository could not be looked at" in told
    assert "the catalog does not answer" in told
    assert "0 failed" not in told
    assert "no good backup" not in told
    assert title(period).endswith(": the repository could not be looked at")
    assert (document(period)["failures"], document(period)["proofs"]) == (None, None)


def test_what_there_is_to_see_to_is_in_the_title_and_is_no_markup(settings: Settings, repository: Repository) -> None:
    look = overview(settings, repository)
    period = Period(look.at - WEEK, look, {"key": ALARM, "rto": None}, None, None, {"database-backup": look.at})
    assert title(period).endswith("1 thing to see to")
    assert "The &lt;b>key&lt;/b> is missing: Nobody has it. Find it" in markdown(period)
    assert lines(period, "Next runs")[0].endswith("UTC: database-backup")
