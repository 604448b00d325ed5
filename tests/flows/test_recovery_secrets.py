"""The default plans look ahead, drill, recover and fail, and no secret that they come near is told to anybody."""

from __future__ import annotations

import json
import shlex
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock

from blocks.managed_service import remove_service, save_service
from blocks.saving import register_and_save
from cli.main import run as holdfast
from flows.config_backup import config_backup
from flows.database_backup import database_backup
from flows.disaster_recovery import disaster_recovery
from flows.function_backup import function_backup
from flows.secrets_backup import secrets_backup
from holdfast.errors import RecoveryFailedError
from holdfast.opening import CATALOG_DATABASE
from holdfast.postgres.connection import connect, rows_of
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.recovery.defaults import default_plans
from holdfast.recovery.services.description import ServiceDescription
from orchestration.recovery import steps as step_tasks
from orchestration.recovery.asking import checked_facts
from tests.flows.conftest import KEY, PASSWORD, Installation
from tests.flows.sources import SECRET, make_configuration, make_env_file, make_functions
from tests.receivers import Receiver, http_receiver

SERVICE = "canary-of-a-service-77af01"
CONFIG = "canary-of-a-file-1c08de"
PAYLOAD = "canary-of-a-payload-90b2aa"
CALL_TOKEN = "canary-of-a-call-5be113"
SERVERS = "canary-of-a-servers-answer-e811"
CANARIES = (KEY, PASSWORD, SECRET, SERVICE, CONFIG, PAYLOAD, CALL_TOKEN, SERVERS)
FACTS: dict[str, Any] = {
    "password": PAYLOAD,
    "note": f"somebody logged in with password={PAYLOAD}",
    "login": [{"dsn": f"postgresql://app:{PAYLOAD}@db/shop"}],
}
PLANS = ("database_failure", "function_failure", "config_corruption", "secrets_compromise")
TELLS_ITS_PASSWORD = "import os, sys; print('the login', os.environ['DB_LOGIN'], 'was refused'); sys.exit(3)"


@pytest.fixture
def receiver(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A whole pipeline with secrets wherever one may be, backed up; and whoever is told of what happens to it."""
    monkeypatch.setattr(step_tasks, "FIRST_DELAY_SECONDS", 0.01)
    make_functions(tmp_path / "supabase")
    make_configuration(tmp_path / "settings")
    (tmp_path / "settings" / "login.toml").write_text(f'[db]\npassword = "{CONFIG}"\nhost = "db"\n')
    make_env_file(tmp_path / "secrets.env")
    with (tmp_path / "secrets.env").open("a") as file:
        file.write(f"MAIL_URL=smtp://app:{SECRET}-3@mail.example.com/\n")
    (tmp_path / "app.log").write_text("nothing yet\n")
    with http_receiver() as told, _gateway() as address:
        CustomWebhookNotificationBlock(
            name="told-canaries", url=f"{told.url}/hook", json_data={"subject": "{{subject}}", "body": "{{body}}"}
        ).save("told-canaries", overwrite=True)
        values = {
            "BACKUP_FUNCTIONS_PATH": f"{tmp_path}/supabase",
            "BACKUP_FUNCTIONS_URL": address,
            "BACKUP_FUNCTIONS_CALL_TOKEN": CALL_TOKEN,
            "BACKUP_CONFIG_FILES": f"{tmp_path}/settings/*",
            "BACKUP_SECRETS_ENV_FILE": f"{tmp_path}/secrets.env",
            "BACKUP_LEAK_FILES": f"{tmp_path}/*.log",
            "BACKUP_NOTIFICATION_CHANNELS": "told-canaries",
        }
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        register_and_save(installation.settings)
        line = f"{sys.executable} -c {shlex.quote(TELLS_ITS_PASSWORD)}"
        described = ServiceDescription(kind="command", restart=line, environment={"DB_LOGIN": SERVICE})
        save_service("talker", described, None)
        installation.only_plans(*(default_plans()[plan] for plan in PLANS))
        for backup in (database_backup, function_backup, config_backup, secrets_backup):
            backup()
        yield told
        remove_service("talker", None)
        installation.only_plans()


@contextmanager
def _gateway() -> Iterator[str]:
    """Answer in the place of every function, with all that was asked, and a secret of the function's own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{self.headers.get('Authorization')} {SERVERS}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _break(installation: Installation, place: Path) -> None:
    """Bring every subject into trouble, near its secrets."""
    installation.sql("DROP TABLE tags")
    (place / "supabase" / "functions" / "hello" / "index.ts").unlink()
    (place / "settings" / "feeds.yaml").write_bytes(f'password = "{CONFIG}"\0\0'.encode())
    (place / "app.log").write_text(f"sent token {SECRET}\nand smtp://app:{SECRET}-3@mail.example.com/\n")


def _recover(plan: str, mode: str, **how: Any) -> str:
    """Carry out a plan as an event has it; return all that came of it, well or not."""
    try:
        return json.dumps(disaster_recovery(plan, "database_corruption", mode=mode, facts=FACTS, **how))
    except RecoveryFailedError as error:
        return f"{error}\n{json.dumps(error.found)}"


def _rows(installation: Installation) -> str:
    """Read every row of the catalog."""
    with closing(connect(EmbeddedServer(installation.home / "postgres").url(CATALOG_DATABASE))) as connection:
        tables = [row[0] for row in rows_of(connection, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return "\n".join(row[0] for one in tables for row in rows_of(connection, f"SELECT t::text FROM {one} AS t"))


def _prefect(home: Path) -> dict[str, str]:
    """Read all that the Prefect server keeps, by table and column."""
    found: dict[str, list[str]] = {}
    with closing(sqlite3.connect(f"file:{home}/prefect/prefect.db?mode=ro", uri=True)) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in names:
            cursor = database.execute(f'SELECT * FROM "{table}"')
            for row in cursor:
                for column, value in zip(cursor.description, row, strict=True):
                    found.setdefault(f"{table}.{column[0]}", []).append(str(value))
    return {name: "\n".join(values) for name, values in found.items()}


def test_no_secret_is_in_anything_that_a_default_plan_leaves_behind(
    installation: Installation,
    receiver: Receiver,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = [_recover(plan, mode) for plan in PLANS for mode in ("plan", "drill")]
    _break(installation, tmp_path)
    said += [_recover(plan, "run", approved_by="somebody") for plan in PLANS]
    for command in (
        ["recover", "--list", "--json"],
        ["recover", PLANS[3], "--mode", "plan"],
        ["plans", "show", PLANS[0], "--json"],
    ):
        holdfast(command)
    assert [one.startswith("the plan") for one in said[-4:]] == [False, False, True, True], "what fails tells most"
    printed = capsys.readouterr()
    told = {
        "results": "\n".join(said),
        "terminal": printed.out + printed.err,
        "log": caplog.text,
        "rows": _rows(installation),
        "journal": "\n".join(one.read_text() for one in (installation.home / "recovery").rglob("*.json")),
        "messages": "\n".join(receiver.texts),
        "payload": json.dumps(checked_facts(FACTS)),
        **_prefect(installation.home),
    }
    del told["flow_run.parameters"]  # which are what this test itself has given
    for place in ("results", "terminal", "log", "rows", "journal", "messages", "log.message", "artifact.data", "events.payload"):
        assert "Rotate Compromised Secrets" in told[place], f"nothing was looked for in {place}"
    assert [(name, one) for name, text in told.items() for one in CANARIES if one in text] == []
