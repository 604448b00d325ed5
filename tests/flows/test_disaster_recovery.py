"""Recovery plans carried out: in order, watched, resumed after a kill, approved by a person, undone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow

from cli.main import run as holdfast
from flows.database_backup import database_backup
from flows.disaster_recovery import disaster_recovery
from holdfast.errors import (
    ApprovalDeniedError,
    ApprovalNeededError,
    BusyError,
    ExitCode,
    RecoveryFailedError,
    RefusedError,
)
from holdfast.postgres.connection import connect
from holdfast.recovery.execution import APPROVAL, Execution
from holdfast.recovery.journal import Journal
from orchestration.recovery import steps as step_tasks
from orchestration.recovery.approval import Answer, asked_by, give, question, state_of
from orchestration.recovery.dead_executions import close_dead_executions
from orchestration.recovery.record import find_execution
from tests.flows.conftest import Installation, Planned
from tests.receivers import http_receiver
from tests.recovery.scripting import FOLDER, log, scripted_types, step

Json = dict[str, Any]
pytestmark = pytest.mark.usefixtures("scripted")

ON_ITS_OWN = """
import holdfast.recovery.steps
holdfast.recovery.steps.__path__.append({folder!r})
from flows.disaster_recovery import disaster_recovery
disaster_recovery({plan!r}, job_id={job_id!r})
"""
LOOK = step("look", type="scripted_look")


def _row(installation: Installation, execution_id: str) -> Execution:
    with installation.catalog() as catalog:
        found = catalog.executions.find(execution_id)
    assert found is not None
    return found


def _wait(until: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 60
    while not (found := until()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.05)
    return found


def _states(found: Json) -> dict[str, str]:
    return {one["id"]: one["outcome"] for one in found["steps"]}


def test_steps_are_done_in_order_recorded_and_told(installation: Installation, planned: Planned, tmp_path: Path) -> None:
    planned("whole", LOOK, step("b", "look", order=2), step("a", "look", order=1), step("last", "a", "b", retryCount=1, fails=1))
    event_at = datetime.now(UTC) - timedelta(seconds=2)
    facts = {"table": "public.articles"}
    found = disaster_recovery("whole", "database_corruption", facts=facts, event_id="e-1", occurred_at=event_at)
    assert found["status"] == "success"
    assert log(tmp_path)[0] == "look"
    assert sorted(log(tmp_path)[1:3]) == ["a", "b"]
    assert log(tmp_path)[3:] == ["last", "last"], "a step that failed once was not tried again"
    row = _row(installation, found["executionId"])
    assert (row.status, row.trigger, row.facts, row.mode) == ("success", "database_corruption", facts, "run")
    assert [(one.name, one.state, one.attempts) for one in row.steps] == [
        ("Look", "done", 1),
        ("A", "done", 1),
        ("B", "done", 1),
        ("Last", "done", 2),
    ]
    assert row.step("last").output == {"mode": "run", "saw": ["a", "b", "look"]}
    assert row.duration_ms is not None
    assert row.metadata["eventToFirstStepSeconds"] >= 2
    assert Journal(installation.home).read(row.id) == row
    assert installation.task_names(UUID(row.metadata["flowRunId"])) == {"Look", "A", "B", "Last"}
    assert installation.events(row.id)["holdfast.recovery.completed"]["planId"] == "whole"
    assert "The plan whole (whole)" in installation.artifacts("recovery-summary")[-1]


def test_independent_steps_are_at_work_at_the_same_time(planned: Planned, tmp_path: Path) -> None:
    planned("at_once", step("a", waits_for="b-is-there"), step("b"), step("then", "b"))

    def once_then_has_begun() -> None:
        _wait(lambda: "then" in log(tmp_path), "the step after b")
        (tmp_path / "b-is-there").touch()

    helper = threading.Thread(target=once_then_has_begun)
    helper.start()
    assert disaster_recovery("at_once")["status"] == "success"
    helper.join()


def test_a_failed_step_stops_what_waits_for_it_alone_and_says_how_to_go_on_and_how_to_undo(
    installation: Installation, planned: Planned, tmp_path: Path
) -> None:
    steps = step("first"), step("bad", "first", fails=1, error="refused", retryCount=3), step("after", "bad"), step("alone")
    planned("fails", *steps)
    with pytest.raises(RecoveryFailedError, match="Bad failed") as failure:
        disaster_recovery("fails")
    assert failure.value.found is not None
    found = dict(failure.value.found)
    assert found["status"] == "partial"
    assert _states(found) == {"first": "done", "alone": "done", "bad": "failed", "after": "left out"}
    assert log(tmp_path).count("bad") == 1, "what was refused was tried again"
    assert f"holdfast recover --resume {found['executionId']}" in str(failure.value)
    assert f"holdfast recover --roll-back {found['executionId']}" in str(failure.value)
    assert _row(installation, found["executionId"]).error == "Bad: bad failed as scripted"

    again = disaster_recovery("fails", resume=found["executionId"])
    assert (again["status"], again["executionId"]) == ("success", found["executionId"])
    assert [one["attempts"] for one in again["steps"] if one["id"] == "bad"] == [2]
    assert log(tmp_path).count("first") == 1, "a finished step was done again"
    with pytest.raises(RefusedError, match="has ended well"):
        disaster_recovery("fails", resume=found["executionId"])

    back = disaster_recovery("fails", mode="roll_back", resume=found["executionId"])
    assert _states(back) == dict.fromkeys(("first", "bad", "after", "alone"), "undone")
    assert log(tmp_path)[-4:][0] == "unafter"
    assert log(tmp_path).index("unbad") < log(tmp_path).index("unfirst")
    row = _row(installation, found["executionId"])
    assert (row.status, row.error) == ("failed", "it was rolled back")
    with pytest.raises(RefusedError, match="can be undone"):
        disaster_recovery("fails", mode="roll_back", resume=found["executionId"])


def test_a_healthy_system_is_left_alone_and_drilled_all_the_same(
    installation: Installation, planned: Planned, tmp_path: Path
) -> None:
    planned("well", LOOK, step("mend", "look"), step("tell", "mend", type="scripted_tell"))
    (tmp_path / "state").write_text("healthy")
    found = disaster_recovery("well")
    assert (found["status"], _states(found)) == ("success", {"look": "done", "mend": "left out", "tell": "left out"})
    (tmp_path / "state").write_text("slow")
    found = disaster_recovery("well")
    assert (found["status"], _states(found)) == ("success", {"look": "done", "mend": "left out", "tell": "done"})
    drill = disaster_recovery("well", "test_trigger")
    assert (drill["mode"], drill["status"], _states(drill)["mend"]) == ("drill", "success", "done")
    assert {one["id"]: one["output"].get("mode") for one in drill["steps"]}["mend"] == "drill"
    with installation.catalog() as catalog:
        tested = catalog.plans.find("well")
    assert tested is not None
    assert tested.last_tested is not None


def test_looking_ahead_says_what_would_be_done_and_leaves_no_trace(
    installation: Installation, planned: Planned, tmp_path: Path
) -> None:
    planned("ahead", LOOK, step("mend", "look"), step("after", "mend"), requiresApproval=True)
    found = disaster_recovery("ahead", mode="plan")
    assert (found["status"], _states(found)) == ("planned", {"look": "done", "mend": "waiting", "after": "waiting"})
    assert [one["would"] for one in found["steps"]][1] == [f"It would write mend into {tmp_path.name}."]
    assert found["asks"] == ["the plan ahead says so"]
    assert log(tmp_path) == ["look"], "more than an assessment was done"
    assert Journal(installation.home).read(found["executionId"]) is None
    with installation.catalog() as catalog:
        assert catalog.executions.find(found["executionId"]) is None
    assert installation.repository.leases() == []


@contextmanager
def _at_work(*parameters: str, **more: Any) -> Iterator[list[Json]]:
    """Carry out a plan in another thread; what came of it is in the list afterwards."""
    done: list[Json] = []
    thread = threading.Thread(target=lambda: done.append(disaster_recovery(*parameters, **more)))
    thread.start()
    try:
        yield done
    finally:
        thread.join()


@contextmanager
def _begun(folder: Path, step_id: str) -> Iterator[None]:
    _wait(lambda: step_id in log(folder), f"the step {step_id}")
    yield


def test_a_plan_is_executed_once_at_a_time_and_what_works_on_the_same_waits(
    installation: Installation, planned: Planned, tmp_path: Path
) -> None:
    planned("busy", step("a", waits_for="go", touches=["database"]))
    planned("other", step("z", touches=["database", "service:web"]))
    with _at_work("busy") as first, _begun(tmp_path, "a"), _at_work("other") as second:
        with installation.catalog() as catalog:
            waiting = _wait(lambda: [one for one in catalog.executions.open_work() if one.waiting_for], "the one that waits")
        assert "another execution that works on database" in str(waiting[0].waiting_for)
        with pytest.raises(BusyError, match="recovery by the plan busy") as refused:
            disaster_recovery("busy")
        assert refused.value.exit_code == ExitCode.BUSY
        by_event = disaster_recovery("busy", "database_unavailable", event_id="e-2")
        assert by_event["status"] == "left to another"
        assert "already being seen to" in by_event["note"]
        (tmp_path / "go").touch()
    assert first[0]["status"] == second[0]["status"] == "success"
    assert log(tmp_path) == ["a", "z"]
    with installation.catalog() as catalog:
        assert len(catalog.executions.list("busy")) == 1, "a run that stepped back left a row"


def test_an_execution_that_was_killed_goes_on_where_it_was(installation: Installation, planned: Planned, tmp_path: Path) -> None:
    planned("killed", step("a"), step("b", "a", waits_for="go"), step("c", "b"))
    code = ON_ITS_OWN.format(folder=str(FOLDER), plan="killed", job_id="recovery_1_killed")
    environment = os.environ | {"PREFECT_API_URL": installation.prefect_url}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait(lambda: "b" in log(tmp_path) or process.poll() is not None, "the second step")
        finally:
            process.kill()
    assert log(tmp_path) == ["a", "b"]
    with installation.catalog() as catalog:
        assert _row(installation, "recovery_1_killed").status == "running"
        del catalog
    planned("looks", step("x"))
    disaster_recovery("looks")  # any flow that looks closes what is dead
    dead = _row(installation, "recovery_1_killed")
    assert (dead.status, dead.error, dead.step("b").state) == ("partial", "its process died before it had ended", "failed")
    (tmp_path / "go").touch()
    found = disaster_recovery("killed", resume="recovery_1_killed")
    assert found["status"] == "success"
    assert log(tmp_path) == ["a", "b", "x", "b", "c"]
    assert [one["attempts"] for one in found["steps"]] == [1, 2, 1]


def test_an_execution_that_is_told_to_end_does_so_at_once_and_says_how_far_it_was(
    installation: Installation, planned: Planned, tmp_path: Path
) -> None:
    planned("ends", step("a"), step("b", "a", waits_for="go", retryCount=3))
    code = ON_ITS_OWN.format(folder=str(FOLDER), plan="ends", job_id="recovery_1_ends")
    environment = os.environ | {"PREFECT_API_URL": installation.prefect_url}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait(lambda: "b" in log(tmp_path) or process.poll() is not None, "the second step")
            process.terminate()
            process.communicate(timeout=15)
        finally:
            process.kill()
    row = _row(installation, "recovery_1_ends")
    assert (row.status, row.step("a").state, row.step("b").state) == ("partial", "done", "failed")
    assert "its process was told to end" in str(row.error)
    assert log(tmp_path) == ["a", "b"], "a step was tried again though all was to end"
    assert not [lease for lease in installation.repository.leases() if "plan ends" in lease.purpose]


def test_a_lost_catalog_stops_no_execution_and_no_resume(
    installation: Installation, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned("no_catalog", step("a"), step("b", "a", fails=1, error="refused"))
    disaster_recovery("no_catalog", mode="plan")  # the home has written its plans down
    with monkeypatch.context() as lost:
        lost.setenv("BACKUP_CATALOG_URL", "postgresql://keeper@127.0.0.1:9/catalog")
        with pytest.raises(RecoveryFailedError):
            disaster_recovery("no_catalog", job_id="recovery_1_lost")
        found = disaster_recovery("no_catalog", resume="recovery_1_lost")
    assert (found["status"], log(tmp_path)) == ("success", ["a", "b", "b"])


def test_a_step_ends_with_its_time_and_one_that_does_not_heed_it_is_left_behind(
    planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_tasks, "GIVE_UP_SECONDS", 0.5)
    heeds = step("heeds", waits_for="never", timeout=0.002)
    hangs = step("hangs", waits_for="at-the-end", timeout=0.002, heeds_its_deadline=False)
    planned("slow", heeds, hangs, step("after", "hangs"), step("alone"))
    with pytest.raises(RecoveryFailedError) as failure:
        disaster_recovery("slow")
    (tmp_path / "at-the-end").touch()
    assert failure.value.found is not None
    said = {one["id"]: one["error"] for one in failure.value.found["steps"]}  # type: ignore[attr-defined]
    assert "did not end within 0.002 minutes" in said["heeds"]
    assert "was left behind" in said["hangs"]
    assert _states(failure.value.found)["alone"] == "done"


# A person's approval


def _suspended(plan_id: str) -> UUID:
    """Run a deployment's run until it suspends, as a worker would; return its id."""
    with get_client(sync_client=True) as client:
        deployment_id = client.create_deployment(client.create_flow(disaster_recovery), "on-demand")
        run = client.create_flow_run_from_deployment(deployment_id, parameters={"plan_id": plan_id})
    with pytest.raises(Pause):
        _again(run.id)
    return run.id


