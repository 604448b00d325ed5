"""The embedded server: it starts once for all, survives crashes and stale files, and stops when told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from holdfast.errors import DatabaseUnreachableError, SettingsError
from holdfast.postgres.connection import connect
from holdfast.postgres.embedded import EmbeddedServer

START = "import sys, pathlib; from holdfast.postgres.embedded import EmbeddedServer as E; E(pathlib.Path(sys.argv[1])).start()"


def pid_of(embedded: EmbeddedServer) -> int:
    return int((embedded.data_dir / "postmaster.pid").read_text().splitlines()[0])


def test_two_processes_that_start_at_once_share_one_server(own_server: EmbeddedServer) -> None:
    command = [sys.executable, "-c", START, str(own_server.data_dir)]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert own_server.is_running()  # although those who started it have ended
    pid = pid_of(own_server)
    own_server.start()
    assert pid_of(own_server) == pid


def test_all_who_need_the_same_database_at_once_get_it(own_server: EmbeddedServer) -> None:
    own_server.start()
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(own_server.create_database, ["catalog"] * 6))
    assert made == [own_server.url("catalog")] * 6
    connect(made[0]).close()


def test_data_survives_a_stop_and_a_kill(own_server: EmbeddedServer) -> None:
    own_server.start()
    url = own_server.create_database("kept")
    assert own_server.create_database("kept") == url
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t AS SELECT 1 AS one")
    own_server.stop()
    assert not own_server.is_running()
    own_server.stop()
    own_server.start()
    os.kill(pid_of(own_server), signal.SIGKILL)
    psutil.wait_procs([process for process in psutil.process_iter() if _serves(process, own_server.data_dir)], timeout=20)
    assert not own_server.is_running()
    own_server.start()
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM t")
        assert cursor.fetchall() == [(1,)]


def test_a_pid_file_that_names_some_other_process_does_not_keep_it_from_starting(own_server: EmbeddedServer) -> None:
    own_server.start()
    lines = (own_server.data_dir / "postmaster.pid").read_text().splitlines()
    own_server.stop()
    other = subprocess.Popen(["sleep", "600"])
    try:
        (own_server.data_dir / "postmaster.pid").write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        (own_server.data_dir / ".s.PGSQL.5432.lock").write_text("\n".join([str(other.pid), *lines[1:5]]) + "\n")
        assert not own_server.is_running()
        own_server.start()
        assert own_server.is_running()
    finally:
        other.kill()
        other.wait()


def test_a_half_made_data_folder_is_made_afresh(own_server: EmbeddedServer) -> None:
    left_over = own_server.data_dir.with_name(".data.new")
    (left_over / "base").mkdir(parents=True)
    own_server.start()
    assert own_server.is_running()
    assert not left_over.exists()


def test_nobody_but_its_owner_can_reach_its_socket(own_server: EmbeddedServer) -> None:
    own_server.start()
    socket_dir = Path(str(own_server.url().host))
    assert socket_dir.stat().st_mode & 0o077 == 0


def test_a_path_too_long_for_a_socket_works_and_stays_private(own_server: EmbeddedServer) -> None:
    deep = EmbeddedServer(own_server.data_dir.parent / ("x" * 120) / "data")
    try:
        deep.start()
        with closing(connect(deep.url())):
            pass
        assert Path(str(deep.url().host)).stat().st_mode & 0o077 == 0
    finally:
        deep.stop()


def test_somebody_else_s_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(SettingsError, match="not empty"):
        EmbeddedServer(tmp_path).start()
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_data_of_another_version_is_refused_by_name(own_server: EmbeddedServer) -> None:
    own_server.start()
    own_server.stop()
    with pytest.raises(SettingsError, match="holds data of PostgreSQL 18, not 16"):
        EmbeddedServer(own_server.data_dir, version=16).start()


def test_a_server_that_does_not_run_has_no_url(own_server: EmbeddedServer) -> None:
    with pytest.raises(DatabaseUnreachableError):
        own_server.url()


def test_a_server_that_can_t_start_says_what_its_log_says(own_server: EmbeddedServer) -> None:
    own_server.start()
    own_server.stop()
    (own_server.data_dir / "postgresql.auto.conf").write_text("shared_buffers = 'nonsense'\n")
    with pytest.raises(DatabaseUnreachableError, match="nonsense"):
        own_server.start()


def _serves(process: psutil.Process, data_dir: Path) -> bool:
    try:
        return str(data_dir) in process.cmdline() or process.cwd() == str(data_dir)
    except psutil.Error:
        return False
