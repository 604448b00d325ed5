"""The files of functions as they lie in a folder, or as a project has them, beside the newest good backup."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.sources.files import FileRecord, shown
from holdfast.sources.functions.directory import FunctionDirectory

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.truth import SourceTruth

Json = dict[str, Any]

_EACH = "function/"
_PROJECT = "project"
_MOST_NAMED = 20
_API_SECONDS = 20.0


@dataclass(slots=True)
class FunctionFiles:
    """What there is, by slug. `changed` names the files of a function that differ from the backup, `shared` those of all."""

    present: list[str] = field(default_factory=list)
    """Those that should answer: one that is switched off is not among them."""
    missing: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Of the missing: those that may have been removed on purpose, for folder and config.toml say nothing of them any more."""
    changed: dict[str, list[str]] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)
    """Those that the backup has, too."""
    is_gone: bool = False
    notes: list[str] = field(default_factory=list)

    def is_as_in_backup(self, slug: str) -> bool:
        """Tell whether deploying the backup would change nothing of a function."""
        return slug in self.compared and slug not in self.changed and not self.shared


def files_in_folder(root: Path, truth: SourceTruth | None) -> FunctionFiles:
    """Look at a folder of functions; without a truth only what is there now is known."""
    found = FunctionFiles()
    try:
        source = FunctionDirectory(root)
        found.present = [part.name.removeprefix(_EACH) for part in source.parts() if part.name.startswith(_EACH)]
    except HoldfastError as error:
        found.is_gone = not root.is_dir()
        found.notes.append(error.what_and_why)
    said = _said_in_config(root)
    off = {name for name, one in said.items() if one.get("enabled") is False}
    for slug, part in _functions_of(truth).items():
        name = str(part.facts.get("slug", slug))
        found.compared.add(slug)
        if name in off:
            continue
        if slug not in found.present or _lost_entrypoint(root, said.get(name, {}), part.facts, part.files):
            found.missing.append(slug)
            found.removed += [slug] if name not in said and not (root / "functions" / name).exists() else []
        elif differs := _differing(root, part.files):
            found.changed[slug] = differs
    if truth is not None and _PROJECT in truth.parts:
        found.shared = _differing(root, truth.parts[_PROJECT].files)
    found.present = [slug for slug in found.present if slug not in found.missing and slug not in off]
    return found


def files_in_project(settings: Settings, project: str, truth: SourceTruth | None) -> FunctionFiles:
    """Ask a Supabase project what is deployed; where it does not say, what the backup has is expected."""
    from holdfast.sources.supabase.client import ManagementApi

    known = _functions_of(truth)
    found = FunctionFiles(present=sorted(known), compared=set(known))
    if settings.supabase_access_token is None:
        found.notes.append("what is deployed is not known: BACKUP_SUPABASE_ACCESS_TOKEN is not set")
        return found
    try:
        token, address = settings.supabase_access_token, settings.supabase_api_url
        with closing(ManagementApi(address, project, token, timeout_seconds=_API_SECONDS)) as api:
            deployed = {one.slug: one for one in api.functions()}
    except HoldfastError as error:
        found.notes.append(f"what is deployed is not known: {error.what_and_why}")
        return found
    found.present = sorted(deployed)
    found.missing = sorted(known.keys() - deployed.keys())
    found.removed = [] if not deployed else list(found.missing)
    found.is_gone = bool(known) and not deployed
    for slug in known.keys() & deployed.keys():
        before, now = known[slug].facts.get("supabase", {}).get("ezbr_sha256"), deployed[slug].ezbr_sha256
        if before is None or now is None:
            found.compared.discard(slug)
        elif before != now:
            found.changed[slug] = ["what is deployed"]
    return found


def _functions_of(truth: SourceTruth | None) -> dict[str, Any]:
    if truth is None:
        return {}
    return {name.removeprefix(_EACH): part for name, part in truth.parts.items() if name.startswith(_EACH)}


def _lost_entrypoint(root: Path, said: Json, facts: Json, records: Iterable[FileRecord]) -> bool:
    """Tell whether the file that a function begins with was backed up and is gone, and no other is named that is there."""
    entrypoint, now = str(facts.get("entrypoint") or ""), said.get("entrypoint")
    if isinstance(now, str) and (root / now).is_file():
        return False
    return any(shown(record.path) == entrypoint for record in records) and not (root / entrypoint).is_file()


def _said_in_config(root: Path) -> dict[str, Json]:
    """Return what config.toml says of each function that it names; nothing where it can't be read."""
    try:
        said = tomllib.loads((root / "config.toml").read_text("utf-8")).get("functions", {})
    except (OSError, ValueError):
        return {}
    return {name: one for name, one in said.items() if isinstance(one, dict)} if isinstance(said, dict) else {}


def _differing(root: Path, records: Iterable[FileRecord]) -> list[str]:
    """Name the files that are gone or hold something else than in the backup."""
    found = [shown(record.path) for record in records if not _is_as_it_was(root / record.path, record)]
    return found[:_MOST_NAMED]


def _is_as_it_was(place: Path, record: FileRecord) -> bool:
    if record.kind == "file":
        return _digest(place) == record.sha256
    return record.kind == "folder" or place.is_symlink()


def _digest(place: Path) -> str | None:
    try:
        with place.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return None
