"""Work that is started over the HTTP API: its job is there at once, runs once, and is followed to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.states import Cancelled, Completed
from pydantic import SecretStr

from api.parts import Parts
from flows.backup_all import backup_all
from flows.cleanup import cleanup
from flows.database_backup import database_backup
from flows.restore import restore
from flows.verification import verification
from holdfast.catalog import Mirror
from holdfast.opening import open_catalog
from holdfast.settings import load_settings
from orchestration.dead_work import CANCELLED, GONE, close_dead_work
from orchestration.declared import declared
from orchestration.deployments import remove
from orchestration.registering import Place, Registering, flow_of
from orchestration.schedules import AS_DECLARED
from orchestration.work_pool import WORK_POOL, work_pool
from tests.api.answering import answering
from tests.flows.conftest import Installation

FLOWS: dict[str, Callable[..., Any]] = {
    "database-backup": database_backup,
    "backup-all": backup_all,
    "database-verification": verification,
    "restore": restore,
    "cleanup": cleanup,
}
DIES_BETWEEN = """
import os, signal
from api import starting
from api.action import Asked, perform
from api.caller import Caller
from api.handlers.backups import BACK_UP, BackupRequest
from api.parts import Parts
starting._announce = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
caller = Caller("loopback", frozenset({"backup"}), "127.0.0.1", "loopback")
perform(BACK_UP, Asked(Parts(), caller, BackupRequest(type="database"), "the key of one that dies"))
"""
"""The process of the API, killed when the run is there and nobody was told of it."""


@pytest.fixture(scope="module")
def prefect(installation: Installation) -> Iterator[SyncPrefectClient]:
    """The server, where what the tests start is deployed; nobody takes the runs, and no schedule makes any."""
    with get_client(sync_client=True) as client:
        work_pool(client, WORK_POOL)
        for one in [one for one in declared(None) if one.base in FLOWS]:
            made = Registering(client, one, None, AS_DECLARED).register(flow_of(one), Place())
            for schedule in client.read_deployment_schedules(made.id):
                client.update_deployment_schedule(made.id, schedule.id, active=False)
        yield client
        remove(None)


@pytest.fixture(scope="module")
def api(installation: Installation, prefect: SyncPrefectClient) -> Iterator[httpx.Client]:
    with installation.catalog():  # its server runs from then on
        pass
    with answering(Parts()) as client:
        yield client


def _run_of(client: SyncPrefectClient, job_id: str) -> FlowRun:
    (run,) = client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[f"job:{job_id}"])))
    return run


def _carry_out(client: SyncPrefectClient, job_id: str) -> Any:
    """Do what a worker does, here."""
    run = _run_of(client, job_id)
    name = client.read_deployment(run.deployment_id).name
    return run_flow(FLOWS[name], flow_run=run, parameters=dict(run.parameters))


def test_a_backup_is_pending_at_once_then_followed_to_its_end(
    installation: Installation, prefect: SyncPrefectClient, api: httpx.Client
) -> None:
    asked = api.post("/v1/backups", json={"type": "database"})
    assert asked.status_code == 202
    begun = asked.json()
    assert (begun["kind"], begun["type"], begun["status"]) == ("backup", "database", "pending")
    assert "no worker is there" in begun["notes"][0]
    job_id = begun["jobId"]
    row = installation.row(job_id)
    assert (row.status, row.metadata["askedBy"], row.metadata["flowRunId"]) == ("pending", "loopback", begun["run"]["id"])
    assert job_id in prefect.read_flow_run(UUID(begun["run"]["id"])).name
    waits = api.get(f"/functions/v1/backup?action=job&jobId={job_id}&type=backup&wait=0.1").json()
    assert (waits["status"], waits["run"]["state"], waits["askedBy"]) == ("pending", "Scheduled", "loopback")

    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(api.get, f"/v1/jobs/{job_id}?wait=20") for _ in range(10)]
        _carry_out(prefect, job_id)
        ended = [one.result().json() for one in waiting]
    assert {one["status"] for one in ended} == {"completed"}
    alone = api.get(f"/v1/jobs/{job_id}").json()  # of ten who ask at once some are told what the catalog has noted
    assert {entry["name"] for entry in alone["entries"]} >= {"base"}
    assert (ended[0]["kind"], ended[0]["askedBy"]) == ("backup", "loopback")
    assert ended[0]["run"]["url"].endswith(begun["run"]["id"])
    assert _run_of(prefect, job_id).name == f"back up holdfast-database, {job_id}"
    assert api.get("/v1/backups?limit=1").json()["backups"][0]["jobId"] == job_id


def test_a_request_that_is_repeated_with_its_key_starts_nothing(prefect: SyncPrefectClient, api: httpx.Client) -> None:
    def ask(body: dict[str, Any]) -> httpx.Response:
        return api.post("/v1/verifications", json=body, headers={"Idempotency-Key": "the same"})

    body = {"backupId": "latest", "type": "database", "level": "stored"}
    with ThreadPoolExecutor() as pool:
        answers = [one.result() for one in [pool.submit(ask, body) for _ in range(4)]]
    assert {one.status_code for one in answers} == {202}
    (job_id,) = {one.json()["jobId"] for one in answers}
    _run_of(prefect, job_id)
    other = ask({**body, "level": "read"})
    assert (other.status_code, other.json()["code"]) == (422, "HF-415")

    _carry_out(prefect, job_id)
    assert ask(body).json()["jobId"] == job_id
    found = api.get(f"/v1/jobs/{job_id}").json()
    assert (found["kind"], found["status"], found["level"], found["ok"]) == ("verification", "completed", "stored", True)


def test_an_api_that_is_killed_before_it_answers_has_the_work_done_once(
    installation: Installation, prefect: SyncPrefectClient, api: httpx.Client
) -> None:
    del installation
    died = subprocess.run([sys.executable, "-c", DIES_BETWEEN], env=os.environ, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    answer = api.post("/v1/backups", json={"type": "database"}, headers={"Idempotency-Key": "the key of one that dies"}).json()
    _run_of(prefect, answer["jobId"])
    assert api.get(f"/v1/jobs/{answer['jobId']}").json()["status"] == "pending"


def test_a_run_that_was_cancelled_or_deleted_before_it_began_ends_its_job_and_one_that_waits_goes_on_waiting(
    installation: Installation, prefect: SyncPrefectClient, api: httpx.Client
) -> None:
    cancelled, untold, gone, waits = (api.post("/v1/cleanups", json={"dryRun": True}).json()["jobId"] for _ in range(4))
    prefect.set_flow_run_state(_run_of(prefect, cancelled).id, Cancelled(), force=True)
    prefect.set_flow_run_state(_run_of(prefect, untold).id, Completed(), force=True)
    prefect.delete_flow_run(_run_of(prefect, gone).id)
    soon = api.get(f"/v1/jobs/{cancelled}").json()
    assert (soon["status"], "is closed when the next one begins" in soon["notes"][0]) == ("pending", True)
    mirror = Mirror(lambda: open_catalog(installation.settings))
    try:
        assert {cancelled, untold, gone} <= set(close_dead_work(mirror, installation.repository))
    finally:
        mirror.close()
    found = api.get(f"/v1/jobs/{cancelled}").json()
    assert (found["kind"], found["status"], found["error"]) == ("cleanup", "cancelled", CANCELLED)
    assert api.get(f"/v1/jobs/{untold}").json()["status"] == "completed"
    found = api.get(f"/v1/jobs/{gone}").json()
    assert (found["status"], found["error"]) == ("failed", f"its run ended before it began: {GONE}")
    assert api.get(f"/v1/jobs/{waits}").json()["status"] == "pending"
    assert _carry_out(prefect, waits).unwrap()["dryRun"]
    assert api.get(f"/v1/jobs/{waits}").json()["dryRun"]


def test_a_run_that_nobody_gave_an_id_is_named_after_its_job(installation: Installation, prefect: SyncPrefectClient) -> None:
    made = cleanup(dry_run=True).unwrap()
    with installation.catalog() as catalog:
        row = catalog.maintenance.find(made["jobId"])
    assert row is not None
    assert row.document is not None
    assert (row.kind, row.status, row.document["dryRun"]) == ("cleanup", "completed", True)
    assert prefect.read_flow_run(UUID(row.metadata["flowRunId"])).name == f"clean up, {made['jobId']}"


def test_a_restore_lands_beside_what_is_live_and_never_where_a_request_would_have_it(
    installation: Installation, prefect: SyncPrefectClient, api: httpx.Client
) -> None:
    _carry_out(prefect, api.post("/v1/backups", json={"type": "database"}).json()["jobId"])
    begun = api.post("/functions/v1/backup?action=restore", json={"backupId": "latest", "type": "database"}).json()
    block, _, database = begun["target"].partition("/")
    assert (block, database.startswith("pipeline_restored_"), begun["mode"]) == ("holdfast-database", True, "new")
    assert _carry_out(prefect, begun["jobId"])["status"] == "completed"
    assert installation.sql("SELECT count(*) FROM articles", database=database) == [(6000,)]
    installation.sql(f'DROP DATABASE "{database}"')
    found = api.get(f"/v1/restores/{begun['jobId']}").json()
    assert (found["status"], found["kind"], database in found["target"]) == ("completed", "restore", True)

    for wrong in (
        {"target": "postgresql://elsewhere/x"},
        {"target": "/etc"},
        {"fromReplica": "file:///x"},
        {"mode": "promote"},
        {"only": ["x"]},
        {"envFile": "/etc/x"},
    ):
        refused = api.post("/v1/restores", json={"backupId": "latest", "type": "database", **wrong})
        assert (refused.status_code, refused.json()["code"]) == (422, "HF-207"), wrong
    unknown = api.post("/v1/restores", json={"backupId": "backup_of_nobody", "type": "database"})
    assert unknown.status_code == 404


def test_the_guides_test_backup_is_restored_into_scratch_and_thrown_away(prefect: SyncPrefectClient, api: httpx.Client) -> None:
    begun = api.post("/functions/v1/backup?action=restore", json={"backupId": "test_backup", "type": "database"}).json()
    assert (begun["kind"], begun["mode"], begun["target"]) == ("verification", "test", None)
    assert _run_of(prefect, begun["jobId"]).parameters["level"] == "proven"


def test_all_that_is_on_is_one_job_whose_parts_are_known_at_once(prefect: SyncPrefectClient, api: httpx.Client) -> None:
    begun = api.post("/functions/v1/backup?action=backup-all").json()
    ((part, kind),) = [(one["jobId"], one["type"]) for one in begun["jobs"]]
    assert kind == "database"
    assert api.get(f"/v1/jobs/{part}").json()["status"] == "pending"
    (made,) = _carry_out(prefect, begun["jobId"])
    assert made["jobId"] == part
    whole = api.get(f"/v1/jobs/{begun['jobId']}").json()
    assert (whole["kind"], whole["type"], whole["status"]) == ("backup", "all", "completed")
    assert [one["jobId"] for one in whole["jobs"]] == [part]
    off = api.post("/functions/v1/backup?action=backup-function")
    assert (off.status_code, "BACKUP_FUNCTIONS_PATH" in off.json()["detail"]) == (409, True)


def test_work_is_started_and_followed_while_the_catalog_is_down(prefect: SyncPrefectClient) -> None:
    gone = SecretStr("postgresql://nobody@127.0.0.1:1/gone")
    with answering(Parts(lambda: load_settings().model_copy(update={"catalog_url": gone}))) as client:
        begun = client.post("/v1/cleanups", json={"dryRun": True})
        assert begun.status_code == 202
        found = client.get(f"/v1/jobs/{begun.json()['jobId']}").json()
        assert (found["kind"], found["type"], found["status"], found["askedBy"]) == ("cleanup", "cleanup", "pending", "loopback")
        assert client.get("/v1/jobs/nobody_knows").status_code == 503
    prefect.delete_flow_run(UUID(begun.json()["run"]["id"]))


def test_pages_of_jobs_hold_each_job_once_though_others_are_added(installation: Installation, api: httpx.Client) -> None:
    with installation.catalog() as catalog:
        for number in range(7):
            catalog.maintenance.open(f"report_of_pages_{number}", "report", "report")
        seen: list[str] = []
        cursor, following = "", ""
        for added in range(20):
            page = api.get(f"/v1/jobs?kind=report&limit=3{cursor}").json()
            seen += [one["jobId"] for one in page["jobs"]]
            catalog.maintenance.open(f"report_added_{added}", "report", "report")
            if page["nextCursor"] is None:
                break
            following = page["nextCursor"]
            cursor = f"&cursor={following}"
    ours = [one for one in seen if one.startswith("report_of_pages_")]  # other tests report, too
    assert ours == [f"report_of_pages_{number}" for number in reversed(range(7))]
    assert len(set(seen)) == len(seen)
    everything = api.get("/v1/jobs?limit=200&since=24h").json()["jobs"]
    assert {*ours} <= {one["jobId"] for one in everything}
    began = [one["startedAt"] for one in everything]
    assert began == sorted(began, reverse=True)
    changed = following[:12] + ("A" if following[12] != "A" else "B") + following[13:]
    for kind, tampered in (("report", f"{following}x"), ("report", changed), ("drill", following)):
        refused = api.get(f"/v1/jobs?kind={kind}&cursor={tampered}")
        assert (refused.status_code, "cursor" in refused.json()["fields"]) == (422, True)
