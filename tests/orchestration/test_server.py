"""The home's own Prefect server, with real processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from holdfast.errors import PrefectUnreachableError, SettingsError
from orchestration.local_server import LocalServer, answers
from orchestration.server import ensure_prefect, prefect_address, stop_prefect

START = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from orchestration.server import ensure_prefect
url = ensure_prefect(SimpleNamespace(home=Path(sys.argv[1])))
assert os.environ["PREFECT_API_URL"] == url and "prefect" not in sys.modules
print(url)
"""


@dataclass
class Home:
    """What `ensure_prefect` reads of the settings."""

    home: Path


def _start(home: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"BACKUP_ENCRYPTION_KEY": "canary-of-the-key", "PGPASSWORD": "canary-of-the-password"}
    return subprocess.Popen(
        [sys.executable, "-c", START, str(home)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Path, str]]]:
    """Three commands at once: two for one home, one for another; what each said is their homes' server."""
    root = tmp_path_factory.mktemp("homes")
    homes = [root / "one", root / "one", root / "two"]
    commands = [_start(home) for home in homes]
    try:
        said = [command.communicate(timeout=120) for command in commands]  # would hang if a server kept their stdout
        assert [command.returncode for command in commands] == [0, 0, 0], said
        yield [(home, out.strip()) for home, (out, _) in zip(homes, said, strict=True)]
    finally:
        for home in set(homes):
            LocalServer(home).stop()


def _pid(home: Path) -> int:
    return int(json.loads((home / "prefect" / "server.json").read_text())["pid"])


def test_commands_started_at_once_share_one_server_a_home_and_homes_share_nothing(started: list[tuple[Path, str]]) -> None:
    (one, url), (_, same), (two, other) = started
    assert url == same
    assert url != other
    folders = [str(home / "prefect") for home in (one, two)]
    lines = {process.pid: " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])}
    assert {pid for pid, line in lines.items() if any(folder in line for folder in folders)} == {_pid(one), _pid(two)}
    assert (one / "prefect" / "prefect.db").exists()
    assert (two / "prefect" / "prefect.db").exists()


def test_the_ui_calls_the_server_that_it_came_from(started: list[tuple[Path, str]]) -> None:
    url = started[0][1]
    with urllib.request.urlopen(url.replace("/api", "/ui-settings"), timeout=10) as answer:
        assert json.load(answer)["api_url"] == url


def test_the_server_has_none_of_our_secrets_and_tells_nobody_about_itself(started: list[tuple[Path, str]]) -> None:
    environment = psutil.Process(_pid(started[0][0])).environ()
    assert "canary" not in json.dumps(environment)
    assert (environment["DO_NOT_TRACK"], environment["PREFECT_SERVER_ANALYTICS_ENABLED"]) == ("1", "false")
    with urllib.request.urlopen(f"{started[0][1]}/admin/settings", timeout=10) as answer:
        said = json.load(answer)["server"]
    assert said["analytics_enabled"] is False
    assert said["concurrency"]["lease_storage"].endswith(".filesystem"), "in memory a restart would lose who is at work"


def test_clients_ask_for_a_token_only_where_the_server_wants_one(
    started: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, url = started[0]
    asks = "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"
    with urllib.request.urlopen(f"{url}/admin/settings", timeout=10) as answer:
        assert json.load(answer)["server"]["api"]["csrf_protection_enabled"] is False
    assert LocalServer(home).environment(url)[asks] == "false"
    monkeypatch.setenv("PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED", "true")
    assert LocalServer(home).environment(url)[asks] == "true"


def test_stopping_one_home_leaves_the_other_running_and_it_can_be_started_again(
    started: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, url), _, (two, other) = started
    process = psutil.Process(_pid(one))
    assert stop_prefect(Home(one)) is True  # type: ignore[arg-type]
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE  # one that init has not buried
    assert prefect_address(Home(one)) is None  # type: ignore[arg-type]
    assert stop_prefect(Home(one)) is False  # type: ignore[arg-type]
    assert answers(other)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert prefect_address(Home(two)) == other  # type: ignore[arg-type]
    assert not answers(url)


def test_a_record_of_a_dead_server_or_of_a_process_that_got_its_number_is_not_believed(tmp_path: Path) -> None:
    server = LocalServer(tmp_path)
    (tmp_path / "prefect").mkdir()
    record = tmp_path / "prefect" / "server.json"
    for text in (
        json.dumps({"url": "http://127.0.0.1:9/api", "pid": os.getpid(), "createTime": 1.0}),
        json.dumps({"url": "http://127.0.0.1:9/api", "pid": 2**22 + 1, "createTime": 1.0}),
        "{half",
        "[]",
    ):
        record.write_text(text)
        assert server.url is None
        assert server.stop() is False


def test_a_server_that_dies_at_its_start_is_reported_with_what_its_log_says(tmp_path: Path) -> None:
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "prefect.db").write_bytes(b"this is no database " * 500)
    with pytest.raises(PrefectUnreachableError) as raised:
        LocalServer(tmp_path).start()
    assert "file is not a database" in str(raised.value)
    assert str(tmp_path / "logs" / "prefect-server.log") in str(raised.value)
    assert LocalServer(tmp_path).url is None


def test_a_server_named_by_the_user_is_missed_when_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(PrefectUnreachableError, match="PREFECT_API_URL"):
        ensure_prefect(Home(tmp_path))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_refused_by_name(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=str(port)):
            LocalServer(tmp_path).start(port)
