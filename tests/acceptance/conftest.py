"""A whole installation for the acceptance tests: a source database, a home, and the real `holdfast` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from examples.content_pipeline.generate import build
from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.embedded import EmbeddedServer
from tests.forked_commands import COMMANDS
from tests.postgres.servers import server_folder
from tests.prefect_homes import prepare_home

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
LEASE_TTL_SECONDS = 10


class Installation:
    """One home and the settings that reach it; every command is a process of its own, one to be killed a whole new one."""

    def __init__(self, home: Path, source: DatabaseUrl, server: EmbeddedServer) -> None:
        self.home = home
        self.source = source
        self.server = server
        self.environment = os.environ | {
            "HOLDFAST_HOME": str(home),
            "BACKUP_DATABASE_URL": source.without_password(),
            "BACKUP_ENCRYPTION_KEY_FILE": str(home / "key"),
            "BACKUP_COMPRESSION_ALGORITHM": "zstd",
            "BACKUP_LEASE_TTL_SECONDS": str(LEASE_TTL_SECONDS),
            "BACKUP_TABLE_STREAM_THRESHOLD_BYTES": str(1 << 20),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            [HOLDFAST, *arguments],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json, require its exit code, and return what it printed."""
        ended, out, err = COMMANDS.run([*arguments, "--json"], self.home, self.environment, "", seconds=240)
        assert ended == code, f"{arguments}: exit {ended}\n{out}\n{err}"
        return json.loads(out)

    def seconds_of(self, *arguments: str) -> float:
        """Run a command that must succeed, begun as one that is to be killed, and tell how long it took."""
        began = time.monotonic()
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, out + err
        return time.monotonic() - began

    def kill_after(self, seconds: float, *arguments: str, at_work: bool = False) -> list[psutil.Process]:
        """Start a command, SIGKILL it and nothing else after a while, and return the children that it had.

        `at_work`: the while begins when it holds its lease.
        """
        leases = self.home / "repository" / "leases"
        before = set(leases.glob("*"))
        process = self.start(*arguments)
        me = psutil.Process(process.pid)
        children: dict[int, psutil.Process] = {}
        end = None if at_work else time.monotonic() + seconds
        while (end is None or time.monotonic() < end) and process.poll() is None:
            if end is None and set(leases.glob("*")) - before:
                end = time.monotonic() + seconds
            for child in me.children(recursive=True):
                children[child.pid] = child
            time.sleep(0.02)
        process.kill()
        process.communicate(timeout=30)
        return list(children.values())


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """A sample database of 25 MB, and a home where `holdfast init` has been run."""
    with server_folder() as root:
        yield from installed(root)


def installed(root: Path, settings: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """Build one below a folder, with more settings than those every one has; stop its servers in the end."""
    home = root / "home"
    prepare_home(home)
    server = EmbeddedServer(root / "source")
    server.start()
    server.create_database("pipeline")
    one = Installation(home, server.url("pipeline"), server)
    one.environment |= settings or {}
    try:
        build(one.source.without_password(), megabytes=25)
        one.run("keys", "generate", "--file", str(home / "key"))
        one.run("init")
        yield one
    finally:
        subprocess.run([HOLDFAST, "down"], cwd=home, env=one.environment, check=True, capture_output=True)
        server.stop()
