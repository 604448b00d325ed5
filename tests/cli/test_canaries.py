"""No secret is left anywhere: whatever fails, and whoever is told of it, each file that an installation leaves is searched."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import KEY, Home
from tests.postgres.servers import server_folder
from tests.prefect_homes import prepare_home
from tests.receivers import http_receiver

CANARY = "canary4e77"
COMMANDS = """
import sys
from cli.main import run
from flows.health_monitor import health_monitor

def step(*arguments):
    print("$", *arguments, "->", run(arguments), flush=True)

step("init")
step("deploy")
step("deploy", "--target", "shop")
step("backup", "database")
try:
    print("monitored:", health_monitor()["status"])
except Exception as error:
    print("monitored:", repr(error))
step("notify", "test")
step("alarm-drill")
step("status")
step("report")
"""


def canary(name: str) -> str:
    return f"{CANARY}-{name}-0123456789"


@contextmanager
def unlucky(root: Path) -> Iterator[Home]:
    """A home whose every setting that is a secret holds a canary, and where nobody who is called takes anything."""
    with http_receiver(status=500) as broken:
        hooks = {name: f"{broken.url}/{canary(name)}" for name in ("slack", "teams", "discord", "webhook")}
        settings = {
            "BACKUP_ENCRYPTION_KEY": KEY,
            "BACKUP_DATABASE_URL": f"postgresql://me:{canary('database')}@127.0.0.1:9/shop",
            "BACKUP_SMTP_URL": f"smtp://me:{canary('smtp')}@127.0.0.1:9",
            "BACKUP_EMAIL_TO": "ops@example.org",
            "BACKUP_PAGERDUTY_KEY": canary("pagerduty").replace("-", "")[:32].ljust(32, "0"),
            "BACKUP_HEARTBEAT_URL": f"{broken.url}/{canary('heartbeat')}",
            "BACKUP_NOTIFICATION_CHANNELS": "email,slack,teams,pagerduty,discord,webhook",
            "BACKUP_FAILURE_THRESHOLD": "1",
            "BACKUP_METRICS_FILE": str(root / "home" / "holdfast.prom"),
            "SUPABASE_ACCESS_TOKEN": canary("supabase"),
            "HTTPS_PROXY": "http://127.0.0.1:9",  # nobody outside is called
            "NO_PROXY": "127.0.0.1",
            **{f"BACKUP_{name.upper()}_WEBHOOK_URL": url for name, url in hooks.items() if name != "webhook"},
            "BACKUP_WEBHOOK_URL": hooks["webhook"],
        }
        home = Home(root / "home", settings)
        prepare_home(home.path)
        try:
            yield home
        finally:
            home.run("down")


@dataclass(frozen=True)
class Left:
    """What was said, and each file that was left."""

    said: str
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def left() -> Iterator[Left]:
    """Set up, fail at a backup, tell everybody in vain, look at all of it, and stop."""
    with server_folder() as root, unlucky(root) as home:
        ran = [sys.executable, "-c", COMMANDS]
        environment = home.environment()
        done = subprocess.run(ran, cwd=root, env=environment, capture_output=True, text=True, timeout=400, check=False)
        looked = home.run("status", "--json")
        home.run("down")
        files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        yield Left(done.stdout + done.stderr + looked.out + looked.err, files)


def test_all_of_it_was_done_and_nobody_could_be_told(left: Left) -> None:
    steps = re.findall(r"^\$ (.*) -> (\d+)", left.said, re.MULTILINE)
    assert [step for step, code in steps if code != "0"] == ["backup database", "notify test", "alarm-drill"]
    assert len(steps) == 8
    assert "monitored: completed" in left.said
    for channel in ("email", "slack", "teams", "pagerduty", "discord", "webhook"):
        assert f"{channel} has no message: Notification failed: it" in left.said or channel == "email"
        assert f"The channel {channel} takes no messages" in left.said
    assert b"Action failed" in left.files["home/logs/prefect-server.log"]
    assert b"holdfast_alarm" in left.files["home/holdfast.prom"]
    assert "home/prefect/prefect.db" in left.files


def test_no_secret_is_said_nor_left_in_any_file_of_prefect_the_catalog_or_ours(left: Left) -> None:
    """Blocks are encrypted at rest; all else of Prefect's is in its database as it is: events, logs, parameters, variables."""
    found = {name: around(data) for name, data in left.files.items() if CANARY.encode() in data}
    assert found == {}
    assert CANARY not in left.said


def around(data: bytes) -> list[bytes]:
    """Tell what stands before canaries."""
    return re.findall(rb".{0,200}" + CANARY.encode(), data, re.DOTALL)[:10]
