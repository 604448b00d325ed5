"""Open what a flow is told by name: the blocks that hold storage, key and databases.

Parameters of flows are names, so that no secret is ever one. What the blocks hold is hidden from the logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TypeVar, cast

from prefect.blocks.core import Block

from blocks import BackupStorage, DatabaseTarget, EncryptionKey
from holdfast.errors import NotFoundError, SettingsError
from holdfast.postgres.url import DatabaseUrl
from holdfast.repository import Repository, UserKey
from orchestration.masking import hide, hide_all_of

B = TypeVar("B", bound=Block)


@contextmanager
def opened_repository(storage: str, key: str) -> Iterator[Repository]:
    """Open the repository in a storage block with the key of a key block.

    Raises NotFoundError (no such block, no repository), KeyMissingError, WrongKeyError, DamagedError, StorageUnreachableError.
    """
    with closing(_load(BackupStorage, storage).open()) as opened:
        yield Repository.open(opened, key=_user_key(key))


def open_database(name: str) -> DatabaseUrl:
    """Return the database of a DatabaseTarget block, or of a URL, which must not hold a password."""
    if "://" in name:
        url = DatabaseUrl.parse(name)
        if url.password is not None:
            raise SettingsError(
                "the URL of a flow's database may hold no password",
                reason="parameters can be read by everybody who can see the Prefect server",
                next_step="Save it as a DatabaseTarget block, and give the block's name",
            )
        return url
    url = _load(DatabaseTarget, name).database_url()
    hide(url.password)
    return url


def _user_key(name: str) -> UserKey | None:
    """The key, or None where there is no such block: a repository that is not encrypted needs none."""
    try:
        return _load(EncryptionKey, name).user_key()
    except NotFoundError:
        return None


def _load(kind: type[B], name: str) -> B:
    try:
        block = cast("B", kind.load(name))  # Prefect types what may also be awaited
    except ValueError as error:
        slug = kind.get_block_type_slug()
        raise NotFoundError(f"there is no block {slug}/{name}", next_step="'holdfast init' saves the blocks") from error
    hide_all_of(block)
    return block