def _again(flow_run_id: UUID) -> Any:
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(flow_run_id)
    return run_flow(flow=disaster_recovery, flow_run=run)


def _waiting(installation: Installation, plan_id: str) -> Execution:
    with installation.catalog() as catalog:
        (found,) = catalog.executions.list(plan_id, "running")
    assert found.waiting_for == APPROVAL
    return found


def test_a_suspended_run_holds_nothing_shows_what_is_at_stake_and_goes_on_when_it_is_approved_by_the_api(
    installation: Installation, planned: Planned, tmp_path: Path
) -> None:
    planned("asks", LOOK, step("mend", "look"), requiresApproval=True)
    flow_run_id = _suspended("asks")
    assert log(tmp_path) == ["look"]
    assert not [lease for lease in installation.repository.leases() if "asks" in lease.purpose]
    waiting = _waiting(installation, "asks")
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run_id).state
        assert state is not None
        assert (state.name, state.state_details.pause_reschedule) == ("Suspended", True)
        keys = state.state_details.run_input_keyset or {}
        page = client.read_flow_run_input(flow_run_id, keys["description"])
    assert "The plan asks" in page
    assert "It would write mend" in page

    with pytest.raises(BusyError, match="waits for a person's approval") as busy:
        disaster_recovery("asks")
    assert f"--approve {waiting.id}" in str(busy.value)
    assert disaster_recovery("asks", "database_unavailable", event_id="e-3")["status"] == "left to another"
    assert close_dead_executions(_Rows(installation), lambda _: False, "it died") == [], "who waits was taken for dead"

    with get_client(sync_client=True) as client:
        said = {"run_input": {"approve": True, "by": "the API", "comment": "go"}}
        assert client._client.post(f"/flow_runs/{flow_run_id}/resume", json=said).json()["status"] == "ACCEPT"
    found = _again(flow_run_id)
    assert (found["status"], found["approvedBy"], found["executionId"]) == ("success", "the API", waiting.id)
    assert log(tmp_path) == ["look", "mend"]


