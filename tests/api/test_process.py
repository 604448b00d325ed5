"""The API as the process that `holdfast serve` runs beside the Prefect server: it answers and ends, whatever the storage does."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from holdfast.errors import SettingsError, WorkFailedError
from orchestration.api_process import ApiProcess, api_beside
from tests.standing import settings_in, some_backups
from tests.test_metrics import samples


def scraped(api: ApiProcess) -> tuple[dict[tuple[str, str], float], float]:
    """What a scrape gives, and after how many seconds."""
    began = time.monotonic()
    answer = httpx.get(f"{api.url}/metrics", timeout=30, trust_env=False)
    return samples(answer.content), time.monotonic() - began


def test_it_answers_and_ends_while_the_storage_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What says that there is a repository is a pipe that nobody writes to: reading it never ends."""
    settings = settings_in(tmp_path, monkeypatch)
    some_backups(settings)
    description = settings.home / "repository" / "repository.json"
    description.unlink()
    os.mkfifo(description)
    with api_beside(settings, tmp_path / "api.log", {}) as api:
        assert api.wait_until_it_answers(threading.Event()), api.log.read_text()
        found, seconds = scraped(api)
        assert found == {("holdfast_look_late", ""): 1, ("holdfast_repository_seen", ""): 0}
        assert seconds < 20
        began = time.monotonic()
    assert time.monotonic() - began < 8
    assert api.process.returncode == 0


def test_it_listens_on_this_machine_alone_and_says_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    some_backups(settings)
    with api_beside(settings, tmp_path / "api.log", {}) as api:
        assert api.url.startswith("http://127.0.0.1:")
        assert api.wait_until_it_answers(threading.Event()), api.log.read_text()
        found, _ = scraped(api)
        api.process.kill()
        api.process.wait()
        with pytest.raises(WorkFailedError, match="ended by itself"):
            api.require_alive()
    assert found["holdfast_backups", "database"] == 2


def test_a_port_that_is_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        settings = settings_in(tmp_path, monkeypatch, BACKUP_API_PORT=str(port))
        with (
            pytest.raises(SettingsError, match=rf"The HTTP API can't have port {port}"),
            api_beside(settings, tmp_path / "log", {}),
        ):
            pass
