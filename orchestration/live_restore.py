"""Restores to the place that was backed up: a folder of functions or a project, a host's configuration, providers of secrets.

Each looks first, keeps what it replaces, and tells what it did. What can't be undone by itself says where the former things are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from blocks import FunctionsDirectory, SupabaseProject
from blocks.saving import FUNCTIONS
from holdfast.errors import SettingsError, SourceFailedError, TargetNotEmptyError
from holdfast.opening import open_catalog
from holdfast.private_file import write_private
from holdfast.private_folder import make_private_folder
from holdfast.repository import Manifest, Repository
from holdfast.rolling_back import PREFECT_KEPT
from holdfast.source_restore import SourceRestore, readable
from holdfast.sources.configuration.diff import ConfigurationDiff
from holdfast.sources.configuration.restore import ConfigurationRestore, RestoreTarget
from holdfast.sources.configuration.source import PREFECT
from holdfast.sources.functions.calling import Answer, call_all, refuse_silence
from holdfast.sources.functions.redeploy import PlannedFunction, Redeployment
from holdfast.sources.secrets.contract import RestoredSecrets
from holdfast.sources.secrets.kept import kept_secrets
from holdfast.sources.secrets.restore import RestoreSecrets
from holdfast.sources.supabase.deployable import deployables
from holdfast.sources.truth import read_document
from holdfast.spool import Spool
from holdfast.turn import require_first
from orchestration.job import Job
from orchestration.prefect_objects import restore_prefect_objects
from orchestration.rows import Json
from orchestration.source_opening import functions_block, open_providers
from orchestration.source_restore import Wanted, completed_restore, folder_of, leased_backup, of_folder, to_folder
from orchestration.tasks import step

_PREFECT = "prefect:"


def bring_source_back(job: Job, repository: Repository, wanted: Wanted) -> Json:
    """Restore functions, configuration or secrets metadata, and return the job's document."""
    with leased_backup(job, repository, wanted) as manifest:
        if wanted.is_live:
            done = _LIVE[manifest.type](job, repository, manifest, wanted)
        else:
            done = of_folder(to_folder(job, repository, manifest, folder_of(wanted.target, job), wanted), wanted)
        return completed_restore(job, repository, manifest, wanted, done)


def _functions(job: Job, repository: Repository, manifest: Manifest, wanted: Wanted) -> Json:
    block = functions_block(FUNCTIONS)
    if isinstance(block, FunctionsDirectory):
        restore = to_folder(job, repository, manifest, block.path, wanted)
        done = of_folder(restore, wanted)
        slugs = _slugs(restore)
        address = job.settings.functions_url
    else:
        done = _to_project(job, repository, manifest, block, wanted)
        slugs = done.pop("slugs")
        address = job.settings.functions_url or f"https://{block.project}.supabase.co/functions/v1"
    if wanted.dry_run:
        return done
    if address is None:
        note = "the functions were not called: BACKUP_FUNCTIONS_URL is not set"
        return done | {"notes": [*done["notes"], note]}
    try:
        answers = call_functions(address, slugs, job)
    except SourceFailedError as error:
        raise SourceFailedError(error.message, reason=error.reason, next_step=_after_silence(done["kept"])) from error
    return done | {"functions": len(slugs), "answers": [answer.to_json() for answer in answers]}


def _after_silence(kept: str | None) -> str:
    """Say what to do where something was brought back and does not answer; it stays, for what was there may be no better."""
    step = "They were brought back and stay; look at the functions' logs where they are deployed"
    return step if kept is None else f"{step}. 'holdfast roll-back {kept}' brings the former ones back"


def _to_project(job: Job, repository: Repository, manifest: Manifest, block: SupabaseProject, wanted: Wanted) -> Json:
    """Restore into a private folder, compare, and deploy from there: all are bundled first, then all switch at once."""
    if wanted.mode not in ("new", "promote"):
        raise SettingsError(
            f"functions can't be restored to a project with the mode {wanted.mode!r}",
            reason="new refuses to replace any, promote replaces them and keeps the former ones",
        )
    kept = job.settings.home / "kept" / job.id
    make_private_folder(kept.parent)
    with (
        repository.lease(f"restore functions to supabase:{block.project}", ttl_seconds=job.settings.lease_ttl_seconds) as lease,
        Spool(job.settings.home / "spool") as spool,
        closing(block.api()) as api,
    ):
        require_first(repository, lease)
        folder = spool.folder / "functions"
        whole = replace(wanted, mode="new", only=(), dry_run=False)
        restore = to_folder(job, repository, manifest, folder, whole)
        facts = {name: part.facts for name, part in restore.truth.parts.items()}
        redeployment = Redeployment(api, deployables(facts, folder, wanted.only or None), kept)
        planned = plan_deployment(redeployment)
        replaced = [one.slug for one in planned if one.action != "create"]
        if replaced and wanted.mode == "new":
            raise TargetNotEmptyError(
                f"the project {block.project} has the function {replaced[0]!r} already",
                next_step="Use the mode promote: it keeps what it replaces",
            )
        if not wanted.dry_run:
            job.note(kept=str(kept))  # so that it is known after a death in the middle, too
            deploy_each(redeployment)
            wanted.require_time()
            switch(redeployment)
    notes = [f"would {one.action} {one.slug}" for one in planned] if wanted.dry_run else []
    return {
        "target": f"supabase:{block.project}",
        "sizeBytes": restore.report.size_bytes,
        "functions": len(planned),
        "kept": None if wanted.dry_run else str(kept),
        "notes": [*restore.report.notes, *notes],
        "slugs": [one.slug for one in planned],
    }


