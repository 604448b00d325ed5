"""Tokens are kept whole, whoever changes them and whatever happens meanwhile; what can't be read for certain lets nobody in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, RefusedError, SettingsError
from holdfast.tokens import Tokens

KILLED = """
import os, pathlib, sys
pathlib.Path.replace = lambda *_: os.kill(os.getpid(), 9)
from holdfast.tokens import Tokens
Tokens(pathlib.Path(sys.argv[1])).create("lost", ["read"])
"""


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "api" / "tokens.json")


def test_a_token_is_found_until_it_expires_or_is_revoked(tokens: Tokens) -> None:
    now = datetime.now(UTC)
    lasting = tokens.create("ci", ["read", "backup"])
    ending = tokens.create("guest", ["read"], now + timedelta(hours=1))
    found = tokens.find(lasting)
    assert found is not None
    assert (found.name, found.scopes) == ("ci", {"read", "backup"})
    assert tokens.find(ending, now + timedelta(minutes=59)) is not None
    assert tokens.find(ending, now + timedelta(hours=1)) is None
    tokens.revoke("ci")
    assert tokens.find(lasting) is None
    with pytest.raises(NotFoundError):
        tokens.revoke("ci")


def test_a_token_is_not_in_its_file_which_only_its_owner_may_read(tokens: Tokens) -> None:
    token = tokens.create("ci", ["read"])
    assert token.removeprefix("hf_") not in tokens.path.read_text()
    assert tokens.path.stat().st_mode & 0o777 == 0o600
    assert tokens.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_name_is_given_once(tokens: Tokens) -> None:
    tokens.create("ci", ["read"])
    with pytest.raises(RefusedError, match="a token ci already"):
        tokens.create("ci", ["admin"])


def test_of_those_who_make_tokens_at_once_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: Tokens(path).create(f"number-{number}", ["read"]), range(24)))
    there = Tokens(path)
    assert {token.name for token in there.all()} == {f"number-{number}" for number in range(24)}
    assert all(there.find(token) for token in made)


def test_who_is_killed_at_it_leaves_the_others_and_no_litter(tokens: Tokens) -> None:
    kept = tokens.create("kept", ["read"])
    done = subprocess.run([sys.executable, "-c", KILLED, str(tokens.path)], check=False)
    assert done.returncode == -9
    assert tokens.find(kept) is not None
    assert len(list(tokens.path.parent.iterdir())) == 3
    tokens.create("later", ["read"])
    assert sorted(one.name for one in tokens.path.parent.iterdir()) == [".tokens.json.lock", "tokens.json"]


def test_another_process_sees_a_change_at_once(tokens: Tokens) -> None:
    other = Tokens(tokens.path)
    assert other.all() == []
    token = tokens.create("ci", ["read"])
    assert other.find(token) is not None
    tokens.revoke("ci")
    assert other.find(token) is None
    assert other.all() == []


def cut(path: Path) -> None:
    path.write_text(path.read_text()[:-20])


def with_another_scope(path: Path) -> None:
    path.write_text(path.read_text().replace('"read"', '"everything"'))


def without_digest(path: Path) -> None:
    said = json.loads(path.read_text())
    said["tokens"][0]["digest"] = ""
    path.write_text(json.dumps(said))


def twice(path: Path) -> None:
    said = json.loads(path.read_text())
    path.write_text(json.dumps({"tokens": said["tokens"] * 2}))


def writable(path: Path) -> None:
    path.chmod(0o620)


def gone(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [cut, with_another_scope, without_digest, twice, writable, gone, a_folder])
def test_a_file_that_cannot_be_trusted_is_an_error_and_never_no_tokens(tokens: Tokens, harm: Callable[[Path], None]) -> None:
    token = tokens.create("ci", ["read"])
    assert tokens.find(token) is not None
    harm(tokens.path)
    with pytest.raises(SettingsError, match="can't be used"):
        tokens.find(token)
    if harm is not gone:
        with pytest.raises(SettingsError, match="can't be used"):
            Tokens(tokens.path).all()


def test_a_file_of_another_user_is_refused(tokens: Tokens) -> None:
    tokens.create("ci", ["read"])
    if os.geteuid() == 0:
        os.chown(tokens.path, 12345, -1)
        with pytest.raises(SettingsError, match="belongs to another user"):
            tokens.all()
    else:
        with pytest.raises(SettingsError, match="belongs to another user"):
            Tokens(Path("/proc/1/environ")).all()
