"""`repo list` says what it leaves out, makes no home, and believes a check of the same home."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from holdfast.repository import Repository, UserKey, names
from holdfast.storage import LocalStorage
from tests.cli.conftest import KEY, Home
from tests.repository.making import back_up, one_bit_off


@pytest.fixture
def folder(home: Home, tmp_path: Path) -> Path:
    """Three backups of ten minutes ago, beside a home that is not there."""
    found = tmp_path / "kept"
    home.settings["BACKUP_STORAGE_PATH"] = str(found)
    made = Repository.create(LocalStorage(found), key=UserKey.parse(KEY))
    for number in range(3):
        back_up(made, f"backup_{number}", {"a": bytes([number])})
    before = time.time() - 600
    for path in found.rglob("*"):
        os.utime(path, (before, before))
    return found


def test_more_than_the_limit_is_told_beside_the_list(home: Home, folder: Path) -> None:
    short = home.run("repo", "list", "--limit", "1", "--json")
    assert len(short.document) == 1
    assert "… 2 more; --limit shows them" in short.err
    assert "2 more" in home.run("repo", "list", "--limit", "1").err
    assert "more" not in home.run("repo", "list", "--limit", "3").err
    assert not home.path.exists(), "a host that only reads gets no home"


def test_what_repo_check_found_is_listed_from_then_on(home: Home, folder: Path) -> None:
    home.path.mkdir()
    assert {one["status"] for one in home.json("repo", "list")} == {"completed"}
    path = folder / names.manifest("database", "backup_1")
    before = path.stat()
    path.write_bytes(one_bit_off(path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not home.json("repo", "check", "--level", "stored", code=5)["ok"]
    assert {one["jobId"] for one in home.json("repo", "list") if one["status"] == "damaged"} == {"backup_1"}