def _slugs(restore: SourceRestore) -> list[str]:
    facts = [restore.truth.parts[entry.name].facts for entry in restore.entries if entry.name in restore.truth.parts]
    return [str(one["slug"]) for one in facts if "slug" in one and one.get("enabled", True)]


def _secrets(job: Job, repository: Repository, manifest: Manifest, wanted: Wanted) -> Json:
    if wanted.mode == "promote":
        raise SettingsError(
            "secrets can't be restored with the mode 'promote'",
            reason="names that are missing are made again with placeholders, and a value that is there is never touched",
            next_step="Use new or in_place, which do the same",
        )
    providers = open_providers(None, job.settings)
    try:
        work = RestoreSecrets(kept_secrets(repository, manifest), providers, tuple(wanted.only), wanted.dry_run)
        restored = recreate_secrets(work)
    finally:
        for provider in providers:
            provider.close()
    return {
        "secrets": sum(len(one.created) for one in restored),
        "created": [f"{one.provider}/{name}" for one in restored for name in one.created],
        "amended": [f"{one.provider}/{name}" for one in restored for name in one.amended],
        "notes": [str(left_out) for one in restored for left_out in one.left_out],
    }


def _config(job: Job, repository: Repository, manifest: Manifest, wanted: Wanted) -> Json:
    if wanted.mode != "in_place":
        raise SettingsError(
            f"configuration can't be restored to its places with the mode {wanted.mode!r}",
            reason="each file is replaced where it is, which is the mode in_place; what it replaces is kept",
        )
    kept = job.settings.home / "kept" / job.id
    prefect = [name.removeprefix(_PREFECT) for name in wanted.only if name.startswith(_PREFECT)]
    others = [name for name in wanted.only if name != PREFECT.name and not name.startswith(_PREFECT)]
    if all_of_prefect := PREFECT.name in wanted.only:
        prefect = []
    if not wanted.dry_run:
        job.note(kept=str(kept))  # so that it is known after a death in the middle, too
    done: Json = {}
    if others or not wanted.only:
        with open_catalog(job.settings) as catalog:
            target = RestoreTarget(env_file=wanted.env_file, catalog=catalog)
            restore = ConfigurationRestore(repository, manifest)
            changes = replace_configuration(restore, target, others, None if wanted.dry_run else kept)
        done["changes"] = changes.to_json()
        done["files"] = len(changes.files)
    if all_of_prefect or prefect or (not wanted.only and any(entry.name == PREFECT.name for entry in manifest.entries)):
        done["prefect"] = restore_prefect(repository, manifest, prefect, kept, dry_run=wanted.dry_run)
        done["notes"] = [f"not brought back: {one['name']}: {one['reason']}" for one in done["prefect"]["left_out"]]
    return done | {"kept": str(kept) if kept.is_dir() else None}


_LIVE: dict[str, Callable[[Job, Repository, Manifest, Wanted], Json]] = {
    "function": _functions,
    "config": _config,
    "secrets": _secrets,
}


@step("plan the deployment")
def plan_deployment(redeployment: Redeployment) -> list[PlannedFunction]:
    """Look at what is deployed now."""
    return redeployment.preflight()


@step("bundle each function", retries=0)
def deploy_each(redeployment: Redeployment) -> None:
    """Keep what is deployed now, and have each function bundled; nothing that runs changes."""
    redeployment.deploy_each()


@step("switch all functions", retries=0)
def switch(redeployment: Redeployment) -> None:
    """Make what was bundled live, all at once."""
    redeployment.switch()


@step("call each function", retries=0)
def call_functions(address: str, slugs: list[str], job: Job) -> list[Answer]:
    """Call each function until it answers. Raises SourceFailedError, which names those that do not."""
    settings = job.settings
    answers = call_all(address, slugs, token=settings.functions_call_token, time_limit_seconds=settings.functions_call_seconds)
    refuse_silence(answers)
    return answers


@step("replace the configuration", retries=0)
def replace_configuration(
    restore: ConfigurationRestore, target: RestoreTarget, only: list[str], kept: Path | None
) -> ConfigurationDiff:
    """Put back what differs, and keep what it replaces; without a folder to keep it in, only tell what differs."""
    return restore.plan(target, only) if kept is None else restore.restore(target, only, keep_in=kept)


@step("restore Prefect's own objects", retries=0)
def restore_prefect(repository: Repository, manifest: Manifest, only: list[str], kept: Path, *, dry_run: bool) -> Json:
    """Rebuild deployments, schedules, variables and automations, and keep the document of what they were."""
    document = read_document(repository, manifest.entry(PREFECT.name))
    report = restore_prefect_objects(document, only=only, dry_run=dry_run)
    told = report.to_json()
    replaced = told.pop("replaced")
    if replaced and not dry_run:
        write_private(kept / PREFECT_KEPT, readable(replaced))  # a backup that holds secrets has what is replaced hold some, too
    return told


@step("recreate secrets", retries=0)
def recreate_secrets(work: RestoreSecrets) -> list[RestoredSecrets]:
    """Make the names that are missing, with placeholders for values."""
    return work.run()