def _Rows(installation: Installation) -> Any:
    from holdfast.catalog import Mirror
    from holdfast.opening import open_catalog

    return Mirror(lambda: open_catalog(installation.settings))


def test_a_denial_ends_the_execution_with_nothing_changed(
    installation: Installation, planned: Planned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned("denied", LOOK, step("mend", "look"), requiresApproval=True)
    flow_run_id = _suspended("denied")
    waiting = _waiting(installation, "denied")
    assert holdfast(["recover", "--list"]) == ExitCode.DONE
    assert f"{waiting.id}" in (listed := capsys.readouterr().out)
    assert "waits" in listed, "in a narrow terminal its words are on several lines"
    assert holdfast(["recover", "--deny", waiting.id, "--comment", "not on a Friday"]) == ExitCode.DONE
    with pytest.raises(ApprovalDeniedError, match="not on a Friday"):
        _again(flow_run_id)
    row = _row(installation, waiting.id)
    assert (row.status, log(tmp_path)) == ("failed", ["look"])
    assert "was not approved" in str(row.error)
    with pytest.raises(RefusedError, match="does not wait for an approval"):
        give(find_execution(waiting.id), Answer(True, "too late"))


def test_nobody_approves_in_time(installation: Installation, planned: Planned, tmp_path: Path) -> None:
    planned("late", LOOK, step("mend", "look"), requiresApproval=True)
    flow_run_id = _suspended("late")
    waiting = _waiting(installation, "late")
    with get_client(sync_client=True) as client:
        from prefect.states import Failed

        client.set_flow_run_state(flow_run_id, Failed(message="The flow was paused and never resumed."), force=True)
    assert state_of(str(flow_run_id)) == "ended"
    planned("looks_too", step("x"))
    disaster_recovery("looks_too")
    row = _row(installation, waiting.id)
    assert (row.status, row.error) == ("failed", "nobody approved it within 24 hours")
    assert "mend" not in log(tmp_path)


def test_at_a_terminal_whoever_sits_there_is_asked_and_without_one_it_is_refused(
    installation: Installation, planned: Planned, tmp_path: Path
) -> None:
    planned("here", LOOK, step("mend", "look"))
    (tmp_path / "ask").write_text("rows are newer than the backup")
    with pytest.raises(ApprovalNeededError, match="rows are newer than the backup") as needed:
        disaster_recovery("here")
    assert needed.value.found is not None
    assert _row(installation, str(needed.value.found["executionId"])).status == "failed"
    asked: list[Execution] = []
    with asked_by(lambda execution: asked.append(execution) or Answer(True, "me")):  # type: ignore[func-returns-value]
        found = disaster_recovery("here")
    assert (found["status"], found["approvedBy"], len(asked)) == ("success", "me", 1)
    assert log(tmp_path) == ["look", "look", "mend"]
    assert disaster_recovery("here", approved_by="me, beforehand")["approvedBy"] == "me, beforehand"


def test_who_is_asked_sees_what_would_be_lost(installation: Installation, planned: Planned, tmp_path: Path) -> None:
    backup_id = database_backup()["jobId"]
    restore = step("bring_back", "look", type="backup_restore", timeout=15, backupType="database")
    planned("loses", LOOK, restore, requiresApproval=True)
    (tmp_path / "state").write_text("damaged")
    installation.sql("CREATE TABLE newer (id int); INSERT INTO newer SELECT generate_series(1, 7)")
    installation.sql("INSERT INTO tags SELECT g, 'new' FROM generate_series(1000, 1002) AS g")
    said: list[str] = []
    try:
        with closing(connect(installation.source)), asked_by(lambda one: _heard(said, one)), pytest.raises(ApprovalDeniedError):
            disaster_recovery("loses", job_id="recovery_1_loses")
        assert installation.sql("SELECT count(*) FROM newer") == [(7,)], "what is live was changed"
    finally:
        installation.sql("DROP TABLE newer; DELETE FROM tags WHERE id >= 1000")
    text = "\n".join(said)
    assert f"The backup {backup_id} is of " in text
    assert "At least 10 rows would be lost, of 2 tables:" in text
    assert "- public.newer: 7 of 7 rows, a table that the backup has not" in text
    assert "- public.tags: 3 of 53 rows" in text
    stakes = _row(installation, "recovery_1_loses").metadata["stakes"]
    assert stakes["openConnections"] >= 1
    assert 0 <= stakes["backupAgeSeconds"] < 600
    assert stakes["notKnown"] == []


def _heard(said: list[str], execution: Execution) -> Answer:
    said += question(execution)
    return Answer(False, "me")


def test_people_are_told_that_it_begins_and_how_it_ended(
    planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned("told", LOOK, step("mend", "look", fails=1, error="refused"), requiresApproval=True)
    with http_receiver() as receiver:
        block = CustomWebhookNotificationBlock(
            name="told-recovery", url=f"{receiver.url}/hook", json_data={"subject": "{{subject}}", "body": "{{body}}"}
        )
        block.save("told-recovery", overwrite=True)
        monkeypatch.setenv("BACKUP_NOTIFICATION_CHANNELS", "told-recovery")
        with asked_by(lambda _: Answer(True, "me")), pytest.raises(RecoveryFailedError):
            disaster_recovery("told", "database_corruption", facts={"table": "public.articles"}, job_id="recovery_1_told")
        told = _wait(lambda: len(receiver.got) >= 3 and [one for _, one in receiver.got], "the last message")
    subjects = sorted(one["subject"].removeprefix("[Holdfast] Recovery ") for one in told)
    assert subjects == [
        "begins: The plan told",
        "goes on: The plan told",
        "was done in part, then failed: The plan told",
    ]
    bodies = "\n".join(one["body"] for one in told)
    assert "What started it: database_corruption (table public.articles)" in bodies
    assert "FAILED: Mend: mend failed as scripted" in bodies
    assert "What to do: 'holdfast recover --resume recovery_1_told' goes on where it stopped" in bodies


def test_the_command_line_tells_what_was_done_and_ends_with_what_came_of_it(
    planned: Planned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned("typed", LOOK, step("mend", "look", fails=1, error="refused"))
    assert holdfast(["recover", "typed"]) == ExitCode.WORK_FAILED
    said = capsys.readouterr()
    assert "✗ Mend: failed\n      mend failed as scripted\n" in said.out
    assert "Go on where it stopped: holdfast recover --resume recovery_" in said.out
    assert "✓ Look: done" in said.err
    execution_id = said.out.rpartition("--resume ")[2].split()[0]
    assert holdfast(["recover", "--resume", execution_id]) == ExitCode.DONE
    assert "The plan typed is done" in capsys.readouterr().out
    assert holdfast(["recover", "--roll-back", execution_id]) == ExitCode.DONE
    assert "↶ Mend: undone (unwrote mend)" in capsys.readouterr().out
    assert holdfast(["recover", "typed", "--mode", "plan"]) == ExitCode.DONE
    assert "It would write mend" in capsys.readouterr().out
    assert holdfast(["recover", "typed", "--resume", "x"]) == ExitCode.USAGE
    assert holdfast(["recover", "nothing-of-the-kind"]) == ExitCode.NOT_FOUND


ANOTHER = """
from pathlib import Path
from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work

class MarkParameters(Parameters):
    folder: str

class Mark(StepType[MarkParameters]):
    name = "mark"
    minutes = (1, 5)
    parameters = MarkParameters

    def foresee(self, work: Work, parameters: MarkParameters) -> list[str]:
        return ["It would leave a mark."]

    def run(self, work: Work, parameters: MarkParameters) -> Outcome:
        (Path(parameters.folder) / "log").write_text("marked")
        return Outcome("it left a mark")

TYPE = Mark()
"""


def test_another_type_of_step_is_added_by_writing_one_file(planned: Planned, tmp_path: Path) -> None:
    folder = tmp_path / "types"
    folder.mkdir()
    (folder / "mark_of_a_test.py").write_text(ANOTHER)
    with scripted_types(folder):
        planned("another", step("m", type="mark"))
        assert disaster_recovery("another")["status"] == "success"
    assert log(tmp_path) == ["marked"]
    sys.modules.pop("holdfast.recovery.steps.mark_of_a_test")
