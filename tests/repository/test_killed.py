"""A process that is killed at any step leaves no half backup, no stuck lease and no lost chunk, and the next run goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from holdfast.repository import Repository, UserKey
from holdfast.storage import LocalStorage

from .making import back_up, noise, read_all


@pytest.mark.parametrize(("scenario", "deaths_min"), [("create", 4), ("backup", 12), ("forget", 6), ("prune", 6), ("rotate", 6)])
def test_killed_before_any_step(tmp_path: Path, scenario: str, deaths_min: int) -> None:
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run([sys.executable, script, scenario, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= deaths_min


def test_killed_at_any_moment_of_a_backup_the_next_run_continues_where_it_stopped(folder: Path, key: UserKey) -> None:
    script = textwrap.dedent(f"""
        import io, sys
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from repository.making import back_up, noise
        from holdfast.repository import Repository, UserKey
        from holdfast.storage import LocalStorage
        repository = Repository.open(LocalStorage({str(folder)!r}), key=UserKey.parse("11" * 32))
        contents = {{"a": noise(1, 30_000_000)}}
        print("ready", flush=True)
        back_up(repository, sys.argv[1], contents)
    """)
    Repository.create(LocalStorage(folder), key=key)
    survivors = set()
    for number in range(4):
        with subprocess.Popen([sys.executable, "-c", script, f"backup_{number}"], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(random.uniform(0.02, 0.15))
            os.kill(child.pid, signal.SIGKILL)
        repository = Repository.open(LocalStorage(folder), key=key)
        survivors = {one.id for one in repository.backups()}
        report = repository.check(level="read")
        assert report.ok, report.problems
    manifest = back_up(repository, "backup_last", {"a": noise(1, 30_000_000)})
    assert read_all(repository, manifest) == {"a": noise(1, 30_000_000)}
    assert {one.id for one in repository.backups()} == survivors | {"backup_last"}
    stored = sum(info.size_bytes for info in LocalStorage(folder).list("chunks"))
    assert stored < 31_000_000, "nothing was stored twice"
