"""A replication or a repair that is killed leaves no half copy, and the next one goes on where it stopped."""

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

from holdfast.repository import Repository, UserKey, replicate
from holdfast.storage import LocalStorage

from .making import back_up, noise, read_all
from .replicas import objects

CONTENTS = {f"backup_{number}": {"a": noise(1, 20_000_000) + noise(number, 3_000_000)} for number in range(1, 4)}

_REPLICATION = textwrap.dedent("""
    import sys
    from holdfast.repository import Repository, UserKey, replicate
    from holdfast.storage import LocalStorage
    source, target = (LocalStorage(folder) for folder in sys.argv[1:3])
    key = UserKey.parse("11" * 32)
    print("ready", flush=True)
    report = replicate(source, target, repository=Repository.open(source, key=key) if sys.argv[3] == "with_key" else None)
    sys.exit(0 if report.ok else str(report.problems))
""")


@pytest.mark.parametrize(
    ("scenario", "deaths_min"), [("with_key", 20), ("with_key_again", 14), ("without_key", 12), ("repair", 10)]
)
def test_killed_before_any_step(tmp_path: Path, scenario: str, deaths_min: int) -> None:
    script = Path(__file__).with_name("killed_replication.py")
    done = subprocess.run([sys.executable, script, scenario, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= deaths_min


def _begin(source: Path, target: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _REPLICATION, str(source), str(target), how]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    return child


@pytest.mark.parametrize("how", ["with_key", "without_key"])
def test_killed_at_any_moment_the_copy_lists_only_what_is_whole_and_is_completed_by_the_next(
    folder: Path, tmp_path: Path, key: UserKey, how: str
) -> None:
    source, target = LocalStorage(folder), tmp_path / "replica"
    repository = Repository.create(source, key=key)
    for backup_id, contents in CONTENTS.items():
        back_up(repository, backup_id, contents)
    for _ in range(4):
        with _begin(folder, target, how) as child:
            time.sleep(random.uniform(0.02, 0.4))
            os.kill(child.pid, signal.SIGKILL)
        if Repository.exists(LocalStorage(target)):
            report = Repository.open(LocalStorage(target), key=key).check(level="read")
            assert report.content_ok, report.problems
    report = replicate(source, LocalStorage(target), repository=repository)
    assert report.ok, report.problems
    copy = Repository.open(LocalStorage(target), key=key)
    assert {one.id: read_all(copy, one.manifest) for one in copy.backups()} == CONTENTS
    assert set(objects(source)) - set(objects(LocalStorage(target))) == {info.name for info in source.list("leases")}


def test_two_processes_at_once_while_a_backup_runs_and_one_of_them_is_killed(folder: Path, tmp_path: Path, key: UserKey) -> None:
    source, target = LocalStorage(folder), tmp_path / "replica"
    repository = Repository.create(source, key=key)
    for backup_id, contents in CONTENTS.items():
        back_up(repository, backup_id, contents)
    with _begin(folder, target, "with_key") as victim, _begin(folder, target, "with_key") as survivor:
        time.sleep(random.uniform(0.02, 0.3))
        os.kill(victim.pid, signal.SIGKILL)
        late = {"a": noise(1, 20_000_000) + noise(9, 1_000_000)}
        back_up(repository, "backup_late", late)
        assert survivor.wait() == 0, survivor.stderr.read() if survivor.stderr else ""
    copy = Repository.open(LocalStorage(target), key=key)
    assert {one.id for one in copy.backups()} >= set(CONTENTS)
    assert replicate(source, LocalStorage(target), repository=repository).ok
    copy = Repository.open(LocalStorage(target), key=key)
    assert copy.check(level="read").ok
    assert {one.id: read_all(copy, one.manifest) for one in copy.backups()} == {**CONTENTS, "backup_late": late}
