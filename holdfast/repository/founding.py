"""How a repository comes to be, and how the description that makes it one is written again.

The key file comes first and repository.json last: with it the repository exists.
"""

from __future__ import annotations

from holdfast.errors import DamagedError, ObjectExistsError, RefusedError, WorkFailedError
from holdfast.repository import names
from holdfast.repository.description import Description, read_description
from holdfast.repository.keyfile import KeyFile
from holdfast.repository.keyring import open_with
from holdfast.repository.masterkey import MasterKey
from holdfast.repository.userkey import UserKey
from holdfast.storage import Storage
from holdfast.storage.probe import put_first


def write_new(storage: Storage, key: UserKey | None, label: str) -> None:
    """Make a repository that is encrypted where there is a key. Of two that make one at the same time, one wins.

    Raises DamagedError (there are backups, and the description is missing).
    """
    if any(True for folder in (names.MANIFESTS, names.CHUNKS, names.PROOFS) for _ in storage.list(folder)):
        read_description(storage)  # says that it is missing among backups
    description = Description.new(encrypted=key is not None)
    if key is not None and description.first_key_id is not None:
        master = MasterKey(MasterKey.new_secret(), description.id)
        description = description.authenticated(master)
        file = KeyFile.wrap(key, master, description, label=label, key_id=str(description.first_key_id))
        storage.put(names.key(file.id), file.to_bytes())
        storage.sync()
    try:
        put_first(storage, names.DESCRIPTION, description.to_bytes())
    except ObjectExistsError:
        storage.delete(names.key(str(description.first_key_id)))
    except WorkFailedError:
        storage.delete(names.key(str(description.first_key_id)))
        raise
    storage.sync()


def repair_description(storage: Storage, key: UserKey) -> None:
    """Write repository.json again from the copy in a key file. Raises RefusedError where it is intact."""
    try:
        read_description(storage)
    except DamagedError:
        opened = open_with(storage, key)
        storage.put(names.DESCRIPTION, opened.description.to_bytes(), replace=True)
        storage.sync()
        return
    raise RefusedError(f"{names.DESCRIPTION} in {storage.location} is intact, so there is nothing to repair")
