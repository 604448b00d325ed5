"""`holdfast repo …`: the repository alone.

These commands need the storage and the key and nothing else: no Prefect, no catalog (but for the one that rebuilds it), no
other setting. They are what is left when everything else is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import figures, jobs, output, progress
from cli.app import Commands
from cli.backup_types import BackupType, require_present
from cli.listing import KindFilter, Limit
from cli.restore import Mode, ModeOption, Tables, restore_text, table_names
from cli.session import repository, repository_settings, settings
from cli.targets import Target, target_url
from cli.verify import JobId, Subset, TypeOption
from holdfast.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.repository import Problem

commands = Commands("The repository alone: needs only BACKUP_STORAGE_* and BACKUP_ENCRYPTION_KEY.", no_args_is_help=True)


class CheckLevel(StrEnum):
    """How far a check of the stored data goes."""

    STORED = "stored"
    READ = "read"


@commands.command()
def init() -> None:
    """Make the repository where there is none, and nothing else."""
    from holdfast.opening import open_or_create_repository

    opened, created = open_or_create_repository(repository_settings())
    output.result(
        {"id": opened.id, "location": opened.location, "encrypted": opened.encrypted, "created": created},
        lambda: f"{'Made' if created else 'There already is'} a repository in {opened.location}.",
    )


@commands.command("list")
def list_backups(kind: KindFilter = None, limit: Limit = 1000) -> None:
    """List the backups, newest first."""
    opened = repository(repository_settings())
    found = [jobs.of_backup(opened, summary) for summary in opened.backups(kind)[:limit]]
    output.result(found, lambda: jobs.table(found) if found else f"There is no backup in {opened.location}.")


@commands.command()
def check(
    level: Annotated[
        CheckLevel, typer.Option(help="stored: every chunk is there. read: every chunk is decrypted and compared.")
    ] = CheckLevel.READ,
    subset: Subset = None,
) -> None:
    """Look for damage, and name every damaged object.

    Ends with 5 where there is any. It works on whatever is left: also when the repository's own description or key files are
    damaged.
    """
    from holdfast.opening import check_repository
    from holdfast.verification import parse_subset

    loaded, part = repository_settings(), parse_subset(subset)
    with progress.counted("Checking", "chunks") as update:
        report = check_repository(loaded, level=level.value, subset=part, on_progress=update)
    document = {
        "ok": report.ok,
        "level": level.value,
        "subset": subset,
        "backups": report.backups,
        "chunks": report.chunks,
        "chunksRead": report.chunks_read,
        "bytesRead": report.bytes_read,
        "problems": [_problem(one) for one in report.problems],
    }
    output.result(document, lambda: _check_text(document))
    if not report.ok:
        raise typer.Exit(ExitCode.DAMAGED)


@commands.command()
def repair() -> None:
    """Write repository.json again from the copy that the key file holds, where it is damaged or gone."""
    from holdfast.opening import repair_repository

    location = repair_repository(repository_settings())
    output.result({"location": location, "repaired": True}, lambda: f"repository.json in {location} is whole again.")


@commands.command()
def restore(
    job_id: JobId,
    target: Target = None,
    mode: ModeOption = Mode.NEW,
    tables: Tables = None,
    kind: TypeOption = BackupType.DATABASE,
) -> None:
    """Bring a backup back with the engine alone: no Prefect, no catalog."""

    from holdfast.jobs import new_job_id
    from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
    from holdfast.postgres.restore_report import not_proven
    from holdfast.verification import find_backup

    require_present(kind)
    url, loaded = target_url(target), repository_settings()
    opened = repository(loaded)
    manifest = find_backup(opened, job_id, kind.value)
    options = RestoreOptions.of(loaded, mode.value, table_names(tables))
    job_id, started_at = new_job_id("restore"), datetime.now(UTC)
    with (
        opened.lease(f"restore {manifest.id}", ttl_seconds=loaded.lease_ttl_seconds),
        progress.counted("Restoring", "bytes") as update,
    ):
        report = DatabaseRestore(opened, manifest, url, options).run(lambda phase, done, whole: update(done, whole))
    document = jobs.of_restore(job_id, manifest, url, report, started_at)
    if document["problems"]:
        raise not_proven(url.database, document["problems"])
    output.result(document, lambda: restore_text(document))


@commands.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    grace: Annotated[
        float | None, typer.Option(min=0, metavar="HOURS", help="Spare what is younger.", show_default="BACKUP_PRUNE_GRACE_HOURS")
    ] = None,
) -> None:
    """Delete the chunks that no backup refers to."""
    loaded = repository_settings()
    hours = loaded.prune_grace_hours if grace is None else grace
    report = repository(loaded).prune(grace_seconds=int(hours * 3600), dry_run=dry_run)
    verb = "would be deleted" if dry_run else "deleted"
    output.result(
        {"dryRun": dry_run, "chunksDeleted": report.chunks_deleted, "bytesDeleted": report.bytes_deleted},
        lambda: f"{report.chunks_deleted} chunks, {figures.size(report.bytes_deleted)} {verb}.",
    )


@commands.command("rebuild-catalog")
def rebuild_catalog() -> None:
    """Write into the catalog what the repository knows and the catalog does not."""
    from holdfast.catalog.mirror import mirror_backups
    from holdfast.opening import open_catalog

    loaded = settings()
    opened = repository(loaded)
    catalog = open_catalog(loaded)
    try:
        added = mirror_backups(catalog, opened)
    finally:
        catalog.close()
    output.result({"added": added}, lambda: f"{added} backups were added to the catalog.")


def _problem(one: Problem) -> dict[str, Any]:
    return {
        "object": one.object,
        "what": one.what,
        "backups": one.backups,
        "entries": one.entries,
        "harmsContent": one.harms_content,
    }


def _check_text(document: dict[str, Any]) -> Iterator[RenderableType]:
    looked = f"{document['chunks']} chunks, {figures.size(document['bytesRead'])} read"
    if document["ok"]:
        yield jobs.headline("No damage", f"({looked})")
        return
    yield jobs.headline("Damaged", f"({looked})", good=False)
    shown = output.table("Object", "What", "Backups that need it")
    for problem in document["problems"]:
        shown.add_row(problem["object"], problem["what"], ", ".join(problem["backups"]) or "–")
    yield shown
