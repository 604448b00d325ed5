"""The engine by itself, without Prefect, catalog and command line, in one process: what those cost is the difference.

`python -m benchmarks.engine backup | restore TARGET`, with the settings of `holdfast` itself.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from holdfast.database_backup import BackupOptions, back_up_database
from holdfast.opening import open_or_create_repository
from holdfast.postgres.restore import DatabaseRestore, RestoreOptions
from holdfast.postgres.url import DatabaseUrl
from holdfast.settings import load_settings


def backup() -> None:
    """Back up what BACKUP_DATABASE_URL names."""
    settings = load_settings()
    repository, _ = open_or_create_repository(settings)
    assert settings.database_url is not None
    back_up_database(repository, DatabaseUrl.parse(settings.database_url), BackupOptions.of(settings))


def restore(target: str) -> None:
    """Restore the newest backup as a new database."""
    settings = load_settings()
    repository, _ = open_or_create_repository(settings)
    with tempfile.TemporaryDirectory(prefix="holdfast-") as spool:
        options = RestoreOptions(spool_dir=Path(spool))
        DatabaseRestore(repository, repository.latest("database"), DatabaseUrl.parse(target), options).run()


if __name__ == "__main__":
    if sys.argv[1] == "backup":
        backup()
    else:
        restore(sys.argv[2])
