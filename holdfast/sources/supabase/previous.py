"""What a redeployment replaces, kept on disk before anything changes, so that it can be undone by another process, too.

The folder looks like a restored backup of the project, and is there only when all is in it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import DamagedError, HoldfastError, NotFoundError, SourceFailedError, UnsafePathError
from holdfast.repository import canonical
from holdfast.sources.contract import LeftOut
from holdfast.sources.functions.supabase import content_of
from holdfast.sources.staging import FolderRestore
from holdfast.sources.supabase.answers import FunctionInfo
from holdfast.sources.supabase.client import ManagementApi

Json = dict[str, Any]
RECORD = "redeployment.json"
_SCHEMA = 1
_MODE = 0o600


@dataclass(slots=True)
class Previous:
    """What was there: `facts` by names of parts, which functions did not exist, and whose sources could not be kept."""

    folder: Path
    project: str
    facts: dict[str, Json] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    not_kept: list[LeftOut] = field(default_factory=list)

    @classmethod
    def keep(cls, api: ManagementApi, present: Collection[FunctionInfo], slugs: Collection[str], folder: Path) -> Previous:
        """Keep what is there of these functions, all or nothing. Raises TargetNotEmptyError where the folder holds something."""
        kept = cls(folder, api.project, absent=sorted(set(slugs) - {one.slug for one in present}))
        with FolderRestore(folder, "new", job_id="redeployment") as staged:
            for info in present:
                if info.slug in slugs:
                    kept._keep_one(api, info, staged)
            staged.write(RECORD, canonical.to_bytes(kept._to_json()), _MODE)
            staged.take_place()
        return kept

    def _keep_one(self, api: ManagementApi, info: FunctionInfo, staged: FolderRestore) -> None:
        """A function without readable sources is no reason not to replace it, but is remembered as one that can't come back."""
        try:
            content = content_of(info, api.body(info.slug))
        except (SourceFailedError, UnsafePathError, NotFoundError) as error:
            self.not_kept.append(LeftOut(f"function {info.slug}", error.what_and_why))
            return
        for file in content.files or ():
            if isinstance(file.content, bytes):
                staged.write(file.path, file.content, _MODE)
        self.facts[f"function/{info.slug}"] = content.facts

    def _to_json(self) -> Json:
        return {
            "schema": _SCHEMA,
            "project": self.project,
            "facts": self.facts,
            "absent": self.absent,
            "not_kept": [{"name": one.name, "reason": one.reason} for one in self.not_kept],
        }

    @classmethod
    def read(cls, folder: Path) -> Previous:
        """Read what was kept. Raises NotFoundError, DamagedError."""
        try:
            value = canonical.from_bytes((folder / RECORD).read_bytes())
            not_kept = [LeftOut(one["name"], one["reason"]) for one in value["not_kept"]]
            return cls(folder, value["project"], value["facts"], value["absent"], not_kept)
        except FileNotFoundError as error:
            raise NotFoundError(f"{folder} holds nothing that a redeployment replaced") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{folder / RECORD} can't be read", reason=str(error)) from error

    @property
    def lost(self) -> HoldfastError | None:
        """The error that names what can't come back, if anything."""
        if not self.not_kept:
            return None
        return SourceFailedError(
            f"not all functions of Supabase project {self.project} could be brought back",
            reason="; ".join(str(one) for one in self.not_kept),
            next_step="Deploy those from their sources",
        )
