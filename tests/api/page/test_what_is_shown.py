"""What the pages say: what is wrong first, with the next step; and nothing that came from outside is ever more than text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.handlers.jobs import of_maintenance_row
from api.page.executions import at_stake
from api.page.overview import parts_down, sentence
from api.page.restoring import live_name, ways_of
from api.parts import Parts
from holdfast.backup_types import TYPES
from holdfast.catalog.records import MaintenanceRecord
from holdfast.recovery.execution import Execution, StepRecord
from orchestration.standing.gathering import gathered
from tests.api.answering import answering
from tests.api.page.showing_to import shown
from tests.standing import settings_in, some_backups

Json = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = """<script>alert(1)</script>"' onmouseover=alert(2) {{ 7 * 7 }}"""


def a_job(**more: Any) -> Json:
    return {
        "jobId": "backup_1",
        "kind": "backup",
        "type": "database",
        "status": "completed",
        "startedAt": NOW,
        "completedAt": NOW + timedelta(seconds=90),
        "error": None,
        "sizeBytes": None,
        "storedBytes": None,
        "verifiedLevel": None,
        "run": {"id": "1", "url": "http://prefect.example/runs/flow-run/1"},
        **more,
    }


def a_look(**more: Any) -> Json:
    """The document of a restore's dry run."""
    losses = [
        {"table": 'public."we <b>ird"', "rows": 1200, "liveRows": 6200, "backupRows": 5000},
        {"table": "public.tags", "rows": 50, "liveRows": 50, "backupRows": None},
    ]
    said = {"backupId": "backup_1", "mode": "promote", "dryRun": True, "target": "postgresql://db/content%20live", "tables": 2}
    return a_job(jobId="restore_1", kind="restore", losses=losses, rows=5000, notes=["a note"], **said, **more)


def the_look_page(job: Json, mode: str = "promote", *scopes: Any, wrong: bool = False) -> str:
    chosen = {"backup": "backup_1", "type": "database", "mode": mode, "target": "", "tables": "", "only": "", "replica": ""}
    return shown(
        "restore_look.html",
        *scopes,
        section="Backups",
        chosen={**chosen, "database": ""},
        job=job,
        is_open=job["status"] in {"pending", "running"},
        mode_text="What it does.",
        live_name=live_name(job, "database"),
        wrong=wrong,
    )


def an_execution(**more: Any) -> Execution:
    stakes = {
        "reasons": ["the plan asks for it"],
        "foreseen": [{"step": "Restore", "would": ["promote the backup newer"]}],
        "losses": [{"table": "public.articles", "rows": 12, "liveRows": 20, "backupRows": 8}],
        "rowsLost": 12,
        "backupId": "newer",
        "backupAt": "2026-01-02T03:04:05Z",
        "openConnections": 3,
        "notKnown": [],
    }
    steps = (
        StepRecord("look", "Look", "assessment", "done", 1, summary="the database is damaged"),
        StepRecord("restore", "Restore", "backup_restore", "failed", 2, error=HOSTILE, undo={"kept": "x"}),
    )
    said: Json = {"started_at": NOW, "steps": steps, "metadata": {"stakes": stakes}} | more
    return Execution("recovery_1", "database_failure", "manual", "run", **said)


def the_execution_page(execution: Execution, *scopes: Any, said: str = "") -> str:
    document = execution.document()
    return shown("execution.html", *scopes, section="Recoveries", execution=document, stakes=at_stake(document), said=said)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """How things stand with two database backups and a bad one of the configuration, catalog and Prefect server being down."""
    with pytest.MonkeyPatch.context() as patch:
        settings = settings_in(tmp_path_factory.mktemp("standing"), patch)
        some_backups(settings)
        return gathered(settings).document | {"late": False}


def overview_of(status: Json, *scopes: Any, root_path: str = "") -> str:
    good, said = sentence(status)
    placed = {one["jobId"]: one["threeTwoOne"] for one in status["backups"]}
    waiting = [one for one in status["executions"] if one["waitingFor"] == "approval"]
    return shown(
        "overview.html",
        *scopes,
        root_path=root_path,
        section="Overview",
        status=status,
        good=good,
        said=said,
        down=parts_down(status),
        three_two_one=placed,
        waiting=waiting,
        stakes={"r1": ["At least 12 rows would be lost, of 1 table:"]},
        at_work=[],
    )


def test_the_first_sentence_says_what_is_wrong_first(standing: Json) -> None:
    assert sentence(standing) == (False, "Not everything is protected. The newest config backup is bad.")
    well = {**standing, "alarms": []}
    well["types"] = [one for one in well["types"] if one["type"] == "database"]
    assert sentence(well) == (
        None,
        "Each type has its backup, but whether anything is in trouble nobody can tell, and nothing that is due will run: "
        "no Prefect server answers.",
    )
    well["parts"] = {"storage": {"ok": True}, "worker": {"ok": False}}
    assert sentence(well)[1] == "Everything is protected so far, but nothing that is due will run: no worker takes runs."
    well["parts"] = {"storage": {"ok": True}}
    assert sentence(well) == (True, "Everything is protected.")
    two = {**standing, "alarms": standing["alarms"] * 2}
    assert sentence(two)[1] == "Not everything is protected. The newest config backup is bad, and 1 more."


