"""What a restore of the configuration has replaced, kept in one folder so that all of it can be undone, also after a death."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.configuration import update_backup_config
from holdfast.errors import DamagedError, NotFoundError, PlanInvalidError, RefusedError, SettingsError
from holdfast.private_file import write_private
from holdfast.private_folder import make_private_folder
from holdfast.sources import replacing
from holdfast.sources.configuration.plans import documents_of, put_back, put_plans
from holdfast.sources.configuration.source import BACKUP_CONFIG, RECOVERY_PLANS
from holdfast.sources.placing import only_one_at, write_errors
from holdfast.sources.replaced import JOURNAL

if TYPE_CHECKING:
    from holdfast.catalog import Catalog

Json = dict[str, Any]

SETTINGS = "backup_config.json"
PLANS = "recovery_plans.json"


@dataclass(frozen=True, slots=True)
class Undoing:
    """The folder in which one restore keeps what it replaces."""

    folder: Path

    @classmethod
    def begin(cls, folder: Path) -> Undoing:
        """Make the folder. Raises RefusedError where another restore has kept something in it."""
        with write_errors(folder, "made"):
            make_private_folder(folder)
            if any(folder.iterdir()):
                raise RefusedError(
                    f"{folder} is not empty, so what is replaced now can't be kept there",
                    reason="a roll-back would undo what is not of this restore",
                    next_step="Choose another folder, or roll the earlier restore back first",
                )
        return cls(folder)

    def update(self, catalog: Catalog, settings: dict[str, Any]) -> None:
        """Change settings in the catalog, once the former ones are kept. Raises SettingsError, with nothing changed."""
        stored = catalog.config()
        self._keep(SETTINGS, {name: stored.get(name) for name in settings})
        try:
            update_backup_config(catalog=catalog, **settings)
        except SettingsError:  # it changed nothing, so there is nothing to undo
            (self.folder / SETTINGS).unlink()
            raise

    def put_plans(self, catalog: Catalog, plans: dict[str, Json]) -> None:
        """Change recovery plans in the catalog, once the former ones are kept. Raises PlanInvalidError, with nothing changed."""
        self._keep(PLANS, documents_of(catalog, plans))
        try:
            put_plans(catalog, plans)
        except PlanInvalidError:
            (self.folder / PLANS).unlink()
            raise

    def undo(self, catalog: Catalog | None = None) -> list[str]:
        """Bring back all that is kept here; return the names of it. What was undone before is passed over."""
        files = self._undo_files()
        settings = self._undo(SETTINGS, BACKUP_CONFIG.name, lambda former: _put_settings(catalog, former))
        plans = self._undo(PLANS, RECOVERY_PLANS.name, lambda former: put_back(catalog, former))
        return [*files, *settings, *plans]

    def _keep(self, name: str, former: Json) -> None:
        with write_errors(self.folder, "written"):
            write_private(self.folder / name, json.dumps(former).encode())

    def _undo(self, name: str, part: str, put: Callable[[Json], None]) -> list[str]:
        file = self.folder / name
        try:
            former = json.loads(file.read_text(encoding="utf-8"))
            names = [f"{part}:{one}" for one in former]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{file} can't be read, so what was there before is not known", reason=str(error)) from error
        put(former)
        with write_errors(file, "removed"):
            file.unlink()
        return names

    def _undo_files(self) -> list[str]:
        if not (self.folder / JOURNAL).exists():
            return []
        return [f"file:{path}" for path in replacing.roll_back(self.folder)]


def _put_settings(catalog: Catalog | None, former: Json) -> None:
    update_backup_config(catalog=catalog, **former)


@contextmanager
def one_at_a_time(keep_in: Path) -> Iterator[None]:
    """Let no other restore or roll-back that keeps its things beside this one work meanwhile: they would undo each other."""
    with write_errors(keep_in, "made"):
        make_private_folder(keep_in.parent)
    with only_one_at(keep_in.parent):
        yield


def roll_back(keep_in: Path, catalog: Catalog | None = None) -> list[str]:
    """Undo a restore by what it kept; settings and plans in this catalog, else in the one that the settings name.

    It may be done again, and after a death in the middle. Raises NotFoundError where there is no such folder, DamagedError.
    """
    if not keep_in.is_dir():
        raise NotFoundError(f"there is no folder {keep_in}, so no restore can be rolled back by it")
    with one_at_a_time(keep_in):
        return Undoing(keep_in).undo(catalog)
