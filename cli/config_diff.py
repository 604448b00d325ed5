"""`holdfast config diff`: what changed in the configuration between two backups, or since one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import logs, output
from cli.replicas import FromReplica, opened
from cli.session import repository_settings, settings
from holdfast.errors import NotFoundError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from holdfast.catalog import Catalog
    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.sources.configuration.diff import Change, ConfigurationDiff
    from holdfast.sources.configuration.source import ConfigurationSource
    from holdfast.sources.configuration.state import ConfigurationState

LIVE = "live"

Before = Annotated[str, typer.Argument(metavar="BACKUP|latest", help="The earlier one; 'holdfast list' shows backups.")]
After = Annotated[str, typer.Argument(metavar="BACKUP|live", help="The later one, or what is there now.")]


def diff(before: Before = "latest", after: After = LIVE, source: FromReplica = None) -> None:
    """Show what changed in the configuration since a backup, or between two.

    Variables, files and their keys with masked values, the kept settings, and Prefect's own objects.
    """
    loaded = settings() if after == LIVE else repository_settings()
    with closing(opened(loaded, source)) as repository:
        earlier = _of_backup(repository, before)
        later = _of_now(loaded) if after == LIVE else _of_backup(repository, after)
    from holdfast.sources.configuration.diff import diff as compare

    found = compare(earlier, later)
    output.result(found.to_json(), lambda: _text(found))


def live_configuration(loaded: Settings) -> ConfigurationSource:
    """Open the configuration as it is now; the catalog's and Prefect's part only where they run, for nothing is started."""
    from holdfast.opening import catalog_if_running
    from holdfast.sources.configuration.source import ConfigurationOptions, ConfigurationSource
    from orchestration.server import use_running_prefect

    stored = plans = None
    with catalog_if_running(loaded) as catalog:
        if catalog is not None:
            stored, plans = catalog.config(), _plans(catalog)
    prefect = None
    if use_running_prefect(loaded) is not None:
        from orchestration.prefect_objects import read_prefect_objects

        logs.keep_prefect_quiet()
        prefect = read_prefect_objects
    return ConfigurationSource(
        ConfigurationOptions.of(loaded),
        backup_config=None if stored is None else lambda: stored,
        recovery_plans=None if plans is None else lambda: plans,
        prefect=prefect,
    )


def _plans(catalog: Catalog) -> dict[str, Any] | None:
    """Read the recovery plans; None where the catalog has not been brought up to date yet."""
    from holdfast.sources.configuration.plans import plans_document

    try:
        return plans_document(catalog)
    except NotFoundError:
        return None


def _of_now(loaded: Settings) -> ConfigurationState:
    from holdfast.sources.configuration.state import state_of_source

    with closing(live_configuration(loaded)) as source:
        return state_of_source(source)


def _of_backup(repository: Repository, backup: str) -> ConfigurationState:
    from holdfast.sources.configuration.state import state_of_backup

    return state_of_backup(repository, repository.latest("config") if backup == "latest" else repository.manifest(backup))


def _text(found: ConfigurationDiff) -> Iterator[RenderableType]:
    if found.equal:
        yield f"Nothing changed from {found.before} to {found.after}."
    else:
        yield _table(found)
    for name, reason in found.not_compared.items():
        yield f"Not compared: {name}: {reason}"


def _table(found: ConfigurationDiff) -> RenderableType:
    table = output.table("What", "Change", found.before, found.after)
    for change in found.environment:
        _row(table, f"environment:{change.name}", change)
    for file in found.files:
        table.add_row(f"file:{file.path}", file.change, ", ".join(file.what), "")
        for key in file.keys:
            _row(table, f"  {key.name}", key)
    for change in found.backup_config:
        _row(table, f"backup_config:{change.name}", change)
    for plan in found.recovery_plans:
        table.add_row(f"recovery_plans:{plan.id}", plan.change, ", ".join(plan.fields), "")
    for thing in found.prefect:
        table.add_row(f"prefect:{thing.kind}/{thing.name}", thing.change, ", ".join(thing.fields), "")
    return table


def _row(table: Table, name: str, change: Change) -> None:
    table.add_row(name, change.change, change.before or "", change.after or "")
