"""Open what the settings name: the repository, the catalog, a server for scratch databases.

The repository needs storage and a key, and nothing else. The embedded PostgreSQL server of a home is started when something first
needs it, and stays up until `holdfast down`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.errors import SettingsError
from holdfast.repository import CheckLevel, CheckReport, Repository, check_storage
from holdfast.storage.opening import open_storage

if TYPE_CHECKING:
    from holdfast.catalog import Catalog
    from holdfast.postgres.connection import DatabaseUrl
    from holdfast.postgres.embedded import EmbeddedServer
    from holdfast.settings import Settings

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
    storage = open_storage(settings.storage_settings)
    return Repository.open(storage, key=settings.user_key())


def open_or_create_repository(settings: Settings) -> tuple[Repository, bool]:
    """Open the repository, or make it where there is none; tell which. Raises KeyMissingError before anything is written."""
    storage = open_storage(settings.storage_settings)
    if Repository.exists(storage):
        return open_repository(settings), False
    return Repository.create(storage, key=settings.user_key(), encrypt=settings.enable_encryption), True


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
    storage = open_storage(settings.storage_settings)
    return check_storage(storage, settings.user_key(), level=level, subset=subset, on_progress=on_progress)


def embedded_server(settings: Settings) -> EmbeddedServer:
    """Return the home's own PostgreSQL server, running or not."""
    from holdfast.postgres.embedded import EmbeddedServer

    return EmbeddedServer(settings.home / "postgres")


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
