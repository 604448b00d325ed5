"""Whose objects a storage holds. Nothing is ever copied into, or taken from, the storage of another repository."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from holdfast.errors import DamagedError, HoldfastError, KeyMissingError, NotFoundError, ObjectNotFoundError
from holdfast.repository import names, sealing
from holdfast.repository.description import Description, holds_keys, read_description
from holdfast.repository.keyfile import KeyFile
from holdfast.repository.keyring import open_with, read_key_files
from holdfast.repository.masterkey import Kind, MasterKey
from holdfast.repository.proven import read_bounded
from holdfast.repository.sealed import SealedObjects
from holdfast.repository.spares import Spares
from holdfast.repository.userkey import UserKey
from holdfast.storage import Storage

if TYPE_CHECKING:
    from holdfast.storage.replica import Replica

log = logging.getLogger(__name__)

_LOOKED_AT_MAX = 20


Proves = Callable[[str], bool]


def belongs(storage: Storage, repository_id: str, proves: Proves) -> bool:
    """Tell whether what a storage holds is of that repository; nothing at all may become anybody's.

    repository.json decides; where it is damaged the key files do; where they are gone too, any object that `proves` accepts by
    its name. Raises RefusedError for what a newer Holdfast made.
    """
    try:
        return read_description(storage).id == repository_id
    except NotFoundError:
        return True
    except DamagedError:
        found = {file.repository_id for _, file in read_key_files(storage) if isinstance(file, KeyFile)}
    if found:
        return repository_id in found
    folders = (names.MANIFESTS, names.PROOFS, names.CHUNKS)
    return any(proves(info.name) for folder in folders for info in islice(storage.list(folder), _LOOKED_AT_MAX))


def opened_like(
    storage: Storage, key: UserKey | None, replicas: Sequence[Replica]
) -> tuple[Description, MasterKey | None] | None:
    """Learn from a replica of a storage what the storage itself is too damaged to say; None where none can be opened.

    The storage has the last word: without a key file left, something in it must open the way that the replica says. Where
    nothing is encrypted that says little, so a manifest or proof must be the same in both.
    """
    with closing(Spares(replicas, None)) as spares:
        for name, replica in spares.storages():
            try:
                found = _opened(replica, key)
            except HoldfastError as error:
                log.info("the replica %s can't tell what %s is: %s", name, storage.location, error)
                continue
            if not found[0].encrypted and holds_keys(storage):
                continue
            sealed = SealedObjects(storage, found[1])
            if belongs(storage, found[0].id, partial(_proves, sealed, replica)):
                return found
    return None


def _proves(sealed: SealedObjects, replica: Storage, name: str) -> bool:
    """Tell whether an object shows that a storage and a replica are of one repository, whose key is known."""
    chunk_id = names.chunk_id(name)
    limit = sealing.bytes_max(Kind.CHUNK)
    try:
        stored = read_bounded(sealed.storage, name, limit)
        if chunk_id is not None:
            sealed.unsealed_chunk(chunk_id, stored)
            return sealed.master is not None
        sealed.unsealed(Kind.PROOF if names.proof_backup(name) else Kind.MANIFEST, name, stored)
        return sealed.master is not None or read_bounded(replica, name, limit) == stored
    except (ObjectNotFoundError, ValueError):
        return False


def _opened(storage: Storage, key: UserKey | None) -> tuple[Description, MasterKey | None]:
    description = read_description(storage)
    if not description.encrypted:
        return description, None
    if key is None:
        raise KeyMissingError(f"{storage.location} is encrypted and no key was given", next_step="Set BACKUP_ENCRYPTION_KEY")
    opened = open_with(storage, key, description)
    return opened.description, opened.master
