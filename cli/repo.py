"""`holdfast repo …`: the repository alone.

These commands need the storage and the key and nothing else: no Prefect, no catalog (but for the one that rebuilds it), no
other setting. They are what is left when everything else is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import figures, jobs, output, progress
from cli.app import Commands
from cli.audited import Doing, audited
from cli.backup_types import BackupType
from cli.listing import KindFilter, Limit
from cli.replicas import FromReplica, known, named, opened
from cli.replicate import replicate
from cli.repo_forget import forget
from cli.restore import Mode, ModeOption, NoAnalyze, Only, Tables, Unproven, names, refuse_without_use, restore_text
from cli.session import repository, repository_settings, settings
from cli.targets import Target, folder_target, target_url
from cli.verify import JobId, Subset, TypeOption
from holdfast import documents
from holdfast.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.repository import Problem, PruneReport
    from holdfast.settings import Settings

commands = Commands(
    "The repository and its replicas alone: needs only BACKUP_STORAGE_*, BACKUP_REPLICAS and BACKUP_ENCRYPTION_KEY.",
    no_args_is_help=True,
)


class CheckLevel(StrEnum):
    """How far a check of the stored data goes."""

    STORED = "stored"
    READ = "read"


@commands.command()
def init() -> None:
    """Make the repository where there is none, and nothing else."""
    from holdfast.opening import open_or_create_repository

    loaded = repository_settings()
    with audited("repository.init", loaded) as doing:
        made, created = open_or_create_repository(loaded)
        doing.subject = made.id
    output.result(
        {"id": made.id, "location": made.location, "encrypted": made.encrypted, "created": created},
        lambda: f"{'Made' if created else 'There already is'} a repository in {made.location}.",
    )


@commands.command("list")
def list_backups(kind: KindFilter = None, limit: Limit = 1000, source: FromReplica = None) -> None:
    """List the backups, newest first."""
    held = opened(repository_settings(), source)
    summaries = held.backups(kind)
    found = documents.of_backups(held, summaries[:limit])
    output.result(found, lambda: jobs.table(found) if found else f"There is no backup in {held.location}.")
    if len(summaries) > limit:
        output.aside(f"… {len(summaries) - limit} more; --limit shows them")


@commands.command()
def check(
    level: Annotated[
        CheckLevel, typer.Option(help="stored: every chunk is there. read: every chunk is decrypted and compared.")
    ] = CheckLevel.READ,
    subset: Subset = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Heal what is damaged or missing from another copy: BACKUP_REPLICAS, the primary.")
    ] = False,
    source: FromReplica = None,
) -> None:
    """Look for damage, and name every damaged object.

    Ends with 5 where any is left. It works on whatever is left: also when the repository's own description or key files are
    damaged. Nothing is ever read from a replica in place of the copy that is checked; --from checks a replica.
    """
    from holdfast.opening import check_repository
    from holdfast.verification import parse_subset

    loaded, part = repository_settings(), parse_subset(subset)
    with _recorded_if(repair, loaded), progress.counted("Checking", "chunks") as update:
        report = check_repository(
            loaded,
            level=level.value,
            subset=part,
            source=named(source, loaded) if source else None,
            replicas=known(loaded),
            repair=repair,
            on_progress=update,
        )
    document = {
        "ok": report.ok,
        "readFrom": source,
        "level": level.value,
        "subset": subset,
        "backups": report.backups,
        "chunks": report.chunks,
        "chunksRead": report.chunks_read,
        "bytesRead": report.bytes_read,
        "problems": [_problem(one) for one in report.problems],
        "healed": [{"object": one.object, "what": one.what, "replica": one.replica} for one in report.healed],
        "objectsHealed": report.objects_healed,
    }
    output.result(document, lambda: _check_text(document))
    if not report.ok:
        raise typer.Exit(ExitCode.DAMAGED)


@commands.command()
def repair() -> None:
    """Write repository.json again from the copy that the key file holds, where it is damaged or gone."""
    from holdfast.opening import repair_repository

    loaded = repository_settings()
    with audited("repository.repair", loaded):
        location = repair_repository(loaded)
    output.result({"location": location, "repaired": True}, lambda: f"repository.json in {location} is whole again.")


@commands.command()
def restore(
    job_id: JobId,
    *,
    target: Target = None,
    mode: ModeOption = Mode.NEW,
    tables: Tables = None,
    only: Only = None,
    unproven: Unproven = False,
    no_analyze: NoAnalyze = False,
    kind: TypeOption = BackupType.DATABASE,
    source: FromReplica = None,
) -> None:
    """Bring a backup back with the engine alone: no Prefect, no catalog."""
    from cli import repo_restore
    from holdfast.latest import find_to_restore
    from holdfast.postgres.restore import RestoreOptions

    if kind is not BackupType.DATABASE:
        refuse_without_use(kind, unproven=unproven, no_analyze=no_analyze)
    place = target_url(target) if kind is BackupType.DATABASE else folder_target(target)
    loaded = repository_settings()
    held = opened(loaded, source)
    manifest = find_to_restore(held, job_id, kind.value)
    recorded = audited("restore.by_hand", loaded, manifest.id, announced=True, type=kind.value, mode=mode.value)
    with recorded, held.lease(f"restore {manifest.id}", ttl_seconds=loaded.lease_ttl_seconds):
        if isinstance(place, Path):
            document = repo_restore.files(held, manifest, place, mode.value, names(only))
        else:
            options = RestoreOptions.of(loaded, mode.value, names(tables))
            options = replace(options, prove=not unproven, analyze=not no_analyze)
            document = repo_restore.database(held, manifest, place, options)
    output.result(document, lambda: restore_text(document))


commands.command()(replicate)
commands.command()(forget)


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
    with _recorded_if(not dry_run, loaded, "repository.prune") as doing:
        report = repository(loaded).prune(grace_seconds=int(hours * 3600), dry_run=dry_run)
        doing.details["chunksDeleted"] = report.chunks_deleted
    document = {
        "dryRun": dry_run,
        "chunksDeleted": report.chunks_deleted,
        "bytesDeleted": report.bytes_deleted,
        "chunksLocked": report.chunks_locked,
        "bytesLocked": report.bytes_locked,
        "lockedUntil": report.locked_until,
    }
    output.result(document, lambda: _pruned_text(report))


@commands.command("rebuild-catalog")
def rebuild_catalog() -> None:
    """Write into the catalog what the repository knows and the catalog does not."""
    from holdfast.audit.adopting import adopt_former_chains
    from holdfast.audit.entry import this_user
    from holdfast.catalog.mirror import mirror_backups
    from holdfast.opening import open_catalog

    loaded = settings()
    held = repository(loaded)
    catalog = open_catalog(loaded)
    try:
        added = mirror_backups(catalog, held)
        lines = adopt_former_chains(catalog.audit, held, this_user())
    finally:
        catalog.close()
    told = f"{added} backups were added to the catalog" + (f", and {lines} lines of the audit log" if lines else "")
    output.result({"added": added, "auditLines": lines}, lambda: f"{told}.")


def _recorded_if(wanted: bool, loaded: Settings, action: str = "repository.repair") -> AbstractContextManager[Doing]:
    return audited(action, loaded) if wanted else nullcontext(Doing(action))


def _pruned_text(report: PruneReport) -> str:
    verb = "would be deleted" if report.dry_run else "deleted"
    text = f"{report.chunks_deleted} chunks, {figures.size(report.bytes_deleted)} {verb}."
    if report.chunks_locked:
        text += f" {report.chunks_locked} chunks, {figures.size(report.bytes_locked)}, are locked and stay"
        text += f", the first until {figures.moment(report.locked_until)} UTC." if report.locked_until else "."
    return text


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
    if document["healed"]:
        count = document["objectsHealed"]
        yield jobs.headline("Healed", f"{count} {'object' if count == 1 else 'objects'}")
        mended = output.table("Object", "What it was", "Healed from")
        for one in document["healed"]:
            mended.add_row(one["object"], one["what"], one["replica"])
        yield mended
    if document["ok"]:
        yield jobs.headline("No damage" + (" is left" if document["healed"] else ""), f"({looked})")
        return
    yield jobs.headline("Damaged", f"({looked})", good=False)
    shown = output.table("Object", "What", "Backups that need it")
    for problem in document["problems"]:
        shown.add_row(problem["object"], problem["what"], ", ".join(problem["backups"]) or "–")
    yield shown
