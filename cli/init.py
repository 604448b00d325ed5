"""`holdfast init`: make what is not there yet, and leave what is. What a person did to a default plan is never undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli import jobs, output, progress
from cli.app import Commands
from cli.flow_runs import ready_for_flows
from cli.session import settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings

commands = Commands("")


@commands.command(rich_help_panel="Set up")
def init() -> None:
    """Make the repository, the catalog, the default recovery plans and the Prefect blocks.

    Running it again changes nothing that is there.
    """
    from holdfast.opening import open_or_create_repository
    from holdfast.recovery.plan_book import PlanBook

    loaded = settings()
    repository, created = open_or_create_repository(loaded)
    with progress.waiting("Opening the catalog"):
        plans = PlanBook(loaded).make_defaults()
    address, blocks = ready_for_flows(loaded)
    document = {
        "home": loaded.home,
        "repository": {
            "id": repository.id,
            "location": repository.location,
            "encrypted": repository.encrypted,
            "created": created,
        },
        "catalog": {"kind": "embedded" if loaded.catalog_url is None else "BACKUP_CATALOG_URL"},
        "plans": plans,
        "prefect": {"url": address},
        "blocks": blocks,
        "channels": _channels(loaded),
    }
    output.result(document, lambda: _text(document))


def _channels(loaded: Settings) -> list[dict[str, Any]]:
    """Tell of each channel which block it is, or what it lacks."""
    from blocks.channels import find_channels, why_not

    found = find_channels(loaded)
    return [
        {"name": name, "block": found[name].block, "missing": None}
        if name in found
        else {"name": name, "block": None, "missing": why_not(name, loaded)}
        for name in loaded.notification_channels
    ]


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
