"""Recovery plans whose operator has no luck: killed at the worst moment, asked about one thing and met by another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow

from flows.database_backup import database_backup
from flows.disaster_recovery import disaster_recovery
from holdfast.errors import ApprovalDeniedError, BusyError, RecoveryFailedError, RefusedError
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.process_identity import is_known_dead_holder
from holdfast.recovery import running
from holdfast.recovery.execution import Execution
from holdfast.repository import names
from holdfast.storage import LocalStorage
from orchestration.recovery import request as requests
from orchestration.recovery import steps as step_tasks
from orchestration.recovery.approval import Answer, asked_by, give, question
from orchestration.recovery.record import executions, find_execution
from tests.flows.conftest import Installation, Planned
from tests.postgres.servers import drop_database
from tests.recovery.scripting import FOLDER, log, step

pytestmark = pytest.mark.usefixtures("scripted")

LOOK = step("look", type="scripted_look")
KILLED_AFTER_ITS_SWAP = """
import os, signal
import holdfast.recovery.steps
from holdfast.postgres.new_database import NewDatabase
holdfast.recovery.steps.__path__.append({folder!r})
promote = NewDatabase.promote
def then_killed(database):
    promote(database)
    os.kill(os.getpid(), signal.SIGKILL)
NewDatabase.promote = then_killed
from flows.disaster_recovery import disaster_recovery
disaster_recovery({plan!r}, job_id={job_id!r})
"""


@pytest.fixture
def others(installation: Installation) -> Iterator[Callable[[], list[str]]]:
    """Name the databases that a recovery has made beside the live one; they are dropped at the end."""

    def find() -> list[str]:
        found = installation.sql("SELECT datname FROM pg_database WHERE datname ~ '^(pipeline_|holdfast_scratch_)' ORDER BY 1")
        return [str(name) for (name,) in found]

    yield find
    for name in find():
        drop_database(installation.source.with_database(name))


def test_a_run_that_was_killed_right_after_its_swap_swaps_nothing_twice_and_can_be_undone(
    installation: Installation, planned: Planned, others: Callable[[], list[str]], tmp_path: Path
) -> None:
    database_backup()
    planned("swaps", LOOK, step("bring_back", "look", type="backup_restore", timeout=15, backupType="database"))
    (tmp_path / "state").write_text("damaged")
    installation.sql("INSERT INTO tags VALUES (2000, 'newer than the backup')")
    try:
        _killed_after_its_swap(installation, "swaps", "recovery_1_swaps")
        (kept,) = others()
        installation.sql("INSERT INTO tags VALUES (3000, 'written after the swap')")
        found = disaster_recovery("swaps", resume="recovery_1_swaps")
        assert (found["status"], others()) == ("success", [kept])
        assert installation.sql("SELECT id FROM tags WHERE id >= 1000") == [(3000,)]
        disaster_recovery("swaps", mode="roll_back", resume="recovery_1_swaps")
        assert installation.sql("SELECT id FROM tags WHERE id >= 1000") == [(2000,)], "what was live is not live again"
        with pytest.raises(RefusedError, match="can be undone"):
            disaster_recovery("swaps", mode="roll_back", resume="recovery_1_swaps")
    finally:
        installation.sql("DELETE FROM tags WHERE id >= 1000")
        _bury(installation)


def _bury(installation: Installation) -> None:
    """Remove the leases of the killed run, which other tests would count until they expire."""
    storage = LocalStorage(installation.settings.home / "repository")
    for lease in installation.repository.leases():
        if is_known_dead_holder(lease.holder):
            storage.delete(names.lease(lease.id))


def _killed_after_its_swap(installation: Installation, plan_id: str, job_id: str) -> None:
    code = KILLED_AFTER_ITS_SWAP.format(folder=str(FOLDER), plan=plan_id, job_id=job_id)
    environment = os.environ | {"PREFECT_API_URL": installation.prefect_url}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_step_that_was_left_behind_is_not_tried_again_when_it_ends_at_last(
    planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_tasks, "GIVE_UP_SECONDS", 0.3)
    hangs = step("hangs", waits_for="end", timeout=0.002, heeds_its_deadline=False, ends_badly=True, retryCount=3)
    planned("hangs", hangs)
    with pytest.raises(RecoveryFailedError, match="was left behind"):
        disaster_recovery("hangs")
    (tmp_path / "end").touch()
    (left,) = [one for one in threading.enumerate() if one.name == "step-hangs"]
    left.join(20)
    assert not left.is_alive()
    assert log(tmp_path) == ["hangs"]


def test_an_approval_is_for_what_was_asked_about_and_for_no_other_trouble(
    planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "FRESH", timedelta(0))  # who is asked takes a long time to answer
    planned("drifts", LOOK, step("mend", "look"), requiresApproval=True)
    (tmp_path / "state").write_text("incomplete")
    said: list[list[str]] = []

    def answer(execution: Execution) -> Answer:
        said.append(list(question(execution)))
        (tmp_path / "state").write_text("damaged")
        return Answer(len(said) == 1, "me")

    with asked_by(answer), pytest.raises(ApprovalDeniedError):
        disaster_recovery("drifts")
    assert log(tmp_path) == ["look", "look"], "something was changed that nobody had agreed to"
    assert "the database was incomplete when it was asked about, and now it is damaged" in said[1][0]
    with asked_by(answer):  # and what is the same trouble as before is not asked about again
        said.clear()
        assert disaster_recovery("drifts")["status"] == "success"
    assert len(said) == 1


def test_an_execution_that_ended_while_the_catalog_was_away_is_closed_there_by_the_next_run(
    installation: Installation, planned: Planned, tmp_path: Path
) -> None:
    planned("away", step("a", waits_for="go"))
    planned("next", step("x"))
    keeper = EmbeddedServer(installation.home / "postgres")
    ended: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: ended.append(disaster_recovery("away", job_id="recovery_1_away")))
    thread.start()
    try:
        _wait(lambda: log(tmp_path) == ["a"])
        keeper.stop()
        (tmp_path / "go").touch()
        thread.join()
    finally:
        keeper.start()
    assert (ended[0]["status"], _status(installation, "recovery_1_away")) == ("success", "running")
    disaster_recovery("next")
    assert _status(installation, "recovery_1_away") == "success"


def _status(installation: Installation, execution_id: str) -> str:
    with installation.catalog() as catalog:
        found = catalog.executions.find(execution_id)
    assert found is not None
    return found.status


def _wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_of_two_who_resume_one_execution_the_later_one_does_nothing_again(
    planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned("typed_twice", step("a"), step("b", "a", fails=1, error="refused"), step("c", "b", fails=1, error="refused"))
    with pytest.raises(RecoveryFailedError):
        disaster_recovery("typed_twice", job_id="recovery_1_twice")
    read_early = find_execution("recovery_1_twice")
    with pytest.raises(RecoveryFailedError):
        disaster_recovery("typed_twice", resume="recovery_1_twice")
    monkeypatch.setattr(requests, "find_execution", lambda _: read_early)
    with pytest.raises(BusyError, match="another run has gone on with"):
        disaster_recovery("typed_twice", resume="recovery_1_twice")
    assert log(tmp_path) == ["a", "b", "b", "c"]


def _suspended(plan_id: str) -> UUID:
    """Run a deployment's run until it suspends, as a worker would; return its id."""
    with get_client(sync_client=True) as client:
        deployment_id = client.create_deployment(client.create_flow(disaster_recovery), "on-demand")
        run = client.create_flow_run_from_deployment(deployment_id, parameters={"plan_id": plan_id})
    with pytest.raises(Pause):
        run_flow(flow=disaster_recovery, flow_run=run)
    return run.id


def _again(flow_run_id: UUID) -> Any:
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(flow_run_id)
    return run_flow(flow=disaster_recovery, flow_run=run)


def test_an_execution_that_waits_for_an_answer_is_not_gone_on_with_beside_its_own_run(planned: Planned, tmp_path: Path) -> None:
    planned("waits", LOOK, step("mend", "look"), requiresApproval=True)
    run_id = _suspended("waits")
    (execution,) = [one for one in executions(10) if one.plan_id == "waits"]
    for mode in ("run", "roll_back"):
        with pytest.raises(RefusedError, match=f"recover --approve {execution.id}"):
            disaster_recovery("waits", mode=mode, resume=execution.id)
    give(execution, Answer(True, "the first"))
    with pytest.raises(RefusedError, match="does not wait any more"):
        give(execution, Answer(False, "the second, who was too late"))
    with pytest.raises(RefusedError, match="is about to go on"):
        disaster_recovery("waits", resume=execution.id)
    assert _again(run_id)["approvedBy"] == "the first"
    assert log(tmp_path) == ["look", "mend"]
