"""A whole backup without Prefect, by the same steps: what benchmarks and scripts call."""

from __future__ import annotations

import threading

import pytest

from holdfast.database_backup import BackupOptions, DatabaseBackup, back_up_database, purpose
from holdfast.errors import BusyError, SnapshotLostError
from tests.flows.conftest import Installation


def test_a_backup_without_prefect_holds_the_same_entries_and_tells_its_progress(installation: Installation) -> None:
    told: dict[str, int] = {}
    manifest = back_up_database(
        installation.repository,
        installation.source,
        BackupOptions.of(installation.settings),
        tell_progress=lambda name: lambda done: told.update({name: done}),
    )
    assert {entry.name for entry in manifest.entries} == {"globals", "base", "table/public.articles", "truth"}
    assert told["table/public.articles"] == manifest.entry("table/public.articles").size_bytes
    assert installation.repository.latest("database").id == manifest.id


def test_of_two_backups_that_begin_at_once_one_is_refused(installation: Installation) -> None:
    options, outcomes = BackupOptions.of(installation.settings), []
    both = threading.Barrier(2)

    def back_up() -> None:
        repository = installation.repository
        with repository.lease(purpose(installation.source)) as lease:
            both.wait()
            try:
                with DatabaseBackup(repository, lease, installation.source, options, job_id="backup_1_unused"):
                    outcomes.append("goes on")
                    both.wait()
            except BusyError as error:
                outcomes.append(str(error))
                both.wait()

    threads = [threading.Thread(target=back_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcome == "goes on" for outcome in outcomes) == [False, True], outcomes


def test_a_backup_whose_snapshot_is_lost_says_that_only_another_run_can_succeed(installation: Installation) -> None:
    repository, options = installation.repository, BackupOptions.of(installation.settings)
    with (
        repository.lease(purpose(installation.source)) as lease,
        DatabaseBackup(repository, lease, installation.source, options, job_id="backup_1_unused") as backup,
    ):
        backup.plan()
        ours = "application_name = 'holdfast' AND pid <> pg_backend_pid()"
        installation.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
        with pytest.raises(SnapshotLostError) as raised:
            backup.store_base()
    assert raised.value.retryable is False
