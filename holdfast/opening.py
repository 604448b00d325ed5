"""Open what the settings name: the repository, the catalog, a server for scratch databases.

The repository needs storage and a key, and nothing else. Where it can't be opened to be read, a replica stands in for it; backups
are never written anywhere but to the primary. The embedded PostgreSQL server of a home is started when something first needs it,
and stays up until `holdfast down`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.errors import (
    DamagedError,
    DatabaseUnreachableError,
    HoldfastError,
    KeyMissingError,
    NotFoundError,
    SettingsError,
    StorageDeniedError,
    StorageUnreachableError,
)
from holdfast.repository import CheckLevel, CheckReport, Repository, check_storage, repair_description
from holdfast.storage.opening import open_storage, require_folder

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from holdfast.catalog import Catalog
    from holdfast.postgres.connection import DatabaseUrl
    from holdfast.postgres.embedded import EmbeddedServer
    from holdfast.repository import UserKey
    from holdfast.settings import Settings
    from holdfast.storage import Storage, StorageSettings
    from holdfast.storage.replica import Replica

CATALOG_DATABASE = "holdfast"
PRIMARY = "primary"
"""What the storage that backups are made into is called among its replicas."""

_STANDS_IN_FOR = (StorageUnreachableError, NotFoundError, DamagedError, StorageDeniedError)
_log = logging.getLogger(__name__)


def open_repository(settings: Settings) -> Repository:
    """Open the repository to back up into it.

    Raises SettingsError where it is in the other encryption state than the settings say, and what `read_repository` raises.
    """
    repository = read_repository(settings)
    if repository.encrypted != settings.enable_encryption:
        is_, says = ("encrypted", "false") if repository.encrypted else ("not encrypted", "true")
        raise SettingsError(
            f"The repository at {repository.location} is {is_}, and BACKUP_ENABLE_ENCRYPTION is {says}",
            reason="a repository stays in the state that it was made in",
            next_step="Change that setting, or make another repository: name another place and run 'holdfast init'",
        )
    return repository


def read_repository(settings: Settings, *, replicas: Sequence[Replica] = (), source: Replica | None = None) -> Repository:
    """Open the repository in whatever encryption state it is, as reading asks for; see `open_to_read`."""
    place = settings.storage_settings
    found = open_to_read(lambda: storage_to_read(place), settings.user_key(), replicas=replicas, source=source)
    found.use_cache(cache_folder(settings))
    return found


def cache_folder(settings: Settings) -> Path:
    """Where lists remember what manifests and proofs say; it may be deleted at any time."""
    return settings.home / "cache"


def open_to_read(
    primary: Callable[[], Storage], key: UserKey | None, *, replicas: Sequence[Replica] = (), source: Replica | None = None
) -> Repository:
    """Open the repository to read it: the primary, else the first replica that can be opened, which `standing_in` then names.

    `source` is the one replica to read from, whatever the primary is like. The other replicas stand by for damaged chunks.

    Raises NotFoundError, KeyMissingError, WrongKeyError, DamagedError, StorageDeniedError, StorageUnreachableError.
    """
    if source is not None:
        return _standing_in(source, key, replicas)
    try:
        return _opened(primary, key, replicas)
    except _STANDS_IN_FOR as error:
        if not replicas:
            raise
        return _first_to_stand_in(replicas, key, error)


def _first_to_stand_in(replicas: Sequence[Replica], key: UserKey | None, primary: HoldfastError) -> Repository:
    reasons = [primary.reason] if primary.reason else []
    for replica in replicas:
        try:
            repository = _standing_in(replica, key, replicas)
        except HoldfastError as error:
            reasons.append(f"nor can the replica {replica.name} be read: {error.what_and_why}")
        else:
            _log.warning("%s. What is read comes from the replica %s", primary.what_and_why, replica.name)
            return repository
    raise type(primary)(primary.message, reason="; ".join(reasons), next_step=primary.next_step) from primary


def _standing_in(replica: Replica, key: UserKey | None, replicas: Sequence[Replica]) -> Repository:
    others = [other for other in replicas if other.name != replica.name]
    repository = _opened(lambda: open_replica(replica), key, others)
    repository.standing_in = replica.name
    return repository


def _opened(storage: Callable[[], Storage], key: UserKey | None, replicas: Sequence[Replica]) -> Repository:
    opened = storage()
    try:
        return Repository.open(opened, key=key, replicas=replicas)
    except BaseException:
        opened.close()
        raise


def notes_on_reading(repository: Repository) -> list[str]:
    """Tell what a reader should know of where it was read from: a replica that stood in, objects that one had to give."""
    notes = [f"read from the replica {repository.standing_in}"] if repository.standing_in else []
    notes += [str(spared) for spared in repository.spared]
    more = repository.spared_count - len(repository.spared)
    return [*notes, f"{more} more objects were read from a replica"] if more else notes


def open_or_create_repository(settings: Settings) -> tuple[Repository, bool]:
    """Open the repository, or make it where there is none; tell which. Raises KeyMissingError before anything is written."""
    key = require_key(settings)
    storage = open_storage(settings.storage_settings)
    if Repository.exists(storage):
        return open_repository(settings), False
    return Repository.create(storage, key=key, encrypt=settings.enable_encryption), True


def require_key(settings: Settings) -> UserKey | None:
    """Return the key that a repository is made with, None where it is not to be encrypted. Raises KeyMissingError."""
    key = settings.user_key()
    if settings.enable_encryption and key is None:
        raise KeyMissingError(
            "encryption is on and there is no key, so nothing was made",
            reason="a key is never made silently: whoever loses it loses the backups",
            next_step="Make one with 'holdfast keys generate --file PATH' and set BACKUP_ENCRYPTION_KEY_FILE to that path",
        )
    return key


def check_repository(
    settings: Settings,
    *,
    level: CheckLevel = "read",
    subset: tuple[int, int] | None = None,
    source: Replica | None = None,
    replicas: Sequence[Replica] = (),
    repair: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Look for damage in a repository that may be too damaged to be opened: the primary, or the replica `source`.

    `repair` heals what another of its copies can heal. Raises NotFoundError, KeyMissingError, WrongKeyError; never for damage.
    """
    storage = storage_to_read(settings.storage_settings) if source is None else open_replica(source)
    try:
        report = check_storage(
            storage,
            settings.user_key(),
            level=level,
            subset=subset,
            on_progress=on_progress,
            replicas=copies_beside(settings, source, replicas),
            repair=repair,
        )
        _drop_remembered(settings, storage, report.damaged_manifests)
    finally:
        storage.close()
    return report


