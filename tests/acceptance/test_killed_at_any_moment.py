"""SIGKILL at any moment: nothing half-made looks good, nothing stays behind, and the next run simply works."""

from __future__ import annotations

import random
import time

import psutil
import pytest

from holdfast.postgres.connection import connect
from holdfast.postgres.embedded import EmbeddedServer
from tests.acceptance.conftest import LEASE_TTL_SECONDS, Installation
from tests.postgres.oracle import fingerprint

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

BACKGROUND = ("prefect server", "uvicorn", "postgres")


def _is_ours(process: psutil.Process) -> bool:
    """Tell the children of the work from the servers that are meant to stay."""
    try:
        line = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    return not any(word in line for word in BACKGROUND)


def _gone(children: list[psutil.Process], within_seconds: float = 10) -> list[psutil.Process]:
    ours = [child for child in children if child.is_running() and _is_ours(child)]
    _, alive = psutil.wait_procs(ours, timeout=within_seconds)
    return [child for child in alive if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_a_backup_killed_at_any_moment_leaves_no_trace_that_looks_good(installation: Installation) -> None:
    installation.run("backup", "database")
    whole = installation.seconds_of("backup", "database")
    for moment, at_work in ((0.4, False), (0, True), (0.05, True), (0.1, True), (0.15, True), (0.8, False)):
        children = installation.kill_after(moment * whole, "backup", "database", at_work=at_work)
        assert _gone(children) == [], "a child process outlived its killed parent"
        listed = [backup for backup in installation.run("repo", "list") if backup["status"] == "completed"]
        checked = installation.run("repo", "check", "--level", "read")
        assert checked["ok"], checked
        assert listed, "the earlier backup disappeared"
    time.sleep(LEASE_TTL_SECONDS + 2)
    final = installation.run("backup", "database")
    assert final["status"] == "completed"
    statuses = {job["status"] for job in installation.run("list", "--limit", "100")}
    assert statuses == {"completed", "failed"}, "a dead run was not closed, or no kill fell into the work"
    children = installation.kill_after(0.6 * whole, "verify", "latest", "--level", "proven")
    assert _gone(children) == [], "a child process outlived its killed parent"
    proof = installation.run("verify", "latest", "--level", "proven")
    assert (proof["ok"], proof["level"]) == (True, "proven")


def test_a_restore_killed_at_any_moment_never_leaves_a_half_database_under_the_final_name(installation: Installation) -> None:
    installation.run("backup", "database")
    target = installation.source.with_database("brought_back")
    before = fingerprint(installation.source.without_password())
    moments = random.Random(7)
    for _ in range(4):
        children = installation.kill_after(
            moments.uniform(0.5, 4.0), "repo", "restore", "latest", "--target", target.without_password()
        )
        assert _gone(children) == [], "a child process outlived its killed parent"
        if _exists(installation, "brought_back"):
            assert fingerprint(target.without_password()) == before
            _drop(installation, "brought_back")
    children = installation.kill_after(4.5, "restore", "latest", "--target", target.without_password())
    assert _gone(children) == [], "a child process outlived its killed parent"
    if _exists(installation, "brought_back"):
        _drop(installation, "brought_back")
    time.sleep(LEASE_TTL_SECONDS + 2)
    installation.run("restore", "latest", "--target", target.without_password())
    assert _restore_statuses(installation) <= {"completed", "failed"}, "a dead run was not closed"
    assert fingerprint(target.without_password()) == before
    _drop(installation, "brought_back")
    assert _databases(installation) == {"postgres", "pipeline", "template0", "template1"}, "a scratch database was left behind"
    assert fingerprint(installation.source.without_password()) == before


def _restore_statuses(installation: Installation) -> set[str]:
    connection = connect(EmbeddedServer(installation.home / "postgres").url("holdfast"))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT status FROM restore_jobs")
            return {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()


def _databases(installation: Installation) -> set[str]:
    connection = connect(installation.source.maintenance())
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database")
            return {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()


def _exists(installation: Installation, name: str) -> bool:
    return name in _databases(installation)


def _drop(installation: Installation, name: str) -> None:
    connection = connect(installation.source.maintenance())
    try:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        connection.close()
