"""The servers of the tests end with the process that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.storage.servers import own_server

_STARTING = """
import time
from tests.storage.servers import azurite_server, gcs_server, moto_server
servers = [azurite_server(), gcs_server(), moto_server()]
for server in servers:
    server.new_storage()
print(*[server.process.pid for server in servers], flush=True)
time.sleep(600)
"""


def test_servers_end_when_the_process_that_started_them_is_killed() -> None:
    command = [sys.executable, "-c", _STARTING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as starter:
        assert starter.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in starter.stdout.readline().split()]
        os.kill(starter.pid, signal.SIGKILL)
    assert len(servers) == 3
    while any(map(_runs, servers)):
        time.sleep(0.05)


def test_a_server_of_ones_own_is_gone_after_its_test() -> None:
    with own_server("gcs") as server:
        process = psutil.Process(server.process.pid)
        assert _runs(process)
    assert not _runs(process)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
