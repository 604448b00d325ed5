"""Homes of Holdfast whose Prefect server starts quickly, for tests that are not about its first start.

A server that has never run makes its database in 5 seconds of CPU, by all migrations that Prefect ever had, and registers the
blocks of every cloud in one more. That is done once, with the real server, and kept in pytest's cache for as long as all versions
stay the same; each home begins with a copy.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import prefect.settings
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from orchestration.block_types import DATABASE, note_registered
from orchestration.local_server import LocalServer
from orchestration.server import use

_ROOT = Path(__file__).parents[1]
_CACHE = _ROOT / ".pytest_cache" / "d"


def prepare_home(home: Path) -> None:
    """Make a home, with the database of a server that has started once; nothing else of it is in there."""
    made = _made()
    home.mkdir(parents=True, exist_ok=True)
    (home / "prefect").mkdir(mode=0o700)
    shutil.copyfile(made, home / "prefect" / DATABASE)
    note_registered(home / "prefect", os.environ)


@contextmanager
def used_prefect(home: Path) -> Iterator[str]:
    """Run a new home's server, which this process and its threads talk to; yield its API's address."""
    prepare_home(home)
    drain()
    server = LocalServer(home)
    before = os.environ.copy()
    try:
        url = server.start()
        use(server, url)
        chosen = {PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        context = prefect.context.get_settings_context()
        with temporary_settings(chosen), prefect.context._temporary_global_settings_context(context):
            yield url
            drain()
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


def drain() -> None:
    """Have Prefect's threads end: they would go on talking to the server that they began with."""
    EventsWorker.drain_all()
    APILogWorker.drain_all()


def _made() -> Path:
    """The database that is copied; whoever asks first makes it, and the others wait."""
    versions = hashlib.sha256((_ROOT / "constraints.txt").read_bytes()).hexdigest()[:12]
    kept = _CACHE / f"prefect-{versions}.db"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _make(kept)
    return kept


def _make(kept: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="holdfast-test-", dir=_CACHE) as name:
        home = Path(name)
        server = LocalServer(home)
        server.start()
        server.stop()
        with closing(sqlite3.connect(home / "prefect" / DATABASE)) as database:
            database.execute("VACUUM INTO ?", [str(home / "fresh.db")])
        (home / "fresh.db").rename(kept)