def _drop_remembered(settings: Settings, storage: Storage, manifests: Sequence[str]) -> None:
    """Have the lists of this home tell from now on which manifests a check found damaged."""
    if not manifests:
        return
    try:
        repository = Repository.open(storage, key=settings.user_key())
    except HoldfastError as error:
        _log.debug("Nothing is dropped from the cache, for no list can be made either: %s", error)
        return
    repository.use_cache(cache_folder(settings))
    repository.drop_remembered(manifests)


def copies_beside(settings: Settings, source: Replica | None, replicas: Sequence[Replica]) -> list[Replica]:
    """Name the places that may help out one of the copies: all others, for a replica the primary too."""
    from holdfast.storage.replica import Replica

    if source is None:
        return list(replicas)
    others = [replica for replica in replicas if replica.name != source.name]
    return [Replica(PRIMARY, settings.storage_settings), *others]


def repair_repository(settings: Settings) -> str:
    """Write a damaged or lost repository.json again; return where. Raises RefusedError where it is intact."""
    storage, key = storage_to_read(settings.storage_settings), settings.user_key()
    if key is None:
        raise KeyMissingError(
            "only a key file holds a copy of repository.json, and no key was given", next_step="Set BACKUP_ENCRYPTION_KEY"
        )
    repair_description(storage, key)
    return storage.location


def storage_to_read(place: StorageSettings) -> Storage:
    """Open the primary, and make no folder for it: a slip in its name must not look like an empty repository."""
    require_folder(place, "Check BACKUP_STORAGE_PATH (is it mounted?), or make a repository with 'holdfast init'")
    return open_storage(place)


def open_replica(replica: Replica) -> Storage:
    """Open a replica to read it, and make no folder for it."""
    require_folder(replica.settings, "Is it mounted? 'holdfast repo replicate' makes a replica")
    return replica.open()


def embedded_server(settings: Settings) -> EmbeddedServer:
    """Return the home's own PostgreSQL server, running or not."""
    from holdfast.postgres.embedded import EmbeddedServer

    return EmbeddedServer(settings.home / "postgres")


def running_servers(settings: Settings) -> list[EmbeddedServer]:
    """Return the PostgreSQL servers that run in this home: the catalog's, and a demo's sample database."""
    from holdfast.postgres.embedded import EmbeddedServer

    servers = [EmbeddedServer(found.parent) for found in sorted(settings.home.glob("*/postmaster.pid"))]
    return [server for server in servers if server.is_running()]


def open_catalog(settings: Settings) -> Catalog:
    """Open the catalog, migrated: in the database of BACKUP_CATALOG_URL, else in the embedded server, which is started."""
    from holdfast.catalog import Catalog

    if settings.catalog_url is not None:
        url = settings.catalog_url.get_secret_value()
    else:
        server = _started(settings)
        server.create_database(CATALOG_DATABASE)
        url = server.url(CATALOG_DATABASE).without_password()
    catalog = Catalog(url)
    catalog.migrate()
    return catalog


@contextmanager
def catalog_if_running(settings: Settings) -> Iterator[Catalog | None]:
    """Open the catalog as it is, or yield None where the embedded server does not run; nothing is started or migrated."""
    if not _catalog_runs(settings):
        yield None
        return
    catalog = open_running_catalog(settings)
    try:
        yield catalog
    finally:
        catalog.close()


def open_running_catalog(settings: Settings) -> Catalog:
    """Open the catalog as it is; nothing is started or migrated. Raises DatabaseUnreachableError where its server is down."""
    from holdfast.catalog import Catalog

    return Catalog(running_catalog_address(settings))


def running_catalog_address(settings: Settings) -> str | SecretStr:
    """Return where the catalog is now. Raises DatabaseUnreachableError where that is the embedded server, and it is down."""
    if settings.catalog_url is not None:
        return settings.catalog_url
    server = embedded_server(settings)
    if not server.is_running():
        raise DatabaseUnreachableError(
            "the catalog does not run",
            reason="the embedded PostgreSQL of this home is down",
            next_step="'holdfast serve' starts it, and so does 'holdfast init'",
        )
    return server.url(CATALOG_DATABASE).without_password()


def _catalog_runs(settings: Settings) -> bool:
    return settings.catalog_url is not None or embedded_server(settings).is_running()


def scratch_server(settings: Settings) -> DatabaseUrl:
    """Return a server where scratch databases may be made: BACKUP_SCRATCH_URL's, else the embedded one, which is started."""
    from holdfast.postgres.connection import DatabaseUrl

    if settings.scratch_url is not None:
        return DatabaseUrl.parse(settings.scratch_url)
    return _started(settings).url()


def _started(settings: Settings) -> EmbeddedServer:
    server = embedded_server(settings)
    server.start()
    return server
