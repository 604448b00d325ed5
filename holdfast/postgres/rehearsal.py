"""A restore that is only looked at: into a scratch database, which is dropped at the end together with roles made for it.

This is how a backup is proven while nothing is wrong. A run that is killed leaves a scratch database, which the next run drops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.restore import DatabaseRestore, Progress, RestoreOptions, RestoreReport
from holdfast.repository import Manifest, Repository


@contextmanager
def restore_to_scratch(
    repository: Repository,
    manifest: Manifest,
    server: DatabaseUrl,
    options: RestoreOptions,
    *,
    on_progress: Progress | None = None,
) -> Iterator[tuple[DatabaseUrl, RestoreReport]]:
    """Restore into a scratch database on `server`; lend its address and the report, and drop it afterwards.

    The restored database is compared with the source's truth where the options say so (see `RestoreReport.proof`); a server that
    lacks the source's locale gets a similar one. Raises what `DatabaseRestore` raises.
    """
    rehearsal = DatabaseRestore(
        repository, manifest, server, replace(options, mode="new", rehearsal=True, any_locale=True, analyze=False)
    )
    with rehearsal:
        report = rehearsal.fill(on_progress)
        yield rehearsal.working, report