def test_nobody_is_told_that_all_is_well_while_the_storage_does_not_answer(standing: Json) -> None:
    hidden = {**standing, "alarms": [], "repository": {**standing["repository"], "ok": False, "readFrom": None}}
    good, said = sentence(hidden)
    assert good is None
    assert said.startswith("Nobody can tell now")
    assert "The replica nas does" in sentence({**hidden, "repository": {"ok": False, "readFrom": "nas"}})[1]


def test_the_overview_names_the_half_that_is_down_and_shows_the_other(standing: Json) -> None:
    text = overview_of(standing)
    assert "What does not answer" in text
    assert "no Prefect server answers" in text
    assert "the catalog does not run" in text
    assert 'href="/backups/newer"' in text
    assert "3-2-1 lacks" in text


def test_what_waits_for_a_person_is_on_the_first_page(standing: Json) -> None:
    one = {"executionId": "r1", "planId": "database_failure", "mode": "run", "startedAt": NOW, "waitingFor": "approval"}
    waits = {**standing, "executions": [{**one, "status": "running"}]}
    assert sentence(waits)[1].endswith("A recovery waits for a person.")
    text = overview_of(waits)
    assert "Waiting for a person" in text
    assert "At least 12 rows would be lost" in text
    assert 'href="/executions/r1"' in text


def test_a_backup_that_failed_last_is_said_before_that_all_is_protected(standing: Json) -> None:
    """The sentence and the card below it say the same."""
    kept = [{**one, "failuresInARow": 1} for one in standing["types"] if one["type"] == "database"]
    failed = {**standing, "alarms": [], "types": kept, "parts": {"storage": {"ok": True}}}
    assert sentence(failed) == (
        None,
        "Everything is protected so far, but the last backup of type database failed: see below.",
    )
    assert "not well" in overview_of(failed)


def test_what_is_in_trouble_is_not_called_well_because_its_backups_are(standing: Json) -> None:
    alarm = {"key": "trouble-database", "title": "The database is incomplete", "what": "x is gone.", "nextStep": "See"}
    kept = [one for one in standing["types"] if one["type"] == "database"]
    text = overview_of({**standing, "types": kept, "alarms": [alarm]})
    assert "in trouble" in text
    assert ">well<" not in text
    assert 'href="/executions">The recoveries</a>' in text
    assert ">well<" in overview_of({**standing, "types": kept, "alarms": []})


def test_behind_a_proxy_every_link_has_its_path(standing: Json) -> None:
    text = overview_of(standing, root_path="/backup")
    assert 'href="/backup/backups/newer"' in text
    assert 'action="/backup/backups"' in text
    assert 'href="/backups' not in text


def test_an_error_from_outside_is_text_and_nothing_else() -> None:
    job = a_job(status="failed", error=HOSTILE, nextStep="Do this")
    for text in (
        shown("job.html", section="Jobs", job=job, is_open=False),
        shown(
            "jobs.html",
            section="Jobs",
            filters=(),
            chosen={"type": HOSTILE},
            cursor="",
            jobs=[job],
            next_page={"type": HOSTILE},
            wrong=None,
        ),
        the_execution_page(an_execution(error=HOSTILE, status="failed")),
    ):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39; onmouseover=alert(2) {{ 7 * 7 }}" in text


def test_a_failed_job_says_why_what_to_do_and_where_its_run_is() -> None:
    job = a_job(status="failed", error="The server is gone", nextStep="Start it")
    text = shown("job.html", section="Jobs", job=job, is_open=False)
    assert "The server is gone" in text
    assert "Start it" in text
    assert 'href="http://prefect.example/runs/flow-run/1"' in text
    assert "2026-01-02 03:04 UTC" in text


def test_only_a_job_that_is_open_is_asked_for_again() -> None:
    assert "hx-get" in shown("job.html", section="Jobs", job=a_job(status="running", completedAt=None), is_open=True)
    assert "hx-get" not in shown("job.html", section="Jobs", job=a_job(), is_open=False)


def test_a_look_before_a_restore_is_not_taken_for_a_restore() -> None:
    """A list of jobs has no documents, and a tired person would read that the restore was made."""
    listed = of_maintenance_row(MaintenanceRecord("restore_1", "restore", "database", "completed", NOW))
    texts = [
        shown("jobs.html", section="Jobs", filters=(), chosen={}, cursor="", jobs=[listed], next_page=None, wrong=None),
        shown("job.html", section="Jobs", job=a_look(), is_open=False),
    ]
    assert "only looked" in texts[0]
    assert all("look before a restore of type database" in text.lower() for text in texts)
    assert "<h1>Cleanup</h1>" in shown("job.html", section="Jobs", job=a_job(kind="cleanup", type="cleanup"), is_open=False)


