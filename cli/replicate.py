"""`holdfast repo replicate`: bring replicas up to date with the engine alone, and without the key where that is not at hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli import figures, jobs, output, progress
from cli.audited import audited
from cli.replicas import named
from cli.session import repository_settings
from holdfast.documents import Document
from holdfast.errors import ExitCode, HoldfastError, KeyMissingError, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.catalog import Catalog
    from holdfast.replication import Outcome
    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.storage import Storage

To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="REPLICA",
        help="Only to this replica: a block's name or a URL; may be given several times.",
        show_default="BACKUP_REPLICAS",
    ),
]
NoReadBack = Annotated[bool, typer.Option("--no-read-back", help="Don't read back what was copied, to compare it.")]


def replicate(to: To = None, no_read_back: NoReadBack = False) -> None:
    """Copy to the replicas what they lack.

    Stored bytes are copied as they are: no key is needed, though with it damage is found before it spreads. Replicas that
    fail hinder no other; then it ends with 1.
    """
    from holdfast.replication import not_up_to_date

    loaded = repository_settings()
    names = list(dict.fromkeys(to or loaded.replicas))
    if not names:
        raise SettingsError("There is no replica to copy to", next_step="Name one with --to, or set BACKUP_REPLICAS")
    recorded = audited("replication.by_hand", loaded, ", ".join(names), announced=True)
    with recorded if loaded.home.is_dir() else contextlib.nullcontext():  # a home is not made for it
        document = _replicated(loaded, names, read_back=not no_read_back)
        output.result(document, lambda: replication_text(document))
        if document["status"] != "completed":
            output.warn(str(not_up_to_date(document)))
            raise typer.Exit(ExitCode.WORK_FAILED)


def replication_text(document: Document) -> Iterator[RenderableType]:
    """Tell what became of each replica."""
    for one in document["replicas"]:
        copied = f"{one['copiedObjects']:,} objects, {figures.size(one['copiedBytes'])} copied"
        whole = f"{one['backups']} {'backup' if one['backups'] == 1 else 'backups'}"
        told = f"is up to date: {whole}, {copied}" if one["ok"] else f"is not up to date ({copied})"
        yield jobs.headline(one["name"], told + (f" in {figures.duration(one['seconds'])}" if one["ok"] else ""), good=one["ok"])
        for problem in one["problems"]:
            yield f"  {problem}"


def _replicated(loaded: Settings, names: Sequence[str], *, read_back: bool) -> Document:
    from holdfast.jobs import new_job_id
    from holdfast.replication import replicated

    job_id, began = new_job_id("replicate"), datetime.now(UTC)
    with _opened_source(loaded) as (storage, repository):
        outcomes = [_bring_up_to_date(name, loaded, storage, repository, read_back=read_back) for name in names]
        _record(loaded, repository, outcomes, names)
    return replicated(job_id, outcomes) | {"startedAt": began, "completedAt": datetime.now(UTC)}


@contextlib.contextmanager
def _opened_source(loaded: Settings) -> Iterator[tuple[Storage, Repository | None]]:
    """Open the primary; without the key only its storage."""
    from holdfast.opening import storage_to_read
    from holdfast.repository import Repository

    with contextlib.closing(storage_to_read(loaded.storage_settings)) as storage:
        try:
            repository = Repository.open(storage, key=loaded.user_key())
        except KeyMissingError:
            output.note("There is no key: what is stored is copied unseen.")
            repository = None
        yield storage, repository


def _bring_up_to_date(
    name: str, loaded: Settings, storage: Storage, repository: Repository | None, *, read_back: bool
) -> Outcome:
    from holdfast.replication import bring_up_to_date, failed

    began = time.monotonic()
    try:
        replica = named(name, loaded)
        with progress.counted(f"Copying to {name}", "chunks") as update:
            return bring_up_to_date(replica, storage, repository, read_back=read_back, on_progress=update)
    except HoldfastError as error:
        outcome = failed(name, error, time.monotonic() - began)
        return replace(outcome, error=output.masked(str(outcome.error)))


def _record(loaded: Settings, repository: Repository | None, outcomes: Sequence[Outcome], names: Sequence[str]) -> None:
    """Note in the catalog where each backup lies, where one runs for this home; nothing is started for it."""
    from holdfast.replication import backup_ids, copies

    try:
        with _catalog() as catalog:
            if catalog is None:
                return
            rows = {job_id: catalog.job(job_id) for job_id in backup_ids(repository, outcomes)}
            recorded = {job_id: row.metadata.get("copies") or [] for job_id, row in rows.items() if row is not None}
            everywhere = copies(
                loaded.storage_settings, repository, outcomes, recorded=recorded, replicas={*loaded.replicas, *names}
            )
            for job_id, places in everywhere.items():
                catalog.note_job(job_id, {"copies": places})
    except HoldfastError as error:
        output.note(f"The catalog was not told: {error.message}")


def _catalog() -> contextlib.AbstractContextManager[Catalog | None]:
    """Open the catalog as it is; other settings than the repository's count here."""
    from holdfast.opening import catalog_if_running
    from holdfast.settings import load_settings

    return catalog_if_running(load_settings())
