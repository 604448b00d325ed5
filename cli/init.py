"""`holdfast init`: make what is not there yet, and leave what is. What a person did to a default plan is never undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli import jobs, output, progress
from cli.app import Commands
from cli.audited import audited
from cli.flow_runs import ready_for_flows
from cli.session import settings

if TYPE_CHECKING:
    from rich.console import RenderableType

commands = Commands("")


@commands.command(rich_help_panel="Set up")
def init() -> None:
    """Make the repository, the catalog, the default recovery plans and the Prefect blocks.

    Running it again changes nothing that is there.
    """
    from orchestration.initializing import prepared, with_prefect

    loaded = settings()
    with audited("installation.init", loaded):
        with progress.waiting("Opening the repository and the catalog"):
            done = prepared(loaded)
        document = with_prefect(done, loaded, *ready_for_flows(loaded))
    output.result(document, lambda: _text(document))


def _text(document: dict[str, Any]) -> Iterator[RenderableType]:
    made = document["repository"]
    state = f"{'made now' if made['created'] else 'was there'}, {'encrypted' if made['encrypted'] else 'NOT encrypted'}"
    yield jobs.headline("Ready", f"in {document['home']}")
    yield output.facts(
        ("  Repository", f"{made['location']} ({state})"),
        ("  Catalog", "embedded PostgreSQL" if document["catalog"]["kind"] == "embedded" else "BACKUP_CATALOG_URL"),
        ("  Plans", _plans_text(document["plans"])),
        ("  Prefect", document["prefect"]["url"].removesuffix("/api")),
        ("  Blocks", ", ".join(document["blocks"])),
        ("  Channels", _channels_text(document["channels"])),
        ("  Next", "holdfast backup all"),
    )


def _plans_text(plans: dict[str, str]) -> str:
    return "\n".join(f"{plan_id} ({state})" for plan_id, state in plans.items())


def _channels_text(channels: list[dict[str, Any]]) -> str:
    told = [one["name"] for one in channels if one["block"]]
    lacking = [one["missing"] for one in channels if one["missing"]]
    return "\n".join([", ".join(told) or "none, so nobody is told of alarms", *lacking])
