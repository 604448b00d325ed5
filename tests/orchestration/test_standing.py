"""How things stand is told while half of the system is down, and says which half."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.answer import to_json
from holdfast.settings import Settings
from orchestration.standing.gathering import Gathering, gathered
from tests.standing import KEY, settings_in, some_backups

CANARY = "canary-of-metrics"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_in(tmp_path, monkeypatch, BACKUP_CATALOG_URL=f"postgresql://nobody:{CANARY}@127.0.0.1:1/x")


@contextmanager
def hanging(settings: Settings) -> Iterator[None]:
    """What says that there is a repository is a pipe that nobody writes to: reading it lasts until the block ends."""
    description = settings.home / "repository" / "repository.json"
    kept = description.read_bytes()
    description.unlink()
    os.mkfifo(description)
    try:
        yield
    finally:
        os.close(os.open(description, os.O_WRONLY))
        description.unlink()
        description.write_bytes(kept)


def test_it_says_which_half_is_down_and_tells_all_of_the_other(settings: Settings) -> None:
    some_backups(settings)
    found = gathered(settings)
    parts = found.document["parts"]
    assert {name: part["ok"] for name, part in parts.items()} == {"storage": True, "catalog": False, "prefect": False}
    assert (parts["catalog"]["code"], parts["prefect"]["code"]) == ("HF-702", "HF-703")
    assert parts["prefect"]["nextStep"]
    types = {one["type"]: one for one in found.document["types"]}
    assert types["database"]["lastGood"]["jobId"] == "newer"
    assert (types["config"]["on"], types["function"]["on"], bool(types["function"]["offBecause"])) == (True, False, True)
    assert (found.overview.seen, found.overview.recorded, found.unseen) == (True, False, None)
    assert {one.name for one in settings.home.iterdir()} == {"repository"}, "something was started"


def test_no_secret_is_in_it_and_what_is_protected_is_told_by_its_address(settings: Settings) -> None:
    some_backups(settings)
    found = gathered(settings).document
    text = to_json(found).decode()
    assert CANARY not in text
    assert KEY not in text
    sources = {one["type"]: one["source"] for one in found["types"]}
    assert sources["database"] == "postgresql://canary@127.0.0.1:1/content"
    assert (sources["config"], sources["function"]) == ("variables CONTENT_*", None)
    assert found["configuration"]["databaseBackupInterval"] == settings.database_backup_interval
    assert found["api"] == {"ok": True, "protected": False}


def test_the_api_is_said_to_be_protected_as_soon_as_there_is_a_token(settings: Settings) -> None:
    from holdfast.tokens import Tokens

    Tokens.of(settings).create("prometheus", ["read"])
    assert gathered(settings).document["api"]["protected"] is True


def test_a_storage_that_hangs_is_told_and_holds_one_thread_however_often_it_is_asked(settings: Settings) -> None:
    some_backups(settings)
    gathering = Gathering(storages_seconds=0.2)
    with hanging(settings):
        for _ in range(3):
            found = gathering.gather(settings)
            assert "did not answer" in found.document["parts"]["storage"]["error"]
            assert (found.overview.seen, found.document["configuration"]["enableEncryption"]) == (False, True)
        asking = [one for one in threading.enumerate() if one.name.startswith("holdfast-ask-the primary")]
        assert len(asking) == 1
    asking[0].join(20)
    assert gathering.gather(settings).document["parts"]["storage"] == {"ok": True}


def test_a_replica_that_is_gone_is_a_part_that_is_down(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    some_backups(settings)
    nowhere = (settings.home / "nowhere").as_uri()
    monkeypatch.setenv("BACKUP_REPLICAS", nowhere)
    from holdfast.settings import load_settings

    found = gathered(load_settings()).document
    assert found["parts"][f"replica {nowhere}"]["code"] == "HF-300"
    assert found["parts"]["storage"]["ok"] is True
    assert found["backups"][0]["copies"][0]["storage"] == "primary"
