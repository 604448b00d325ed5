"""What the dead holder of a lease had begun, a commit or a forgetting, is finished before the lease is removed."""

from __future__ import annotations

from holdfast.errors import NotFoundError
from holdfast.repository import immutability
from holdfast.repository.backups import Backups
from holdfast.repository.canonical import Json
from holdfast.repository.presence import missing_chunks
from holdfast.repository.proof import Proofs
from holdfast.repository.sealed import SealedObjects


def finish(sealed: SealedObjects, intent: Json) -> None:
    """Do the rest of what an intent says. Raises DamagedError, and what the storage raises."""
    backups = Backups(sealed)
    if intent["action"] == "forget":
        backups.forget(intent["backup_id"])
        return
    try:
        manifest = backups.manifest(intent["backup_id"])
    except NotFoundError:
        return  # it died before the manifest: there is no such backup
    if not missing_chunks(sealed, manifest):
        immutability.lock_manifest(sealed.storage, manifest)
        Proofs(sealed).add_receipt(manifest)
