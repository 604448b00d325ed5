"""Configuration put back where it came from: files, variables in an `.env` file, the catalog's settings and plans.

All of it, or by name; only what differs is touched. It is done whole or not at all; what was replaced is kept for a roll-back,
which a death in the middle does not hinder. Nothing is ever removed. Prefect's own objects are for those who know Prefect.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import DamagedError, NotFoundError, SettingsError
from holdfast.repository import Manifest, Repository
from holdfast.sources.configuration.diff import ConfigurationDiff, diff
from holdfast.sources.configuration.places import Places
from holdfast.sources.configuration.plans import plans_document
from holdfast.sources.configuration.source import BACKUP_CONFIG, FILES, RECOVERY_PLANS
from holdfast.sources.configuration.state import LIVE, ConfigurationState, state_of_backup, state_of_file
from holdfast.sources.configuration.undoing import Undoing, one_at_a_time
from holdfast.sources.dotenv import Dotenv
from holdfast.sources.files import FileRecord, shown
from holdfast.sources.replacing import replace_file, replace_link
from holdfast.sources.stable import read_stably
from holdfast.sources.tar import read_tar
from holdfast.sources.truth import read_truth

if TYPE_CHECKING:
    from holdfast.catalog import Catalog

_ENV_MODE = 0o600
_IN_CATALOG = (BACKUP_CONFIG.name, RECOVERY_PLANS.name)


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """Where configuration is put: files at their own places or below `root`, variables into `env_file`, the rest into `catalog`.

    What has no place here is not restored, unless it was asked for by name.
    """

    root: Path | None = None
    env_file: Path | None = None
    catalog: Catalog | None = None


class ConfigurationRestore:
    """One backup of the configuration, to be put back.

    `only` names things as `file:PATH` (its path in the backup, or where it lay), `environment:NAME`, `backup_config:KEY` and
    `recovery_plans:ID`, or the last two without what follows, for all of them; without it all is meant. Methods raise
    NotFoundError for what the backup has not, SettingsError for what was asked for and has no place, RefusedError for a variable
    whose line in the `.env` file can't be understood, PlanInvalidError, UnsafePathError, DamagedError.
    """

    def __init__(self, repository: Repository, manifest: Manifest) -> None:
        self._repository = repository
        self._manifest = manifest

    def plan(self, target: RestoreTarget, only: Sequence[str] = ()) -> ConfigurationDiff:
        """Tell what a restore would change, and change nothing."""
        wanted = self._wanted(target, only)
        changes = diff(self._there(wanted, target), wanted)
        if changes.environment and target.env_file is not None:
            _with_variables(wanted.environment, target.env_file)
        return changes

    def restore(
        self,
        target: RestoreTarget,
        only: Sequence[str] = (),
        *,
        keep_in: Path,
        on_restored: Callable[[str], None] = lambda _: None,
    ) -> ConfigurationDiff:
        """Put back what differs, and return what that was; `on_restored` is told each thing once it is in its place.

        What is replaced is kept in `keep_in`, a folder of this restore's own (RefusedError where there is something in it), until
        `roll_back`. Where one thing fails, what was done before is undone. Restores whose folders lie beside each other take
        turns.
        """
        wanted = self._wanted(target, only)
        with one_at_a_time(keep_in):
            changes = diff(self._there(wanted, target), wanted)
            if not changes.equal:
                undoing = Undoing.begin(keep_in)
                try:
                    self._apply(changes, wanted, target, undoing, on_restored)
                except BaseException:
                    undoing.undo(target.catalog)
                    raise
        return changes

    def _apply(
        self,
        changes: ConfigurationDiff,
        wanted: ConfigurationState,
        target: RestoreTarget,
        undoing: Undoing,
        on_restored: Callable[[str], None],
    ) -> None:
        for path in self._restore_files({change.path for change in changes.files}, wanted, target, undoing):
            on_restored(f"file:{path}")
        if changes.environment and target.env_file is not None:
            _restore_variables(wanted.environment, target.env_file, undoing)
            on_restored(f"file:{target.env_file}")
        if changes.backup_config and target.catalog is not None:
            undoing.update(target.catalog, _changed(wanted.documents[BACKUP_CONFIG.name], target.catalog))
        if changes.recovery_plans and target.catalog is not None:
            plans = wanted.documents[RECOVERY_PLANS.name]
            undoing.put_plans(target.catalog, {one.id: plans[one.id] for one in changes.recovery_plans})

    @cached_property
    def _held(self) -> ConfigurationState:
        return state_of_backup(self._repository, self._manifest)

    @cached_property
    def _places(self) -> Places:
        truth = read_truth(self._repository, self._manifest)
        return Places.of(truth.parts[FILES.name].facts if FILES.name in truth.parts else {})

    def _wanted(self, target: RestoreTarget, only: Sequence[str]) -> ConfigurationState:
        """Select what of the backup is to be restored."""
        held = self._held
        if not only:
            variables = held.environment if target.env_file is not None else {}
            kept = {name: held.documents[name] for name in _IN_CATALOG if target.catalog is not None and held.documents.get(name)}
            return replace(held, environment=variables, documents=kept, left_out={})
        wanted = ConfigurationState(held.name)
        for name in only:
            kind, named, rest = name.partition(":")
            if kind == "file":
                path = self._places.path_of(rest)
                wanted.files[path] = self._one(held.files, path, name)
            elif kind == "environment":
                _require(target.env_file, name, "Name the .env file that it is to be put into")
                wanted.environment[rest] = self._one(held.environment, rest, name)
            elif kind in _IN_CATALOG:
                _require(target.catalog, name, "Name the catalog that it is to be put into")
                kept = held.documents.get(kind, {})
                found = {rest: self._one(kept, rest, name)} if named else self._one(held.documents, kind, name)
                wanted.documents.setdefault(kind, {}).update(found)
            else:
                step = "Write file:PATH, environment:NAME, backup_config:KEY, recovery_plans:ID or prefect:KIND/NAME"
                raise SettingsError(f"{name!r} names nothing", next_step=step)
        return wanted

    def _one(self, held: dict[str, Any], name: str, called: str) -> Any:
        if name in held:
            return held[name]
        raise NotFoundError(
            f"backup {self._manifest.id} has no {shown(called)}",
            reason=self._held.left_out.get(called, "nothing of that name was backed up"),
            next_step="'holdfast config diff' shows what differs from it",
        )

    def _there(self, wanted: ConfigurationState, target: RestoreTarget) -> ConfigurationState:
        """Tell what is now where the wanted things are to be."""
        there = ConfigurationState(LIVE)
        for path in wanted.files:
            found = state_of_file(self._places.place_of(path, target.root), path)
            if found is not None:
                there.files[path] = found
        if wanted.environment and target.env_file is not None:
            variables = _read_env(target.env_file).variables()
            there.environment = {name: value for name, value in variables.items() if name in wanted.environment}
        if target.catalog is not None:
            there.documents = _stored(wanted.documents, target.catalog)
        return there

    def _restore_files(
        self, shown_paths: set[str], wanted: ConfigurationState, target: RestoreTarget, undoing: Undoing
    ) -> Iterator[str]:
        """Put back the files that differ, each whole; yield their names."""
        if not shown_paths:
            return
        with self._repository.open_entry(self._manifest.entry(FILES.name)) as stream:
            for file, content in read_tar(stream):
                if file.path not in wanted.files or shown(file.path) not in shown_paths:
                    continue
                place, record = self._places.place_of(file.path, target.root), wanted.files[file.path].record
                if content is None:
                    replace_link(place, record.link_target or "", keep_in=undoing.folder)
                else:
                    replace_file(place, _checked(content.read(), record), record.mode, keep_in=undoing.folder)
                yield shown(file.path)


def _checked(data: bytes, record: FileRecord) -> bytes:
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise DamagedError(f"{shown(record.path)} is not what was backed up, so it was not restored")
    return data


def _restore_variables(variables: dict[str, str], file: Path, undoing: Undoing) -> None:
    mode = stat.S_IMODE(file.lstat().st_mode) if file.exists() else _ENV_MODE
    replace_file(file, _with_variables(variables, file).encode(), mode, keep_in=undoing.folder)


def _with_variables(variables: dict[str, str], file: Path) -> str:
    """Change only the lines of what differs."""
    found = _read_env(file)
    there = found.variables()
    changed = {name: value for name, value in variables.items() if there.get(name) != value}
    return found.with_variables(changed, place=shown(str(file)))


def _read_env(file: Path) -> Dotenv:
    """Read an .env file; one that is not there yet holds nothing."""
    if not os.path.lexists(file):
        return Dotenv.parse("")
    with read_stably(file) as found:
        try:
            return Dotenv.parse(found.content.read().decode("utf-8"), any_name=True)
        except UnicodeDecodeError as error:
            raise SettingsError(f"{file} can't be changed", reason=f"byte {error.start} is not UTF-8") from error


def _stored(wanted: dict[str, dict[str, Any]], catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Tell what the catalog has now of the wanted settings and plans."""
    there = {}
    for part, names in wanted.items():
        stored = catalog.config() if part == BACKUP_CONFIG.name else plans_document(catalog)
        there[part] = {name: value for name, value in stored.items() if name in names}
    return there


def _changed(settings: dict[str, Any], catalog: Catalog) -> dict[str, Any]:
    stored = catalog.config()
    return {name: value for name, value in settings.items() if stored.get(name) != value}


def _require(place: object, name: str, next_step: str) -> None:
    if place is None:
        raise SettingsError(f"{name} can't be restored", reason="it has no place", next_step=next_step)
