"""What a subject is compared with: the newest good backup of its type; where there is none, nothing is judged by one.

While a person thinks, backups go on: one that was made after the question may lack what was asked about, and does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.latest import newest_good
from holdfast.repository import canonical

if TYPE_CHECKING:
    from holdfast.recovery.world import World
    from holdfast.repository import Manifest, Repository

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """A backup to compare with, and the repository that it is read from."""

    repository: Repository
    manifest: Manifest

    def document(self) -> Json:
        """Name it in a verdict's evidence."""
        return {"id": self.manifest.id, "snapshotAt": canonical.time_text(self.manifest.snapshot_at)}


def newest_reference(world: World, backup_type: str) -> Reference | str:
    """Find the newest good backup of a type; or say why there is nothing to compare with."""
    try:
        repository = world.repository
        manifest = newest_good(repository, backup_type, until=world.as_of)
    except HoldfastError as error:
        return f"the backups can't be read: {error.what_and_why}"
    if manifest is None:
        return f"there is no good {backup_type} backup to compare with"
    return Reference(repository, manifest)
