"""Open what a flow is told by name: the blocks that hold storage, replicas, key and databases.

Parameters of flows are names, so that no secret is ever one. What the blocks hold is hidden from the logs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from prefect.blocks.core import Block

from blocks import DatabaseTarget, EncryptionKey
from blocks.opening import StorageBlock, read_storage_block
from holdfast.errors import HoldfastError, NotFoundError, SettingsError
from holdfast.opening import open_to_read
from holdfast.postgres.url import DatabaseUrl
from holdfast.repository import Repository, UserKey
from holdfast.storage.opening import require_folder
from orchestration.masking import hide, hide_all_of

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.storage import Storage, StorageSettings
    from holdfast.storage.replica import Replica

B = TypeVar("B", bound=Block)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """The primary, opened: what replicas are to become copies of."""

    settings: StorageSettings
    storage: Storage
    repository: Repository


@contextmanager
def opened_repository(storage: str, key: str) -> Iterator[Repository]:
    """Open the repository in a storage block with the key of a key block.

    Raises NotFoundError (no such block, no repository), KeyMissingError, WrongKeyError, DamagedError, StorageUnreachableError.
    """
    with opened_source(storage, key) as source:
        yield source.repository


@contextmanager
def opened_source(storage: str, key: str) -> Iterator[Source]:
    """Open the same, with what a replication needs to know of it."""
    block = _storage_block(storage)
    with closing(block.open()) as opened:
        yield Source(block.settings, opened, Repository.open(opened, key=_user_key(key)))


@contextmanager
def repository_to_read(storage: str, key: str, settings: Settings, from_replica: str | None = None) -> Iterator[Repository]:
    """Open the repository to read it: that of the storage block, or, where it can't be opened, of the first replica that can.

    `from_replica` names the replica to read from in any case. Replicas also stand by for what is damaged.
    """
    source = find_replica(from_replica, settings) if from_replica else None
    with closing(
        open_to_read(lambda: _existing(storage), _user_key(key), replicas=known_replicas(settings), source=source)
    ) as repository:
        yield repository


@contextmanager
def repository_to_heal(storage: str, key: str, settings: Settings) -> Iterator[Repository]:
    """Open the repository of the storage block itself; the replicas of the settings stand by to heal it.

    Raises what `opened_repository` raises.
    """
    held, user_key, replicas = _existing(storage), _user_key(key), known_replicas(settings)
    try:
        repository = Repository.open(held, key=user_key, replicas=replicas)
    except BaseException:
        held.close()
        raise
    with closing(repository):
        yield repository


def known_replicas(settings: Settings) -> list[Replica]:
    """Find the replicas of the settings; one that can't be found is told, and does without."""
    found = []
    for name in settings.replicas:
        try:
            found.append(find_replica(name, settings))
        except HoldfastError as error:
            _log.warning("The replica %s can't be used now: %s", name, error)
    return found


def find_replica(name: str, settings: Settings) -> Replica:
    """Find the replica of a block's name or a URL. Raises NotFoundError, SettingsError, PrefectUnreachableError."""
    from blocks.replicas import find_replicas

    (replica,) = find_replicas([name], bandwidth_limit=settings.bandwidth_limit)
    hide_all_of(replica.settings)
    hide(*replica.secrets)
    return replica


def _existing(storage: str) -> Storage:
    block = _storage_block(storage)
    require_folder(block.settings, f"Check the path of the block {storage}: is it mounted?")
    return block.open()


def _storage_block(name: str) -> StorageBlock:
    block = read_storage_block(name)
    hide(*block.secrets)
    return block


def open_database(name: str) -> DatabaseUrl:
    """Return the database of a DatabaseTarget block, another on its server (`block/database`), or that of a URL.

    A URL must not hold a password.
    """
    if "://" in name:
        url = DatabaseUrl.parse(name)
        if url.password is not None:
            raise SettingsError(
                "the URL of a flow's database may hold no password",
                reason="parameters can be read by everybody who can see the Prefect server",
                next_step="Save it as a DatabaseTarget block, and give the block's name",
            )
        return url
    block, _, database = name.partition("/")
    url = load(DatabaseTarget, block).database_url()
    hide(url.password)
    return url.with_database(database) if database else url


def _user_key(name: str) -> UserKey | None:
    """The key, or None where there is no such block: a repository that is not encrypted needs none."""
    try:
        return load(EncryptionKey, name).user_key()
    except NotFoundError:
        return None


def load(kind: type[B], name: str) -> B:
    """Load a block, whose secrets are hidden from the logs from then on. Raises NotFoundError."""
    try:
        block = cast("B", kind.load(name))  # Prefect types what may also be awaited
    except ValueError as error:
        slug = kind.get_block_type_slug()
        raise NotFoundError(f"there is no block {slug}/{name}", next_step="'holdfast init' saves the blocks") from error
    hide_all_of(block)
    return block
