"""Write an object of any kind to a Prefect server, whole: what lives under its name is then what the document says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import PrefectHTTPStatusError

from blocks.server_objects import Json, Method, ask
from orchestration.declared import FRESH_TRIGGER, REPLICATION_TRIGGER
from orchestration.prefect_objects.references import References

_CONFLICT = 409


class Writer:
    """Writes to one server, and adds what it makes to the names that are known there."""

    def __init__(self, client: SyncPrefectClient, references: References, automation_ids: dict[str, str]) -> None:
        self._client = client
        self._references = references
        self._automation_ids = automation_ids
        self._writers: dict[str, Callable[[str, Json, Json | None], None]] = {
            "work_pools": self._work_pool,
            "work_queues": self._work_queue,
            "flows": self._flow,
            "deployments": self._deployment,
            "variables": self._variable,
            "automations": self._automation,
        }

    def write(self, kind: str, name: str, value: Json, live: Json | None) -> None:
        """Create an object, or change the one that lives. Raises UnknownReferenceError, and what Prefect's client raises."""
        self._writers[kind](name, self._references.resolved(value), live)

    def _work_pool(self, name: str, pool: Json, live: Json | None) -> None:
        if live is None:
            made = self._ask("POST", "/work_pools/", {"name": name} | pool)
            self._references.add("work_pool", name, made["id"])
            return
        changes = {field: value for field, value in pool.items() if field != "type"}
        self._ask("PATCH", f"/work_pools/{_quoted(name)}", changes)

    def _work_queue(self, name: str, queue: Json, live: Json | None) -> None:
        pool, _, queue_name = name.rpartition("/")
        path = f"/work_pools/{_quoted(pool)}/queues"
        if live is None:
            try:
                made = self._ask("POST", path, {"name": queue_name} | queue)
            except PrefectHTTPStatusError as error:
                if error.response.status_code != _CONFLICT:
                    raise
                made = self._ask("GET", f"{path}/{_quoted(queue_name)}", {})  # the pool came with it
            self._references.add("work_queue", name, made["id"])
        self._ask("PATCH", f"{path}/{_quoted(queue_name)}", queue)

    def _flow(self, name: str, flow: Json, live: Json | None) -> None:
        identity = self._flow_id(name)
        self._ask("PATCH", f"/flows/{identity}", flow)

    def _flow_id(self, name: str) -> str:
        """Have a flow of this name, and return its id."""
        identity = str(self._ask("POST", "/flows/", {"name": name})["id"])
        self._references.add("flow", name, identity)
        return identity

    def _deployment(self, name: str, deployment: Json, live: Json | None) -> None:
        """Change a deployment as it is made: in one transaction with its schedules, and their runs are scheduled anew."""
        flow, _, own_name = name.rpartition("/")
        made = self._ask("POST", "/deployments/", {"name": own_name, "flow_id": self._flow_id(flow)} | deployment)
        self._references.add("deployment", name, made["id"])
        if deployment["work_pool_name"] is None and made["work_pool_name"] is not None:
            self._ask("PATCH", f"/deployments/{made['id']}", {"work_pool_name": None})  # making it anew takes no pool away
        self._limit_scheduled_runs(made, [one for one in deployment["schedules"] if one["max_scheduled_runs"] is not None])

    def _limit_scheduled_runs(self, made: Json, schedules: list[Json]) -> None:
        """Set what Prefect forgets of a new schedule: how many runs it may have ahead."""
        for schedule in made["schedules"]:
            for wanted in schedules:
                if wanted == {field: schedule[field] for field in wanted} | {"max_scheduled_runs": wanted["max_scheduled_runs"]}:
                    self._ask("PATCH", f"/deployments/{made['id']}/schedules/{schedule['id']}", wanted)

    def _variable(self, name: str, variable: Json, live: Json | None) -> None:
        if live is None:
            self._ask("POST", "/variables/", {"name": name} | variable)
        else:
            self._ask("PATCH", f"/variables/name/{_quoted(name)}", variable)

    def _automation(self, name: str, automation: Json, live: Json | None) -> None:
        if live is not None:
            self._ask("PUT", f"/automations/{self._automation_ids[name]}", automation)
            return
        made = self._ask("POST", "/automations/", automation | {"owner_resource": _owner(automation)})
        self._references.add("automation", name, made["id"])

    def _ask(self, method: Method, path: str, body: Json) -> Any:
        return ask(self._client, method, path, body)


def _owner(automation: Json) -> str | None:
    """A trigger of prefect.yaml belongs to its deployment, whose next deployment replaces it and would else make a second."""
    if not automation["name"].startswith((REPLICATION_TRIGGER, FRESH_TRIGGER)):  # of a target, its name goes on
        return None
    return next((f"prefect.deployment.{one['deployment_id']}" for one in automation["actions"] if one.get("deployment_id")), None)


def _quoted(name: str) -> str:
    return quote(name, safe="")
