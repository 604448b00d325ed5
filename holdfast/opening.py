"""Open what the settings name: the repository, the catalog, a server for scratch databases.

The repository needs storage and a key, and nothing else. The embedded PostgreSQL server of a home is started when something first
needs it, and stays up until `holdfast down`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.errors import KeyMissingError, NotFoundError, SettingsError
from holdfast.repository import CheckLevel, CheckReport, Repository, check_storage, repair_description
from holdfast.storage.opening import open_storage

if TYPE_CHECKING:
    from holdfast.catalog import Catalog
    from holdfast.postgres.connection import DatabaseUrl
    from holdfast.postgres.embedded import EmbeddedServer
    from holdfast.settings import Settings
    from holdfast.storage import Storage

CATALOG_DATABASE = "holdfast"


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
            next_step="Change that setting, or make another repository: set BACKUP_STORAGE_PATH and run 'holdfast init'",
        )
    return repository


def read_repository(settings: Settings) -> Repository:
    """Open the repository in whatever encryption state it is, as reading asks for.

    Raises NotFoundError, KeyMissingError, WrongKeyError, DamagedError.
    """
    return Repository.open(_storage_to_read(settings), key=settings.user_key())


def open_or_create_repository(settings: Settings) -> tuple[Repository, bool]:
    """Open the repository, or make it where there is none; tell which. Raises KeyMissingError before anything is written."""
    key = settings.user_key()
    if settings.enable_encryption and key is None:
        raise KeyMissingError(
            "encryption is on and there is no key, so nothing was made",
            reason="a key is never made silently: whoever loses it loses the backups",
            next_step="Make one with 'holdfast keys generate --file PATH' and set BACKUP_ENCRYPTION_KEY_FILE to that path",
        )
    storage = open_storage(settings.storage_settings)
    if Repository.exists(storage):
        return open_repository(settings), False
    return Repository.create(storage, key=key, encrypt=settings.enable_encryption), True


def check_repository(
    settings: Settings,
    *,
    level: CheckLevel = "read",
    subset: tuple[int, int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Look for damage in a repository that may be too damaged to be opened.

    Raises NotFoundError, KeyMissingError, WrongKeyError; never for damage.
    """
    return check_storage(_storage_to_read(settings), settings.user_key(), level=level, subset=subset, on_progress=on_progress)


def repair_repository(settings: Settings) -> str:
    """Write a damaged or lost repository.json again; return where. Raises RefusedError where it is intact."""
    storage, key = _storage_to_read(settings), settings.user_key()
    if key is None:
        raise KeyMissingError(
            "only a key file holds a copy of repository.json, and no key was given", next_step="Set BACKUP_ENCRYPTION_KEY"
        )
    repair_description(storage, key)
    return storage.location


def _storage_to_read(settings: Settings) -> Storage:
    """Open the storage, and make no folder for it: a slip in its name must not look like an empty repository."""
    place = settings.storage_settings
    if place.type == "local" and place.path is not None and not place.path.expanduser().exists():
        raise NotFoundError(
            f"there is no repository in {place.path}",
            reason="there is no such folder",
            next_step="Check BACKUP_STORAGE_PATH (is it mounted?), or make a repository with 'holdfast init'",
        )
    return open_storage(place)


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
    from holdfast.catalog import Catalog

    server = embedded_server(settings)
    if settings.catalog_url is None and not server.is_running():
        yield None
        return
    url = settings.catalog_url.get_secret_value() if settings.catalog_url else server.url(CATALOG_DATABASE).without_password()
    catalog = Catalog(url)
    try:
        yield catalog
    finally:
        catalog.close()


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
