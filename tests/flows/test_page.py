"""The page over a real installation: a backup is brought back by clicks, and an execution that waits is approved by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.states import Cancelled

from api.parts import Parts
from flows.database_backup import database_backup
from flows.disaster_recovery import disaster_recovery
from flows.restore import restore
from holdfast.settings import load_settings
from orchestration.next_runs import over_http
from orchestration.recovery import steps as step_tasks
from orchestration.submitting import run_of_job
from tests.api.answering import answering
from tests.api.page.seeing import Eyes
from tests.flows.conftest import Installation, deployed
from tests.postgres.servers import drop_database
from tests.recovery.scripting import log, plan, scripted_types, step


class Seen(NamedTuple):
    """The page, somebody who looks at it, and the Prefect server; no worker takes runs, but for the tests themselves."""

    eyes: Eyes
    url: str
    installation: Installation
    prefect: SyncPrefectClient

    def job_id(self) -> str:
        """The job that the page is at."""
        return self.eyes.address.rsplit("/", 1)[-1]

    def run(self, job_id: str) -> FlowRun:
        found = run_of_job(over_http(self.installation.prefect_url), job_id)
        assert found is not None
        return self.prefect.read_flow_run(UUID(found["id"]))

    def carry_out(self, flow: Flow[..., Any], job_id: str) -> None:
        """Carry a run out, as a worker would, and have the page look again at once."""
        run_flow(flow=flow, flow_run=self.run(job_id))
        self.look_again()

    def look_again(self) -> None:
        self.eyes.evaluate("htmx.trigger('#live', 'refresh')")

    def come_to(self, path: str) -> str:
        """Wait until the browser is at a job of this path, and name it."""
        self.eyes.wait_until(f"location.pathname.startsWith({path!r})")
        self.eyes.wait_until("document.readyState === 'complete'")
        return self.job_id()


@pytest.fixture(scope="module")
def seen(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with (
        get_client(sync_client=True) as prefect,
        deployed(prefect, "restore", "disaster-recovery"),
        answering(Parts(load_settings)) as client,
        Eyes(tmp_path_factory.mktemp("browser")) as eyes,
    ):
        yield Seen(eyes, str(client.base_url).rstrip("/"), installation, prefect)


@pytest.fixture(autouse=True)
def _content(seen: Seen) -> Iterator[None]:
    seen.eyes.be()
    yield
    assert seen.eyes.complaints == []


@pytest.fixture(scope="module")
def backup_id(installation: Installation) -> str:
    return str(database_backup()["jobId"])


@pytest.fixture
def newer_rows(installation: Installation, backup_id: str) -> Iterator[int]:
    """Rows that the backup does not have."""
    installation.sql("INSERT INTO articles SELECT g, 'new' FROM generate_series(7001, 7005) AS g")
    yield 5
    installation.sql("DELETE FROM articles WHERE id > 7000")


@pytest.fixture
def dropped(installation: Installation) -> Iterator[Callable[[str], None]]:
    names: list[str] = []
    yield names.append
    for name in names:
        drop_database(installation.source.with_database(name))


def choose(seen: Seen, backup_id: str, way: str) -> str:
    """Go from a backup to what its restore would do, and name the job that looks."""
    seen.eyes.open(f"{seen.url}/backups/{backup_id}", "Restore this")
    seen.eyes.click("Restore this")
    seen.eyes.wait_for("Beside what is live")
    seen.eyes.click(way)
    seen.eyes.click("See what would happen")
    return seen.come_to("/restore/")


def test_what_would_be_lost_is_shown_and_what_is_live_is_replaced_only_by_its_name(
    seen: Seen, backup_id: str, newer_rows: int
) -> None:
    looks = choose(seen, backup_id, "In the place of what is live, which is kept")
    assert "It waits for its turn" in seen.eyes.wait_for("Nothing is changed")
    seen.carry_out(restore, looks)
    shown = seen.eyes.wait_for(f"This would be lost: {newer_rows} rows", "Type pipeline to confirm")
    assert "public.articles: 5 of 6,005 rows" in shown
    seen.eyes.require_readable()
    seen.eyes.evaluate("document.getElementById('confirm').focus()")
    seen.eyes.write("something")
    seen.eyes.click("Restore, and change what is live")
    seen.eyes.wait_for("That is not pipeline. Nothing was done.")
    seen.eyes.evaluate("document.getElementById('confirm').focus()")
    seen.eyes.write("pipeline")
    seen.eyes.press("Enter")
    run = seen.run(seen.come_to("/jobs/"))
    seen.prefect.set_flow_run_state(run.id, Cancelled(), force=True)
    said = {name: run.parameters[name] for name in ("backup_id", "mode", "target", "dry_run")}
    assert said == {"backup_id": backup_id, "mode": "promote", "target": "holdfast-database", "dry_run": False}
    seen.eyes.complaints = [one for one in seen.eyes.complaints if "400" not in one]


def test_a_backup_is_brought_back_beside_what_is_live_and_the_page_says_where(
    seen: Seen, backup_id: str, dropped: Callable[[str], None]
) -> None:
    looks = choose(seen, backup_id, "Beside what is live")
    seen.carry_out(restore, looks)
    seen.eyes.wait_for("It can be done; nothing was changed")
    seen.eyes.click("Restore beside the live one")
    job_id = seen.come_to("/jobs/")
    target = seen.run(job_id).parameters["target"].partition("/")[2]
    dropped(target)
    seen.carry_out(restore, job_id)
    shown = seen.eyes.wait_for("It is back", target, "equal to what was backed up")
    assert "Nothing live was touched" in shown
    assert "The run in the Prefect UI" in shown
    assert seen.installation.sql("SELECT count(*) FROM articles", database=target) == [(6000,)]
    seen.eyes.open(f"{seen.url}/jobs?kind=restore", job_id)


def test_a_plan_is_run_and_its_question_answered_by_keyboard(seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_tasks, "FIRST_DELAY_SECONDS", 0.01)
    eyes = seen.eyes
    with scripted_types():
        made = plan("asks_page", tmp_path, step("look", type="scripted_look"), step("mend", "look"), requiresApproval=True)
        seen.installation.only_plans(made)
        eyes.open(f"{seen.url}/plans/asks_page", "Recover what is live")
        eyes.evaluate("document.querySelector('button[value=plan]').click()")
        seen.carry_out(disaster_recovery, seen.come_to("/executions/"))
        eyes.wait_for("What would be done", "Would: It would write mend", "A person would have to agree")
        eyes.open(f"{seen.url}/plans/asks_page", "Recover what is live")
        eyes.tab_to("Recover what is live")
        eyes.press(" ")
        eyes.tab_to("Run")
        eyes.press("Enter")
        execution = seen.come_to("/executions/")
        with suppress(Pause):
            seen.carry_out(disaster_recovery, execution)
        seen.look_again()
        assert "write mend" in eyes.wait_for("A person has to decide", "Why a person is asked")
        assert "See what would be lost, and decide" in eyes.open(f"{seen.url}/", "Waiting for a person")
        eyes.tab_to("See what would be lost, and decide")
        eyes.press("Enter")
        seen.come_to("/executions/")
        eyes.require_readable()
        eyes.tab_to("Comment")
        eyes.write("go")
        eyes.tab_to("Approve: change what is live")
        eyes.press("Enter")
        eyes.wait_for("Approved: it goes on")
        seen.carry_out(disaster_recovery, execution)
        eyes.wait_for("success", "Agreed by", "loopback")
    assert log(tmp_path) == ["look", "look", "mend"]
    seen.installation.only_plans()