def test_a_restore_says_where_it_landed_and_how_it_is_undone() -> None:
    kept = a_look() | {"dryRun": False, "kept": "content_before_20260102T030405Z", "proven": True}
    text = shown("job.html", section="Jobs", job=kept, is_open=False)
    assert "It is back" in text
    assert "This was lost" in text
    assert "content_before_20260102T030405Z" in text
    back = 'ALTER DATABASE "content_before_20260102T030405Z" RENAME TO "content live";'
    assert back.replace('"', "&#34;") in text
    files = a_look() | {"dryRun": False, "kept": "/srv/app_before_20260102T030405Z", "type": "config", "losses": None}
    assert "holdfast roll-back /srv/app_before_20260102T030405Z" in shown("job.html", section="Jobs", job=files, is_open=False)


def test_a_plan_that_was_only_looked_at_says_what_would_be_done() -> None:
    step = {"name": "Restore", "outcome": "waiting", "would": [HOSTILE], "notes": [], "attempts": 0, "error": None}
    job = a_job(kind="recovery", type="recovery", mode="plan", steps=[step], asks=["it replaces what is live"])
    text = shown("job.html", section="Recoveries", job=job, is_open=False)
    assert "What would be done" in text
    assert "A person would have to agree: it replaces what is live" in text
    assert "Would: &lt;script&gt;" in text


def test_what_would_be_lost_is_shown_before_it_can_be() -> None:
    text = the_look_page(a_look())
    assert "This would be lost: 1250 rows" in text
    assert "public.&#34;we &lt;b&gt;ird&#34;" in text
    assert "1,200 of 6,200 rows" in text
    assert "a table that the backup has not" in text
    assert text.index("This would be lost") < text.index("Restore, and change what is live")
    assert "Type <code>content live</code> to confirm" in text
    assert "That is not <code>content live</code>. Nothing was done." in the_look_page(a_look(), wrong=True)
    unknown = the_look_page(a_look() | {"losses": None})
    assert "What would be lost could not be counted" in unknown


def test_while_it_is_looked_at_and_where_that_failed_nothing_can_be_restored() -> None:
    for job in (a_look(), a_look()):
        job["status"] = "running"
        assert "Restore, and change what is live" not in the_look_page(job)
        job |= {"status": "failed", "error": "the target is not empty", "nextStep": "Take another"}
        text = the_look_page(job)
        assert "<button" not in text.split("<main", 1)[1]
        assert "the target is not empty" in text


def test_beside_what_is_live_takes_no_name_and_is_the_first_choice() -> None:
    assert "to confirm" not in the_look_page(a_look(), "new")
    assert [ways_of(kind)[0][0] for kind in TYPES] == ["new"] * len(TYPES)
    assert "this can't be undone" in ways_of("database")[2][2]


def test_a_person_is_asked_with_what_would_be_lost_and_only_once() -> None:
    waits = an_execution(waiting_for="approval")
    text = the_execution_page(waits)
    assert "At least 12 rows would be lost" in text
    assert '<li class="text under">public.articles: 12 of 20 rows</li>' in text
    assert "Open connections to the live database: 3." in text
    assert 'name="approve" value="yes"' in text
    assert 'name="approve" value="no"' in text
    answered = the_execution_page(waits, said="yes")
    assert "Approved: it goes on" in answered
    assert 'name="approve"' not in answered
    assert "hx-get" in answered


def test_whoever_may_only_look_sees_what_would_be_lost_and_no_button() -> None:
    text = the_execution_page(an_execution(waiting_for="approval"), "read")
    assert "At least 12 rows would be lost" in text
    assert 'name="approve"' not in text
    assert "has not the scope <code>restore</code>" in text
    assert "has not the scope <code>restore</code>" in the_look_page(a_look(), "promote", "read")


def test_an_execution_that_failed_can_be_gone_on_with_and_undone() -> None:
    text = the_execution_page(an_execution(status="partial", error="a step failed", completed_at=NOW + timedelta(minutes=3)))
    assert "/executions/recovery_1/resumption" in text
    assert "/executions/recovery_1/roll-back" in text
    assert "attempt 2" in text


def test_what_was_not_done_when_a_recovery_ended_does_not_seem_to_wait() -> None:
    steps = (
        StepRecord("look", "Look", "assessment", "done", 1),
        StepRecord("restore", "Restore", "backup_restore", "waiting", 0),
    )
    assert "waiting</span> <strong>Restore" in the_execution_page(an_execution(steps=steps))
    assert "not done</span> <strong>Restore" in the_execution_page(an_execution(steps=steps, status="failed", completed_at=NOW))


def test_the_backups_are_a_page_though_the_disk_of_the_repository_is_not_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, monkeypatch)  # and no repository is made
    with answering(Parts(lambda: settings)) as client:
        shown_then = client.get("/backups")
    assert shown_then.status_code == 200
    assert "there is no folder" in shown_then.text
    assert 'aria-label="Pages"' in shown_then.text


def test_the_files_that_the_page_is_made_of_are_packaged() -> None:
    import tomllib

    root = Path(__file__).parents[3]
    packaged = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["api"]
    held = {path for pattern in packaged for path in (root / "api").glob(pattern)}
    there = {path for folder in ("templates", "static") for path in (root / "api" / "page" / folder).iterdir()}
    assert there
    assert there <= held
