"""What `holdfast init` and the API's `init` do: make what is not there yet, and leave what is.

A key is never made. What a person did to a default plan is never undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from holdfast.configuration import update_from_outside
from holdfast.opening import open_catalog, open_or_create_repository, require_key
from holdfast.recovery.plan_book import PlanBook
from holdfast.settings import load_settings
from orchestration.following import follow_configuration
from orchestration.server import ensure_prefect

if TYPE_CHECKING:
    from holdfast.settings import Settings

Json = dict[str, Any]


def prepared(settings: Settings) -> Json:
    """Make the repository, the catalog and the default recovery plans; tell of each what became of it.

    Raises KeyMissingError before anything is made, and what opening each of them raises.
    """
    repository, created = open_or_create_repository(settings)
    with closing(repository):
        made = {
            "id": repository.id,
            "location": repository.location,
            "encrypted": repository.encrypted,
            "created": created,
        }
    return {
        "home": settings.home,
        "repository": made,
        "catalog": {"kind": "embedded" if settings.catalog_url is None else "BACKUP_CATALOG_URL"},
        "plans": PlanBook(settings).make_defaults(),
    }


def with_prefect(done: Json, settings: Settings, address: str, blocks: list[str]) -> Json:
    """Add to what was prepared what the Prefect server at this address has of it, now that these blocks are there."""
    return {**done, "prefect": {"url": address}, "blocks": blocks, "channels": _channels(settings)}


def initialize_from_outside(settings: Settings, config: Mapping[str, Any]) -> Json:
    """Do the same with this configuration, for whoever asks by the HTTP API; with it in force, which is told, too.

    Raises SettingsError, with nothing made or changed, where the configuration can't be kept or may not be changed from outside.
    """
    require_key(settings)
    with closing(open_catalog(settings)) as catalog:
        kept = update_from_outside(config, catalog)
        in_force = load_settings(catalog)
    done = prepared(in_force)
    address = ensure_prefect(in_force)
    from blocks.saving import register_and_save

    document = with_prefect(done, in_force, address, register_and_save(in_force))
    return {**document, "configuration": kept, "rescheduled": follow_configuration(in_force).changes or []}


def _channels(settings: Settings) -> list[Json]:
    """Tell of each channel which block it is, or what it lacks."""
    from blocks.channels import find_channels, why_not

    found = find_channels(settings)
    return [
        {"name": name, "block": found[name].block, "missing": None}
        if name in found
        else {"name": name, "block": None, "missing": why_not(name, settings)}
        for name in settings.notification_channels
    ]
