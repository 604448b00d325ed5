"""Undo a restore by what it kept: a folder, single files, or functions that were deployed to a project."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import NotFoundError, RefusedError, SettingsError
from holdfast.sources import placing
from holdfast.sources.configuration import undoing
from holdfast.sources.configuration.undoing import SETTINGS
from holdfast.sources.functions import redeploy
from holdfast.sources.replaced import JOURNAL
from holdfast.sources.supabase.previous import RECORD

if TYPE_CHECKING:
    from holdfast.settings import Settings

PREFECT_KEPT = "prefect.json"
"""The document of what a restore has replaced of Prefect's own objects."""

_KEPT = re.compile(r"(.+)_before_\d{8}T\d{6}Z(_\d+)?")


def roll_back(kept: Path, settings: Settings) -> list[str]:
    """Bring back what a restore kept, and name what was touched; it may be done again after a death.

    `kept` is what the restore said: a folder beside the live one, or one in the home. Raises NotFoundError, SettingsError where
    it is nothing that a restore has kept.
    """
    if not kept.is_dir():
        raise NotFoundError(f"there is no folder {kept}", next_step="'holdfast show' of the restore tells where it keeps them")
    if (kept / JOURNAL).is_file() or (kept / SETTINGS).is_file():
        return undoing.roll_back(kept)
    if (kept / RECORD).is_file():
        return _project(kept, settings)
    if (kept / PREFECT_KEPT).is_file():
        raise RefusedError(
            f"{kept} keeps Prefect's own objects alone, and those are not rolled back by themselves",
            next_step=f"{PREFECT_KEPT} in it tells how they were",
        )
    match = _KEPT.fullmatch(kept.name)
    if match is None:
        raise SettingsError(f"{kept} is nothing that a restore has kept", reason="its name does not say what it was before")
    target = kept.with_name(match[1])
    undone = placing.roll_back(target, kept)
    return [str(target), str(undone)] if undone.exists() else [str(target)]


def _project(kept: Path, settings: Settings) -> list[str]:
    from holdfast.sources.supabase.client import ManagementApi

    if settings.supabase_project is None or settings.supabase_access_token is None:
        raise SettingsError("to roll functions back takes BACKUP_SUPABASE_PROJECT and BACKUP_SUPABASE_ACCESS_TOKEN")
    with closing(ManagementApi(settings.supabase_api_url, settings.supabase_project, settings.supabase_access_token)) as api:
        return redeploy.roll_back(api, kept)
