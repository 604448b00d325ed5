"""The plans as this home last saw them, in a file of its own: what is left when the catalog is gone.

The file is replaced whole and is for its owner only. A copy that can't be written or read is told and stops nothing, for the
catalog has the plans.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast.catalog.plans import KeptPlan
from holdfast.private_file import write_private
from holdfast.repository import canonical

Json = dict[str, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CopiedPlans:
    """What a copy holds."""

    plans: list[KeptPlan]
    removed: list[str]
    written_at: datetime


class PlanCopy:
    """The copy in this file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> CopiedPlans | None:
        """Read the copy; None where there is none that can be read."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            return CopiedPlans(
                [_plan(one) for one in document["plans"]], list(document["removed"]), canonical.time_from(document["writtenAt"])
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("The copy of the recovery plans in %s can't be read: %s", self._path, error)
            return None

    def write(self, plans: Sequence[KeptPlan], removed: Collection[str]) -> None:
        """Replace the copy, where it says something else."""
        said = {"plans": [_document(one) for one in plans], "removed": sorted(removed)}
        if self._says(said):
            return
        try:
            document = said | {"writtenAt": canonical.time_text(datetime.now(UTC))}
            write_private(self._path, json.dumps(document, indent=1, ensure_ascii=False).encode())
        except OSError as error:
            _log.warning("The recovery plans could not be copied to %s: %s", self._path, error)

    def _says(self, said: Json) -> bool:
        try:
            there = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(there, dict) and {name: there.get(name) for name in said} == said


def _document(kept: KeptPlan) -> Json:
    changed_at = kept.changed_at and canonical.time_text(kept.changed_at)
    return {"plan": kept.document, "defaultDigest": kept.default_digest, "changedAt": changed_at}


def _plan(document: Json) -> KeptPlan:
    changed_at = document["changedAt"]
    return KeptPlan(dict(document["plan"]), document["defaultDigest"], changed_at and canonical.time_from(changed_at))
