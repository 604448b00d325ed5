"""Every request that the guide prints works as printed, against a real installation: host and token aside.

What the guide presupposes is made first: an installation with something of each type to back up, and the backup that it names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.catalog.mirror import mirror_backups
from holdfast.database_backup import BackupOptions, back_up_database
from holdfast.opening import embedded_server, open_catalog, open_or_create_repository
from holdfast.postgres.connection import DatabaseUrl
from holdfast.settings import Settings, load_settings
from holdfast.tokens import SCOPES, Tokens
from tests.cli.conftest import HOLDFAST, execute
from tests.flows.sources import make_configuration, make_env_file, make_functions
from tests.postgres.servers import running_server, server_folder
from tests.prefect_homes import prepare_home
from tests.recovery.sample_plans import step

PRINTED = Path(__file__).with_name("guide_requests.md")
HOST = "https://your-project.supabase.co"
BACKUP = "backup_1234567890"
_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENDED = {"completed", "failed", "cancelled", "success", "partial"}


@dataclass(frozen=True)
class Answer:
    """What curl printed for one request."""

    request: str
    status: int
    body: Any


def _action(url: str) -> str:
    return url.partition("action=")[2].partition("&")[0]


@dataclass(frozen=True)
class Api:
    """The API of an installation that is being served."""

    url: str
    token: str
    folder: Path
    database: DatabaseUrl

    def run(self, block: str) -> list[Answer]:
        """Run what the guide prints in one block: commands as they are, a plain HTTP request by curl."""
        if block.startswith(("GET ", "POST ")):
            head, _, body = block.partition("\n\n")
            first, *headers = head.strip().splitlines()
            method, path = first.split()
            given = [f"-H '{one}'" for one in headers] + (["-d @-"] if body else [])
            block = f"curl -X {method} '{HOST}{path}' -H \"Authorization: Bearer $SUPABASE_SERVICE_ROLE_KEY\" {' '.join(given)}"
            return self._curl(block, body)
        return self._curl(block)

    def job(self, job_id: str, kind: str) -> dict[str, Any]:
        """Follow a job to its end."""
        end = time.monotonic() + 120
        while True:
            path = f"/functions/v1/backup?action=job&jobId={job_id}&type={kind}&wait=20"
            (answer,) = self.run(f"GET {path}\n")
            assert answer.status == 200, answer
            if answer.body["status"] in _ENDED:
                return dict(answer.body)
            assert time.monotonic() < end, answer.body

    def _curl(self, commands: str, stdin: str = "") -> list[Answer]:
        environment = os.environ | {"SUPABASE_SERVICE_ROLE_KEY": self.token, "CURL_HOME": str(self.folder)}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands.replace(HOST, self.url)],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        answers = re.findall(r"(.*?)\n=(\d{3}) (\S+)\n", done.stdout, re.DOTALL)
        return [Answer(_action(url), int(status), json.loads(body)) for body, status, url in answers]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """An installation that protects something of each type, with a token that may do everything."""
    with ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        folder, source = held.enter_context(server_folder()), held.enter_context(running_server(18))
        database = source.create_database("pipeline")
        execute(database, "CREATE TABLE articles (id int PRIMARY KEY)", "INSERT INTO articles SELECT generate_series(1, 500)")
        own = {
            "HOLDFAST_HOME": str(folder / "home"),
            "HOLDFAST_WORKING_DIRECTORY": str(folder),
            "BACKUP_DATABASE_URL": database.without_password(),
            "BACKUP_ENCRYPTION_KEY": "77" * 32,
            "BACKUP_FUNCTIONS_PATH": str(make_functions(folder / "supabase")),
            "BACKUP_CONFIG_FILES": str(make_configuration(folder / "settings") / "*"),
            "BACKUP_SECRETS_ENV_FILE": str(make_env_file(folder / ".env.pipeline")),
        }
        for name, value in own.items():
            patch.setenv(name, value)
        prepare_home(folder / "home")
        settings = load_settings()
        held.callback(embedded_server(settings).stop)
        _make_backup(settings, database)
        token = Tokens.of(settings).create("guide", SCOPES)
        (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n=%{http_code} %{url_effective}\\n"\n')
        process = subprocess.Popen([HOLDFAST, "serve"], stdout=subprocess.PIPE, text=True, cwd=folder)
        held.callback(_end, process)
        assert process.stdout is not None
        ready = process.stdout.readline()
        found = re.search(r"api=(\S+)", ready)
        assert found, ready
        yield Api(found[1], token, folder, database)


def _make_backup(settings: Settings, database: DatabaseUrl) -> None:
    """Make the backup that the guide names."""
    with closing(open_or_create_repository(settings)[0]) as repository, closing(open_catalog(settings)) as catalog:
        back_up_database(repository, database, BackupOptions.of(settings), job_id=BACKUP)
        mirror_backups(catalog, repository)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=90)


def test_every_request_of_the_guide_works_as_printed(api: Api) -> None:
    """What is asked for again is asked for when the first has ended: twice at once it would be refused."""
    answers: list[Answer] = []
    jobs: dict[str, dict[str, Any]] = {}
    for block in _BLOCK.findall(PRINTED.read_text()):
        asked_before = [one for one in answers if one.status == 202 and _is_of_the_same(one.request, block)]
        jobs |= {one.body["jobId"]: api.job(one.body["jobId"], one.body["kind"]) for one in asked_before}
        found = api.run(block.replace("[...]", json.dumps([step()])))
        while any(one.status == 409 for one in found):  # the run of a job that has ended just now lets its turn go
            assert [one.body["code"] for one in found] == ["HF-600"], found
            time.sleep(1)
            found = api.run(block)
        assert {one.status for one in found} <= {200, 201, 202}, found
        answers += found
    started = {one.body["jobId"]: one for one in answers if one.status == 202}
    for job_id, one in started.items():
        jobs[job_id] = jobs.get(job_id) or api.job(job_id, one.body["kind"])
    assert {job_id: job["error"] for job_id, job in jobs.items() if job["error"]} == {}
    assert len(answers) == PRINTED.read_text().count("action=") == 27
    assert {(one.request, jobs[job_id]["status"]) for job_id, one in started.items()} == {
        ("backup-database", "completed"),
        ("backup-function", "completed"),
        ("backup-config", "completed"),
        ("backup-secrets", "completed"),
        ("backup-all", "completed"),
        ("restore", "completed"),
        ("disaster-recovery", "success"),
        ("cleanup", "completed"),
    }
    said = {one.request: one.body for one in reversed(answers)}
    assert said["init"]["configuration"]["databaseBackupInterval"] == 24
    assert BACKUP in [one["jobId"] for one in said["jobs"]["jobs"]]
    assert (said["job"]["jobId"], said["job"]["status"]) == (BACKUP, "completed")
    assert "database_failure" in [one["id"] for one in said["plans"]["plans"]]
    assert said["add-plan"]["planId"] == said["remove-plan"]["planId"] == "custom_plan"
    assert said["update-config"]["configuration"]["enableCompression"] is False
    assert said["update-config"]["rescheduled"] == ["database-backup: every 12 hours"]
    assert said["disaster-recovery"]["mode"] == "run"
    restored = [name for name in databases_of(api.database) if name.startswith("pipeline_restored_")]
    assert len(restored) == 1, "the guide's restore makes one new database, and its test of a restore leaves none"
    assert execute(api.database.with_database(restored[0]), "SELECT count(*) FROM articles") == [(500,)]


def _is_of_the_same(request: str, block: str) -> bool:
    """Tell whether a block asks for what a request before it has asked for; a backup of all is one of each."""
    if f"action={request}" in block:
        return True
    return (
        request.startswith("backup-") and (request == "backup-all" or "action=backup-all" in block) and "action=backup-" in block
    )


def databases_of(url: DatabaseUrl) -> list[str]:
    return [str(name) for (name,) in execute(url, "SELECT datname FROM pg_database")]
