"""The engine by itself, without Prefect, catalog and command line, in one process: what those cost is the difference.

`python -m benchmarks.engine backup | check | restore TARGET [--unproven] [--no-analyze]`, with the settings of `holdfast` itself.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from holdfast.allocation import share_arenas
from holdfast.settings import load_settings


def backup() -> None:
    """Back up what BACKUP_DATABASE_URL names."""
    from holdfast.database_backup import BackupOptions, back_up_database
    from holdfast.opening import open_or_create_repository
    from holdfast.postgres.url import DatabaseUrl

    settings = load_settings()
    repository, _ = open_or_create_repository(settings)
    assert settings.database_url is not None
    back_up_database(repository, DatabaseUrl.parse(settings.database_url), BackupOptions.of(settings))


def check() -> None:
    """Read all that is stored. Ends with an error where anything is damaged."""
    from holdfast.opening import check_repository

    report = check_repository(load_settings(), level="read")
    if not report.ok:
        sys.exit(f"damaged: {report.problems}")


def restore(target: str, *, prove: bool = True, analyze: bool = True) -> None:
    """Restore the newest backup as a new database."""
    from holdfast.opening import open_or_create_repository
    from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
    from holdfast.postgres.url import DatabaseUrl

    settings = load_settings()
    repository, _ = open_or_create_repository(settings)
    with tempfile.TemporaryDirectory(prefix="holdfast-") as spool:
        options = RestoreOptions(spool_dir=Path(spool), prove=prove, analyze=analyze)
        DatabaseRestore(repository, repository.latest("database"), DatabaseUrl.parse(target), options).run()


if __name__ == "__main__":
    share_arenas()  # as `holdfast` does
    match sys.argv[1:]:
        case ["backup"]:
            backup()
        case ["check"]:
            check()
        case ["restore", place, *how]:
            restore(place, prove="--unproven" not in how, analyze="--no-analyze" not in how)
        case _:
            sys.exit(__doc__)
