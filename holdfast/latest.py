"""Which backup is meant by `latest` when something is brought back, and which one a drill rehearses.

Whoever restores is never given an older backup, or one that is known to be bad, without having asked for it by its id.
"""

from __future__ import annotations

import logging
from datetime import datetime

from holdfast import figures
from holdfast.errors import DamagedError, NotFoundError
from holdfast.repository import Manifest, Repository
from holdfast.verification import find_backup

_log = logging.getLogger(__name__)


def find_to_restore(repository: Repository, backup_id: str, backup_type: str) -> Manifest:
    """Open the manifest of a backup, or of the newest of a type for `latest`.

    Raises NotFoundError; DamagedError where the newest is damaged or known to be bad, naming the newest good one.
    """
    manifest = find_backup(repository, backup_id, backup_type)
    if backup_id != "latest":
        return manifest
    index = repository.proof_index()
    if not index.is_bad(manifest):
        return manifest
    good = newest_good(repository, backup_type)
    older = "there is no good one before it"
    if good is not None:
        older = f"the newest good one is {good.id}, made {figures.minute_utc(good.snapshot_at)}: name it to use it"
    raise DamagedError(
        f"the newest {backup_type} backup, {manifest.id}, is known to be bad",
        reason="; ".join(index.proofs(manifest)[0].problems[:3]) or None,
        next_step=f"{older[:1].upper()}{older[1:]}. To try the bad one all the same, name it",
    )


def newest_good(repository: Repository, backup_type: str, *, until: datetime | None = None) -> Manifest | None:
    """Open the newest backup of a type of which no damage is known, made until then; None where there is none.

    A list may not know yet that a manifest is damaged, so it is read from the storage, and the next one taken where it is.
    """
    index = repository.proof_index()
    for one in repository.backups(backup_type):
        if one.intact is None or index.is_bad(one.intact) or (until is not None and one.intact.snapshot_at > until):
            continue
        try:
            return repository.manifest(one.id)
        except (DamagedError, NotFoundError) as error:
            _log.warning("Backup %s is passed over: %s", one.id, error.what_and_why)
    return None


def require_good(repository: Repository, backup_type: str) -> Manifest:
    """Open the same. Raises NotFoundError where there is none."""
    manifest = newest_good(repository, backup_type)
    if manifest is None:
        raise NotFoundError(
            f"there is no good {backup_type} backup",
            next_step=f"Run: holdfast backup {backup_type}",
        )
    return manifest
