"""A server that has registered its types of blocks starts without any cloud's library, and with them where one may be missing."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from orchestration.block_types import DATABASE, note_registered, settings_of_start
from orchestration.local_server import LocalServer
from tests.prefect_homes import prepare_home

NOT_AGAIN = {"PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false", "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false"}
ALL_ANEW = {"PREFECT_SERVER_MEMO_STORE_PATH": os.devnull}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Prefect's folder of a home whose server has started before."""
    prepare_home(tmp_path / "home")
    return tmp_path / "home" / "prefect"


def _change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        assert database.execute(statement).rowcount == 1


def test_what_is_registered_is_not_registered_again(folder: Path) -> None:
    assert settings_of_start(folder, {}) == NOT_AGAIN
    _change(folder, "INSERT INTO block_type (id, name, slug, is_protected) VALUES ('a', 'of a user', 'of-a-user', false)")
    assert settings_of_start(folder, {}) == NOT_AGAIN


def test_all_is_registered_where_a_type_may_be_missing(folder: Path) -> None:
    note = folder / "block-types.json"
    whole = note.read_text()
    versions = json.loads(whole)["collections"]
    assert {"prefect", "holdfast", "prefect_aws"} <= versions.keys()
    newer = json.dumps(json.loads(whole) | {"collections": versions | {"prefect_aws": "another version"}})
    for damaged in ("", whole[:-3], "[]", "null", json.dumps({"collections": versions, "types": []}), newer):
        note.write_text(damaged)
        assert settings_of_start(folder, {}) == ALL_ANEW, damaged
    note.write_text(whole)
    _change(folder, "DELETE FROM block_type WHERE slug = 's3-bucket'")
    assert settings_of_start(folder, {}) == ALL_ANEW
    (folder / DATABASE).write_bytes(b"no database")
    assert settings_of_start(folder, {}) == ALL_ANEW
    (folder / DATABASE).unlink()
    assert settings_of_start(folder, {}) == ALL_ANEW


def test_who_decides_otherwise_is_heeded(folder: Path) -> None:
    for name in (
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START",
        "PREFECT_API_DATABASE_CONNECTION_URL",
        "prefect_server_database_connection_url",
        "PREFECT_SERVER_DATABASE_HOST",
        "PREFECT_PROFILES_PATH",
    ):
        assert settings_of_start(folder, {name: "true"}) == {}, name
    note = folder / "block-types.json"
    note.unlink()
    note_registered(folder, {"PREFECT_API_BLOCKS_REGISTER_ON_START": "false"})
    assert not note.exists()
    note_registered(folder, {})
    assert settings_of_start(folder, {}) == NOT_AGAIN
    (folder / "profiles.toml").write_text('active = "ours"\n[profiles.ours]\n')
    assert settings_of_start(folder, {}) == {}, "a profile may name another database"


def test_a_type_that_went_missing_is_there_after_the_next_start_and_the_one_after_loads_no_cloud(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _change(folder, "DELETE FROM block_type WHERE slug = 's3-bucket'")
    server = LocalServer(folder.parent)
    with monkeypatch.context() as patch:
        patch.setenv("PREFECT_SERVER_REGISTER_BLOCKS_ON_START", "false")
        server.start()
        server.stop()
    assert (folder / "memo_store.toml").exists(), "Prefect believes now that it has registered all"
    loaded = []
    for _ in range(2):
        try:
            httpx.get(f"{server.start()}/block_types/slug/s3-bucket").raise_for_status()
            pid = json.loads((folder / "server.json").read_text())["pid"]
            loaded.append(any("/grpc/" in library.path for library in psutil.Process(pid).memory_maps()))
        finally:
            server.stop()
    assert loaded == [True, False]
