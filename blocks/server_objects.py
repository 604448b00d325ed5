"""All that a Prefect server keeps of each kind, as its API gives it: with ids, and nothing chosen or left out yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from prefect.client.orchestration import SyncPrefectClient

Json = dict[str, Any]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class ServerObjects:
    """What was there at one look. Blocks come without their values, and only those that have a name."""

    work_pools: list[Json]
    work_queues: list[Json]
    flows: list[Json]
    deployments: list[Json]
    variables: list[Json]
    automations: list[Json]
    blocks: list[Json]

    @classmethod
    def fetch(cls, client: SyncPrefectClient) -> ServerObjects:
        """Ask the server for everything, page by page."""
        deployments = read_all(client, "/deployments/filter", sort="NAME_ASC")
        flows = read_all(client, "/flows/filter", sort="NAME_ASC")
        there = {flow["id"] for flow in flows}
        return cls(
            work_pools=read_all(client, "/work_pools/filter"),
            work_queues=read_all(client, "/work_queues/filter"),
            flows=flows,
            deployments=[one for one in deployments if one["flow_id"] in there],  # others went with their flow just now
            variables=read_all(client, "/variables/filter", sort="NAME_ASC"),
            automations=read_all(client, "/automations/filter"),
            blocks=read_all(client, "/block_documents/filter", include_secrets=False),
        )

    def deployment_name(self, deployment: Json) -> str:
        """Name a deployment as Prefect does: `flow/deployment`."""
        return f"{self._flow_names()[deployment['flow_id']]}/{deployment['name']}"

    def ids(self) -> Iterator[tuple[str, str, str]]:
        """Yield kind, name and id of all that another object may refer to."""
        flows = self._flow_names()
        yield from (("flow", one["name"], one["id"]) for one in self.flows)
        yield from (("work_pool", one["name"], one["id"]) for one in self.work_pools)
        yield from (("work_queue", queue_name(one), one["id"]) for one in self.work_queues)
        yield from (("deployment", f"{flows[one['flow_id']]}/{one['name']}", one["id"]) for one in self.deployments)
        yield from (("block", block_name(one), one["id"]) for one in self.blocks)
        yield from (("automation", one["name"], one["id"]) for one in self.automations)

    def _flow_names(self) -> dict[str, str]:
        return {flow["id"]: flow["name"] for flow in self.flows}


def queue_name(queue: Json) -> str:
    """Name a work queue with its pool: `pool/queue`."""
    return f"{queue['work_pool_name']}/{queue['name']}"


def block_name(block: Json) -> str:
    """Name a block as Prefect does: `type-slug/name`."""
    return f"{block['block_type']['slug']}/{block['name']}"


def ask(client: SyncPrefectClient, method: Method, path: str, body: Json) -> Any:
    """Call the API as it is: the client's own models would drop, or change, what they don't know."""
    answer = client.request(method, path, json=body)  # type: ignore[arg-type]  # it lists those that it calls
    return answer.json() if answer.content else None


def read_all(client: SyncPrefectClient, path: str, *, page: int = _MOST_AT_ONCE, **filters: Any) -> list[Json]:
    """Read all that this path of the API gives, page by page."""
    found: list[Json] = []
    while True:
        more: list[Json] = ask(client, "POST", path, {"limit": page, "offset": len(found)} | filters)
        found += more
        if len(more) < page:
            return found
