"""Replication: copy what a replica lacks, stored bytes as they are, so that it is a repository of its own.

Key files and repository.json first, then chunks, then manifests, each with its proofs behind it: whenever a replication dies,
every backup that the replica lists is whole. Nothing is deleted at the replica; leases, prune lists and damaged/ are not copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import RefusedError
from holdfast.repository import names
from holdfast.repository.description import Description, read_description
from holdfast.repository.identity import belongs
from holdfast.repository.replica_chunks import Progress
from holdfast.repository.replicate_with_key import ReplicationWithKey
from holdfast.repository.replicate_without_key import ReplicationWithoutKey
from holdfast.repository.replication import How
from holdfast.repository.report import ReplicationReport
from holdfast.repository.sealed import SealedObjects
from holdfast.storage import Storage

if TYPE_CHECKING:
    from holdfast.repository.repository import Repository


def replicate(
    source: Storage,
    target: Storage,
    *,
    repository: Repository | None = None,
    read_back: bool = True,
    threads: int = 4,
    on_progress: Progress | None = None,
) -> ReplicationReport:
    """Bring the target up to date; `repository` is the source's, opened, where the key is at hand.

    With it every object is proven before it is copied, and nobody prunes meanwhile on either side. Without, an encrypted
    repository is copied as it is, as far as it looks right. `on_progress` is told chunks done, and to copy in all.
    Raises NotFoundError and DamagedError (of the source), RefusedError (the target holds something else), BusyError,
    LeaseLostError, StorageFullError, StorageDeniedError, StorageUnreachableError. What was copied until then stays, and is
    not copied again.
    """
    description = repository.description if repository is not None else read_description(source)
    _require_kin(source, target, description)
    how = How(read_back, threads, on_progress)
    if repository is None and description.encrypted:
        return ReplicationWithoutKey(source, target, description, how).run()
    master = repository.sealed_in(source).master if repository is not None else None
    return ReplicationWithKey(SealedObjects(source, master), SealedObjects(target, master), description, how).run()


def _require_kin(source: Storage, target: Storage, description: Description) -> None:
    if not belongs(source, description.id, lambda _: True):
        raise RefusedError(f"{source.location} does not hold the repository {description.id} that was opened")

    def is_kin(name: str) -> bool:
        """The id of a backup, or of an encrypted chunk, is no coincidence; that of a plain chunk may be: equal content has it."""
        return (description.encrypted or names.chunk_id(name) is None) and source.head(name) is not None

    if not belongs(target, description.id, is_kin):
        raise RefusedError(
            f"{target.location} holds something else than a copy of {source.location}",
            reason="its repository.json, or what is there beside a lost one, is of another repository",
            next_step="Nothing was copied: give this replica an empty place of its own",
        )
