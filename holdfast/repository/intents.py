"""What the dead holder of a lease had begun, a commit or a forgetting, is finished before the lease is removed.

A pinned backup stays: of one that was about to be forgotten the receipt is written again.
"""

from __future__ import annotations

from holdfast.errors import DamagedError, NotFoundError
from holdfast.repository import immutability
from holdfast.repository.backups import Backups
from holdfast.repository.canonical import Json
from holdfast.repository.pins import Pins
from holdfast.repository.presence import missing_chunks
from holdfast.repository.proof import Proofs
from holdfast.repository.sealed import SealedObjects


def finish(sealed: SealedObjects, intent: Json) -> None:
    """Do the rest of what an intent says. Raises DamagedError, and what the storage raises."""
    backups = Backups(sealed)
    forgetting = intent["action"] == "forget"
    if forgetting and Pins(sealed).find(intent["backup_id"]) is None:
        backups.forget(intent["backup_id"])
        return
    try:
        manifest = backups.manifest(intent["backup_id"])
    except NotFoundError:
        return  # it died before the manifest, or after the last step of the forgetting: there is no such backup
    except DamagedError:
        if forgetting:
            return  # it is pinned, so it stays as it is
        raise
    if not missing_chunks(sealed, manifest):
        immutability.lock_manifest(sealed.storage, manifest)
        Proofs(sealed).add_receipt(manifest)
