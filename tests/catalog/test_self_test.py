"""The self-test finds what would end a backup, changes nothing, and answers whatever hangs."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.answer import to_json
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.settings import Settings, load_settings
from orchestration.standing.part import Report
from orchestration.trying.running import SelfTest, self_test
from tests.standing import KEY, settings_in, some_backups

ALL = {"storage", "key", "catalog", "prefect", "deployments", "worker"}


def execute(url: DatabaseUrl, *statements: str) -> None:
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def source(empty: DatabaseUrl) -> Iterator[DatabaseUrl]:
    """A database whose user may read one table and not the other."""
    user = f"reader_of_{empty.database}"
    execute(
        empty,
        "CREATE TABLE orders (id int)",
        "CREATE TABLE payroll (id int)",
        f"CREATE ROLE {user} LOGIN",
        f"GRANT SELECT ON orders TO {user}",
    )
    yield replace(empty, user=user)
    execute(empty, f"DROP OWNED BY {user}", f"DROP ROLE {user}")


@pytest.fixture
def settings(source: DatabaseUrl, url: DatabaseUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with a repository, functions, an `.env` and a variable; the catalog is there and nothing else runs."""
    functions, secrets = tmp_path / "supabase" / "functions" / "hello", tmp_path / ".env"
    functions.mkdir(parents=True)
    (functions / "index.ts").write_text("Deno.serve(() => new Response('hello'))\n")
    secrets.write_text("CONTENT_API_KEY=canary-of-the-env-file\n")
    monkeypatch.setenv("CONTENT_MODE", "live")
    found = settings_in(
        tmp_path,
        monkeypatch,
        BACKUP_DATABASE_URL=source.with_password().get_secret_value(),
        BACKUP_CATALOG_URL=url.with_password().get_secret_value(),
        BACKUP_FUNCTIONS_PATH=str(tmp_path / "supabase"),
        BACKUP_SECRETS_ENV_FILE=str(secrets),
    )
    some_backups(found)
    return found


def digest_of(folder: Path) -> dict[str, Any]:
    """Everything below a folder: names, contents, and when they were changed."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.is_file() and hashlib.sha256(path.read_bytes()).digest())
        for path in sorted(folder.rglob("*"))
    }


def by_name(report: Report) -> dict[str, Report]:
    return {one["name"]: one for one in report["tests"]}


def test_what_is_well_is_told_with_what_was_found_and_nothing_is_changed(
    settings: Settings, empty: DatabaseUrl, source: DatabaseUrl, tmp_path: Path
) -> None:
    execute(empty, f"GRANT SELECT ON payroll TO {source.user}")
    before = digest_of(tmp_path)
    report = self_test(settings)
    assert digest_of(tmp_path) == before
    found = by_name(report)
    assert found.keys() == ALL | {"database", "tools", "scratch", "functions", "configuration", "secrets"}
    assert {name for name, one in found.items() if not one["ok"]} == {"prefect", "deployments", "worker"}
    assert (found["storage"]["found"]["backups"], found["key"]["found"]["encrypted"]) == (3, True)
    assert found["database"]["found"]["version"].startswith("18")
    assert abs(found["database"]["found"]["clockAheadSeconds"]) < 5
    assert int(found["tools"]["found"]["pg_dump"]["version"].split(".")[0]) >= 18
    assert (found["functions"]["found"]["parts"], found["secrets"]["found"]) == (2, {"env-file": 1})
    assert found["prefect"]["nextStep"]
    assert report["ok"] is False
    text = to_json(report).decode()
    assert "canary" not in text
    assert KEY not in text


def test_a_table_that_the_user_may_not_read_is_named_before_a_backup_fails_on_it(settings: Settings) -> None:
    database = by_name(self_test(settings))["database"]
    assert (database["ok"], "public.payroll" in database["reason"], "orders" in database["reason"]) == (False, True, False)
    assert "GRANT" in database["nextStep"].upper()


def test_a_key_that_opens_nothing_and_a_catalog_that_was_never_made_are_told(
    settings: Settings, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_ENCRYPTION_KEY", "33" * 32)
    monkeypatch.setenv("BACKUP_CATALOG_URL", server.url().with_password().get_secret_value())
    monkeypatch.setenv("BACKUP_REPLICAS", (settings.home / "nowhere").as_uri())
    found = by_name(self_test(load_settings()))
    assert found["storage"]["ok"]
    assert (found["key"]["code"], found["catalog"]["ok"]) == ("HF-202", False)
    assert "0001" in found["catalog"]["reason"]
    (replica,) = (one for name, one in found.items() if name.startswith("replica "))
    assert (replica["ok"], "no folder" in replica["error"]) == (False, True)


def test_a_storage_in_the_future_means_that_a_clock_is_wrong(settings: Settings) -> None:
    (manifest,) = (settings.home / "repository" / "manifests").rglob("older*")
    ahead = time.time() + 3600
    os.utime(manifest, (ahead, ahead))
    storage = by_name(self_test(settings))["storage"]
    assert (storage["ok"], "in the future" in storage["error"]) == (False, True)


def test_it_answers_while_the_storage_hangs_and_holds_no_more_threads_when_it_is_asked_again(settings: Settings) -> None:
    description = settings.home / "repository" / "repository.json"
    description.unlink()
    os.mkfifo(description)
    trying = SelfTest(patience_seconds=0.8)
    for _ in range(2):
        found = by_name(trying.run(settings))
        assert "did not answer" in found["storage"]["error"]
        assert found["secrets"]["ok"]
    hung = [one for one in threading.enumerate() if one.name in ("holdfast-ask-storage", "holdfast-ask-key")]
    assert len(hung) == 2
    with open(description, "wb"):  # noqa: PTH123  whoever waits to read goes on
        for one in hung:
            one.join(0.5)
    for one in hung:
        one.join(20)
