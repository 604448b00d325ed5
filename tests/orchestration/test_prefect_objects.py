"""Orchestration itself comes back: what was deployed, scheduled and automated is rebuilt on a server that lost it."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from blocks.server_objects import read_all
from holdfast.errors import NotFoundError, PrefectUnreachableError, RefusedError, SettingsError
from holdfast.repository import canonical
from holdfast.settings import Settings
from holdfast.sources.configuration.prefect_diff import LEFT_OUT, diff_prefect_objects
from orchestration.automations import SILENT_RUNS
from orchestration.declared import REPLICATION_TRIGGER, TRIGGERS
from orchestration.deployments import deploy
from orchestration.local_server import LocalServer
from orchestration.prefect_objects import read_prefect_objects, restore_prefect_objects
from orchestration.server import use
from tests.postgres.servers import server_folder
from tests.prefect_homes import prepare_home

Json = dict[str, Any]
CANARY = "canary-of-prefects-objects-77aa"
BACKUP = "database_backup/database-backup"
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RESTORE_IN_A_PROCESS = """
import json, sys
from orchestration.prefect_objects import restore_prefect_objects
restore_prefect_objects(json.load(sys.stdin))
"""


class Server:
    """The API as any other client sees it."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client

    def ask(self, method: Any, path: Any, body: Json | None = None) -> Any:
        answer = self._client.request(method, path, json=body or {})
        return answer.json() if answer.content else None

    def all(self, kind: str) -> list[Json]:
        found: list[Json] = self.ask("POST", f"/{kind}/filter")
        return found

    def deployment(self, name: str) -> Json:
        found: Json = self.ask("GET", f"/deployments/name/{name}")
        return found

    def automate(self, name: str, *actions: Json, **others: Any) -> str:
        trigger = {"type": "event", "posture": "Reactive", "expect": ["holdfast.backup.failed", "holdfast.alert"], "within": 0}
        body = {"name": name, "trigger": trigger, "actions": list(actions)} | others
        return str(self.ask("POST", "/automations/", body)["id"])

    def save_block(self, name: str) -> str:
        """Save a Secret block, the kind that every server knows."""
        kind = self.ask("GET", "/block_types/slug/secret")["id"]
        schemas = self.ask("POST", "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}})
        body = {"name": name, "block_type_id": kind, "block_schema_id": schemas[0]["id"], "data": {"value": CANARY}}
        return str(self.ask("POST", "/block_documents/", body)["id"])

    def wipe(self) -> None:
        for kind in ("automations", "flows", "variables", "block_documents"):
            while found := self.all(kind):
                for one in found:
                    self.ask("DELETE", f"/{kind}/{one['id']}")
        for pool in self.all("work_pools"):
            self.ask("DELETE", f"/work_pools/{pool['name']}")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The home of a server."""
    with server_folder() as folder:
        prepare_home(folder / "home")
        yield folder / "home"


@pytest.fixture(scope="module")
def deployed(home: Path) -> Iterator[Json]:
    """A server on which this project was deployed, which is `used` by this process; what was read of it then."""
    before = os.environ.copy()
    os.environ["PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS"] = "2"
    for service in ("EVENT_PERSISTER", "TRIGGERS", "FOREMAN", "LATE_RUNS", "TASK_RUN_RECORDER"):
        os.environ[f"PREFECT_SERVER_SERVICES_{service}_ENABLED"] = "false"  # a busy SQLite makes every request wait for seconds
    server = LocalServer(home)
    try:
        url = server.start()
        use(server, url)
        context = prefect.context.get_settings_context()
        with temporary_settings({PREFECT_API_URL: url}), prefect.context._temporary_global_settings_context(context):
            deploy(Settings(home=home))
            yield read_prefect_objects()
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


@pytest.fixture
def server(deployed: Json) -> Iterator[Server]:
    """The server, with nothing on it but this project."""
    with get_client(sync_client=True) as client:
        made = Server(client)
        made.wipe()
        restore_prefect_objects(deployed)
        yield made


@pytest.fixture
def lived_in(server: Server) -> Server:
    """The project after somebody has worked with it: schedules, limits, queues, variables and automations of all kinds."""
    queue = {"name": "nights", "priority": 1, "concurrency_limit": 2, "description": "Slow work."}
    server.ask("POST", "/work_pools/holdfast/queues", queue)
    deployment = server.deployment(BACKUP)
    fields = ("name", "flow_id", "entrypoint", "parameter_openapi_schema", "pull_steps", "tags")
    schedules = [
        {"schedule": {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "Europe/Paris"}, "slug": "hourly"},
        {"schedule": {"cron": "0 4 * * *", "timezone": "UTC"}, "parameters": {"storage": "elsewhere"}, "active": False},
        {"schedule": {"rrule": "FREQ=DAILY;UNTIL=20400101T000000Z", "timezone": "UTC"}, "slug": "daily"},
    ]
    changed = {
        "description": "Changed by hand.",
        "concurrency_limit": 1,
        "concurrency_options": {"collision_strategy": "CANCEL_NEW"},
        "job_variables": {"env": {"LANG": "C"}},
        "work_pool_name": "holdfast",
        "work_queue_name": "nights",
        "labels": {"team": "content"},
        "schedules": schedules,
    }
    server.ask("POST", "/deployments/", {field: deployment[field] for field in fields} | changed)
    slow = next(one for one in server.deployment(BACKUP)["schedules"] if one["slug"] == "daily")
    path = f"/deployments/{deployment['id']}/schedules/{slow['id']}"
    server.ask("PATCH", path, {"active": True, "max_scheduled_runs": 2, "parameters": {}})
    server.ask("POST", "/variables/", {"name": "limit", "value": {"rows": [1, 2.5, None, True]}, "tags": ["b", "a"]})
    first = server.automate("Tell them", {"type": "pause-deployment", "deployment_id": deployment["id"]}, enabled=False)
    server.automate("Tell them", {"type": "pause-automation", "automation_id": first}, description="The second of its name.")
    compound = {
        "type": "compound",
        "require": "all",
        "within": 60,
        "triggers": [
            {
                "type": "event",
                "posture": "Proactive",
                "expect": ["prefect.flow-run.Completed"],
                "match_related": {"prefect.resource.id": f"prefect.deployment.{deployment['id']}"},
                "within": 120,
            }
        ],
    }
    server.automate("Both", {"type": "cancel-flow-run"}, trigger=compound)
    return server


def _same(one: Json, other: Json) -> bool:
    return canonical.to_bytes(one) == canonical.to_bytes(other)


def test_what_is_deployed_is_read_whole_by_name_and_the_same_each_time(deployed: Json, server: Server) -> None:
    assert {"replication/replication", BACKUP} <= deployed["deployments"].keys()
    assert REPLICATION_TRIGGER in deployed["automations"]
    assert deployed["left_out"] == []
    assert not UUID.search(canonical.to_bytes(deployed))
    assert _same(deployed, read_prefect_objects())


def test_a_wiped_server_gets_everything_back_and_a_dry_run_tells_what(lived_in: Server) -> None:
    before = read_prefect_objects()
    assert len(before["deployments"][BACKUP]["schedules"]) == 3
    assert before["automations"].keys() == {"Both", "Tell them", "Tell them (2)", SILENT_RUNS, *TRIGGERS.values()}
    assert not UUID.search(canonical.to_bytes(before))

    lived_in.wipe()
    empty = read_prefect_objects()
    assert empty["deployments"] == {}
    would = restore_prefect_objects(before, dry_run=True)
    assert would.dry_run
    assert _same(empty, read_prefect_objects())

    report = restore_prefect_objects(before)
    assert report.created == would.created
    assert (report.left_out, report.changed, report.more) == ([], {}, [])
    assert _same(before, read_prefect_objects())
    assert lived_in.deployment(BACKUP)["global_concurrency_limit"]["limit"] == 1

    again = restore_prefect_objects(before)
    assert (again.created, again.changed, again.left_out) == ([], {}, [])
    assert sorted(again.same) == sorted(report.created)


def test_restored_schedules_make_runs_again_with_their_parameters(deployed: Json, server: Server) -> None:
    document = copy.deepcopy(deployed)
    (schedule,) = document["deployments"][BACKUP]["schedules"]
    schedule |= {"active": True, "parameters": {"storage": "elsewhere"}}
    server.wipe()
    restore_prefect_objects(document)
    mine = {"deployments": {"id": {"any_": [server.deployment(BACKUP)["id"]]}}}
    runs: list[Json] = []
    end = time.monotonic() + 60
    while not runs and time.monotonic() < end:
        time.sleep(0.2)
        runs = server.ask("POST", "/flow_runs/filter", mine)
    assert {run["parameters"].get("storage") for run in runs} == {"elsewhere"}


def test_deploying_after_a_restore_does_not_double_the_trigger(deployed: Json, server: Server, tmp_path: Path) -> None:
    deploy(Settings(home=tmp_path))
    assert sorted(one["name"] for one in server.all("automations")) == sorted([SILENT_RUNS, *TRIGGERS.values()])
    assert _same(deployed, read_prefect_objects())


def test_a_restore_changes_what_differs_leaves_what_is_more_and_can_be_taken_back(lived_in: Server) -> None:
    before = read_prefect_objects()
    deployment = lived_in.deployment(BACKUP)
    lived_in.ask("PATCH", f"/deployments/{deployment['id']}", {"paused": True, "tags": ["mine"], "work_pool_name": None})
    lived_in.ask("PATCH", "/variables/name/limit", {"value": 7})
    lived_in.ask("PATCH", "/work_pools/holdfast", {"concurrency_limit": 3})
    lived_in.ask("POST", "/variables/", {"name": "new", "value": 1})
    trigger = next(one for one in lived_in.all("automations") if one["name"] == "Both")
    lived_in.ask("PATCH", f"/automations/{trigger['id']}", {"enabled": False})
    changed = read_prefect_objects()

    report = restore_prefect_objects(before)
    assert report.changed == {
        "work_pools/holdfast": ["concurrency_limit"],
        f"deployments/{BACKUP}": ["paused", "tags", "work_pool_name", "work_queue_name"],
        "variables/limit": ["value"],
        "automations/Both": ["enabled"],
    }
    assert (report.created, report.more, report.left_out) == ([], ["variables/new"], [])
    after = read_prefect_objects()
    assert after["variables"].pop("new") == {"tags": [], "value": 1}
    assert _same(before, after)

    restore_prefect_objects(report.replaced)
    assert _same(changed, read_prefect_objects())


def test_one_kind_or_one_object_is_restored_alone(deployed: Json, server: Server) -> None:
    document = deployed | {"variables": {"limit": {"value": 1, "tags": []}}}
    server.wipe()
    report = restore_prefect_objects(document, only=["variables"])
    assert (report.created, report.more) == (["variables/limit"], [])
    report = restore_prefect_objects(document, only=["deployments/restore/restore"])
    assert report.created == []
    assert [str(one) for one in report.left_out] == ["deployments/restore/restore: the work pool holdfast is not there"]
    report = restore_prefect_objects(document, only=["work_pools", "deployments/restore/restore"])
    assert report.created == ["work_pools/holdfast", "deployments/restore/restore"]
    assert read_prefect_objects()["deployments"].keys() == {"restore/restore"}


def test_what_belongs_to_others_is_neither_read_nor_touched(deployed: Json, server: Server) -> None:
    flow = server.ask("POST", "/flows/", {"name": "of others"})["id"]
    body = {"name": "theirs", "flow_id": flow, "entrypoint": "theirs.py:flow", "tags": ["theirs"]}
    deployment = server.ask("POST", "/deployments/", body)["id"]
    trigger = {"type": "event", "posture": "Reactive", "expect": ["theirs"], "within": 0}
    server.automate("Theirs", {"type": "run-deployment", "deployment_id": deployment}, trigger=trigger)
    server.ask("POST", "/work_pools/", {"name": "theirs", "type": "process"})
    assert _same(deployed, read_prefect_objects())
    report = restore_prefect_objects(deployed)
    assert (report.created, report.changed, report.more) == ([], {}, [])
    assert server.ask("GET", f"/deployments/{deployment}")["tags"] == ["theirs"]


def test_nothing_that_looks_like_a_secret_is_in_the_document_and_what_lives_is_kept(server: Server) -> None:
    for name, value in {
        "api_token": CANARY,
        "nested": {"smtp": {"password": CANARY, "port": 25}},
        "address": f"https://ann:{CANARY}@example.org/",
        "reference": {"token": "{{ prefect.blocks.secret.token }}"},
        "several_tokens": [f"{CANARY}-1", f"{CANARY}-2"],
        "whole_token": {"value": CANARY},
    }.items():
        server.ask("POST", "/variables/", {"name": name, "value": value})
    deployment = server.deployment(BACKUP)
    schedule = deployment["schedules"][0]
    path = f"/deployments/{deployment['id']}"
    server.ask("PATCH", f"{path}/schedules/{schedule['id']}", {"active": True, "parameters": {"api_key": CANARY, "rows": 3}})
    server.ask("PATCH", path, {"job_variables": {"env": {"DB_PASSWORD": CANARY, "LANG": "C"}}})
    hook = server.save_block("hook")
    payload = f"Authorization: Bearer {CANARY}"
    server.automate("Call", {"type": "call-webhook", "block_document_id": hook, "payload": payload})

    document = read_prefect_objects()
    assert CANARY.encode() not in canonical.to_bytes(document)
    assert document["blocks"] == {"secret/hook": {"type": "Secret"}}
    assert [one["name"] for one in document["left_out"]] == [
        f"deployments/{BACKUP} job_variables.env.DB_PASSWORD",
        f"deployments/{BACKUP} schedules.0.parameters.api_key",
        "variables/address value",
        "variables/api_token value",
        "variables/nested value.smtp.password",
        "variables/several_tokens value.0",
        "variables/several_tokens value.1",
        "variables/whole_token value.value",
        "automations/Call actions.0.payload",
    ]
    whole = read_prefect_objects(include_secrets=True)
    assert whole["variables"]["nested"]["value"] == {"smtp": {"password": CANARY, "port": 25}}
    assert whole["left_out"] == []

    server.ask("PATCH", "/variables/name/nested", {"value": {"smtp": {"password": CANARY, "port": 26}}})
    server.ask("PATCH", "/variables/name/several_tokens", {"value": [f"{CANARY}-1", f"{CANARY}-2"], "tags": ["new"]})
    server.ask("PATCH", path, {"description": "Changed."})
    report = restore_prefect_objects(document)
    assert report.changed == {
        f"deployments/{BACKUP}": ["description"],
        "variables/nested": ["value.smtp.port"],
        "variables/several_tokens": ["tags"],
    }
    assert report.left_out == []
    assert CANARY not in repr(report)
    assert _same(whole, read_prefect_objects(include_secrets=True))

    server.ask("PATCH", "/variables/name/api_token", {"value": "the-next-one-6hq2"})
    report = restore_prefect_objects(whole)
    assert report.changed == {"variables/api_token": ["value"]}
    assert "the-next-one" not in repr(report)
    restore_prefect_objects(report.replaced)
    assert server.ask("GET", "/variables/name/api_token")["value"] == "the-next-one-6hq2"

    server.wipe()
    report = restore_prefect_objects(document)
    assert {one.name for one in report.left_out} == {
        f"deployments/{BACKUP} job_variables.env.DB_PASSWORD",
        f"deployments/{BACKUP} schedules.0.parameters.api_key",
        "variables/address",
        "variables/api_token",
        "variables/nested value.smtp.password",
        "variables/several_tokens value.0",
        "variables/several_tokens value.1",
        "variables/whole_token value.value",
        "automations/Call",
        "blocks/secret/hook",
    }
    assert read_prefect_objects()["variables"].keys() == {"nested", "reference", "several_tokens", "whole_token"}
    assert server.deployment(BACKUP)["schedules"][0]["parameters"] == {"rows": 3}


def test_a_secret_stays_with_its_own_schedule(server: Server) -> None:
    path = f"/deployments/{server.deployment(BACKUP)['id']}/schedules"
    every_day = {"interval": 86400, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"}
    for slug in ("b", "c"):
        server.ask("POST", path, [{"slug": slug, "schedule": every_day, "parameters": {"api_key": f"{CANARY}-{slug}"}}])
    document = read_prefect_objects()
    server.ask("POST", path, [{"slug": "a", "schedule": every_day, "parameters": {"api_key": f"{CANARY}-a"}}])
    (found,) = [one for one in server.deployment(BACKUP)["schedules"] if one["slug"] == "c"]
    server.ask("PATCH", f"{path}/{found['id']}", {"active": False, "parameters": found["parameters"]})
    report = restore_prefect_objects(document)
    assert report.left_out == []
    schedules = {one["slug"]: one for one in server.deployment(BACKUP)["schedules"]}
    assert schedules.keys() == {"b", "c", "database-backup"}
    assert {slug: schedules[slug]["parameters"]["api_key"] for slug in ("b", "c")} == {"b": f"{CANARY}-b", "c": f"{CANARY}-c"}
    assert schedules["c"]["active"]


def test_what_can_not_be_brought_back_is_named_and_keeps_nothing_else_from_it(deployed: Json, server: Server) -> None:
    document = copy.deepcopy(deployed)
    gone = {"type": "run-deployment", "source": "selected", "deployment_id": "@{deployment:gone/gone}"}
    document["automations"] |= {"Odd": document["automations"][REPLICATION_TRIGGER] | {"name": "Odd", "actions": [gone]}}
    document["variables"] |= {"No Name For A Variable": {"value": CANARY, "tags": []}, "good": {"value": 1, "tags": []}}
    server.wipe()
    report = restore_prefect_objects(document)
    assert {one.name: one.reason for one in report.left_out} == {
        "variables/No Name For A Variable": "the Prefect server refuses it with 422",
        "automations/Odd": "the deployment gone/gone is not there",
    }
    assert read_prefect_objects() == deployed | {"variables": {"good": {"value": 1, "tags": []}}}


def test_more_objects_than_the_server_gives_at_once_are_all_read(server: Server) -> None:
    with get_client(sync_client=True) as client:
        found = read_all(client, "/deployments/filter", page=2, sort="NAME_ASC")
    assert [one["name"] for one in found] == sorted(one["name"] for one in server.all("deployments"))
    assert len(found) > 3


def test_a_restore_that_was_killed_is_finished_by_the_next(deployed: Json, server: Server) -> None:
    document = deployed | {"variables": {f"many_{number:03}": {"value": number, "tags": []} for number in range(40)}}
    server.wipe()
    child = subprocess.Popen([sys.executable, "-c", RESTORE_IN_A_PROCESS], stdin=subprocess.PIPE, env=os.environ)
    assert child.stdin is not None
    child.stdin.write(canonical.to_bytes(document))
    child.stdin.close()
    while not server.all("variables") and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    report = restore_prefect_objects(document)
    assert f"deployments/{BACKUP}" in report.same
    assert report.left_out == []
    assert _same(document, read_prefect_objects())


def test_a_server_that_is_gone_is_named_for_what_it_is(deployed: Json) -> None:
    gone = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(gone), pytest.raises(PrefectUnreachableError):
        restore_prefect_objects(deployed)


def test_a_wish_that_can_not_be_met_is_refused_before_anything_is_done(deployed: Json) -> None:
    with pytest.raises(SettingsError, match="deploymnets"):
        restore_prefect_objects(deployed, only=["deploymnets"])
    with pytest.raises(NotFoundError, match="variables/absent"):
        restore_prefect_objects(deployed, only=["variables/absent"])
    with pytest.raises(RefusedError, match="schema is 2"):
        restore_prefect_objects(deployed | {"schema": 2})


def test_what_changed_between_two_backups_is_told_by_field(deployed: Json) -> None:
    after = copy.deepcopy(deployed)
    after["deployments"][BACKUP]["schedules"][0] |= {"active": "changed", "parameters": {"rows": True}}
    after["variables"] = {"limit": {"value": LEFT_OUT, "tags": []}}
    del after["automations"][REPLICATION_TRIGGER]
    assert diff_prefect_objects(deployed, deployed) == []
    found = [(one["kind"], one["name"], one["change"]) for one in diff_prefect_objects(deployed, after)]
    assert found == [
        ("deployments", BACKUP, "changed"),
        ("variables", "limit", "added"),
        ("automations", REPLICATION_TRIGGER, "removed"),
    ]
    (changed, *_) = diff_prefect_objects(deployed, after)
    assert [(one["field"], one["after"]) for one in changed["fields"]] == [
        ("schedules.0.active", "changed"),
        ("schedules.0.parameters.rows", True),
    ]
    known = after | {"variables": {"limit": {"value": "not a secret after all", "tags": []}}}
    assert diff_prefect_objects(after, known) == []
