"""The steps that look: one before the work, which decides, and one after it, which fails where the work has not helped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import NotProvenError, WorkFailedError
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.plan import Plan, Step, read_plan
from holdfast.recovery.step_type import Mode, Outcome, Work
from holdfast.recovery.steps import type_of
from holdfast.repository import Repository, UserKey
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.source import SecretsSource
from holdfast.storage.memory import MemoryStorage
from tests.postgres import restoring
from tests.postgres.restoring import rows
from tests.postgres.servers import running_server
from tests.recovery.assessed import AssessedWorld
from tests.sources.backing_up import back_up


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with running_server(18) as embedded:
        yield embedded


@pytest.fixture
def world(server: EmbeddedServer, tmp_path: Path) -> AssessedWorld:
    """A small database with a good backup."""
    url = server.create_database(f"steps_{tmp_path.name}"[:60])
    rows(url, "CREATE TABLE articles AS SELECT generate_series(1, 100) AS id; CREATE TABLE tags AS SELECT 1 AS id")
    repository, _ = restoring.back_up(url)
    return AssessedWorld(tmp_path, repository=repository, database=url, BACKUP_SLOW_SECONDS=0.5)


def plan_of(kind: str, of: str, **more: Any) -> Plan:
    """A plan that rehearses or restores, and looks before and after it."""
    restore = {"id": "restore", "name": "Restore", "type": "backup_restore", "order": 1, "timeout": 20}
    step = {"id": "look", "name": "Look", "type": kind, "order": 2, "timeout": 5, "parameters": {"of": of, **more}}
    steps = [restore | {"parameters": {"backupType": of}}, step] if of != "services" else [step]
    return read_plan({"id": "p", "name": "A plan", "priority": "high", "steps": steps, "estimatedRecoveryTime": 5})


def run(
    world: AssessedWorld, kind: str, of: str, *, mode: Mode = "run", parameters: dict[str, Any] | None = None, **work: Any
) -> Outcome:
    plan = plan_of(kind, of, **parameters or {})
    step: Step = plan.step("look")
    type_ = type_of(step)
    given = Work("recovery_1", plan, step, world, Deadline(60, "A step"), mode, **work)  # type: ignore[arg-type]
    assert type_.foresee(given, type_.read(step))
    return type_.run(given, type_.read(step))


def test_an_assessment_changes_nothing_and_its_verdict_is_kept(world: AssessedWorld) -> None:
    step = plan_of("assessment", "database").step("look")
    assert (type_of(step).changes, type_of(step).assesses) == (False, True)
    outcome = run(world, "assessment", "database")
    assert outcome.verdict is not None
    assert outcome.verdict.state == "healthy"
    assert outcome.summary.startswith("The database: healthy; ")
    assert json.dumps(outcome.output)


def test_what_an_event_says_is_no_proof(world: AssessedWorld) -> None:
    outcome = run(world, "assessment", "database", trigger="database_unavailable", facts={"state": "unreachable"})
    assert outcome.verdict is not None
    assert not outcome.verdict.is_to_be_recovered
    assert outcome.notes == ("the event database_unavailable told otherwise, and it is not so now",)
    assert run(world, "assessment", "database", trigger="function_timeout").notes == ()


def test_a_slow_database_is_told_of_once_with_its_evidence_and_left_alone(
    world: AssessedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.recovery.assessing.connecting._LOCK_SECONDS", 0.2)
    database = world.database()
    with closing(connect(database, autocommit=False)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE articles IN ACCESS EXCLUSIVE MODE")
        outcome = run(world, "assessment", "database", trigger="database_performance_degraded")
        assert run(world, "assessment", "database", mode="drill").notes == ("nobody was told of it, for this is a drill",)
    assert outcome.verdict is not None
    assert outcome.verdict.state == "slow"
    (message,) = world.sent
    assert "holds public.articles for itself alone" in message.body
    assert "unless you force it: holdfast recover p --force" in message.body


def test_secrets_that_the_event_names_are_in_the_verdict(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("API_KEY=one\n")
    world = AssessedWorld(tmp_path, providers=[EnvFile(tmp_path / ".env")])
    outcome = run(world, "assessment", "secrets", facts={"secrets": "env-file/API_KEY, env-file/OTHER"})
    assert outcome.verdict is not None
    assert (outcome.verdict.state, outcome.verdict.affected) == ("compromised", ("env-file/API_KEY", "env-file/OTHER"))


def test_a_verification_says_how_much_can_be_read_and_fails_where_it_is_not_well(world: AssessedWorld) -> None:
    outcome = run(world, "verification", "database")
    assert outcome.summary.startswith("2 tables with 101 rows can be read")
    assert outcome.verdict is None
    rows(world.database(), "DROP TABLE articles")
    with pytest.raises(WorkFailedError, match=r"not well: it is incomplete: public\.articles is gone"):
        run(world, "verification", "database")


def test_secrets_that_were_rotated_or_wait_for_a_value_are_named_and_fail_nothing(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("API_KEY=one\nSMTP_PASSWORD=two\n")
    repository = Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))
    back_up(repository, SecretsSource([EnvFile(env)], repository.secret_digest))
    world = AssessedWorld(tmp_path, repository=repository, providers=[EnvFile(env)])
    env.write_text("API_KEY=one\n")
    with pytest.raises(WorkFailedError, match="SMTP_PASSWORD"):
        run(world, "verification", "secrets")
    EnvFile(env).rotate("API_KEY")
    env.write_text(env.read_text() + "SMTP_PASSWORD=__holdfast_placeholder__00\n")
    assert run(world, "verification", "secrets").notes == (
        "these wait for a value from you: env-file/SMTP_PASSWORD",
        "these have another value than in the newest backup: env-file/API_KEY, env-file/SMTP_PASSWORD",
    )


def test_functions_that_need_a_moment_after_a_redeploy_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.recovery.steps.verification._PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("holdfast.recovery.assessing.functions._PATIENCE_SECONDS", 0.0)
    asked = 0

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal asked
            asked += "hello" in self.path
            known = "hello" in self.path
            self.send_response(404 if not known else 503 if asked < 3 else 200)
            self.send_header("sb-error-code", "BOOT_ERROR" if known else "NOT_FOUND")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "supabase/functions/hello").mkdir(parents=True)
    (tmp_path / "supabase/functions/hello/index.ts").write_text("Deno.serve()")
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, args=(0.02,))
        thread.start()
        try:
            world = AssessedWorld(
                tmp_path,
                BACKUP_FUNCTIONS_PATH=tmp_path / "supabase",
                BACKUP_FUNCTIONS_URL=f"http://127.0.0.1:{gateway.server_port}",
            )
            assert run(world, "verification", "function").summary == "1 of 1 function answer"
        finally:
            gateway.shutdown()
            thread.join()
    assert asked == 3


def test_in_a_drill_a_verification_looks_at_the_proof_of_the_rehearsal(world: AssessedWorld) -> None:
    backup = world.repository.latest("database")
    outcomes = {"restore": {"backupId": backup.id, "verificationId": "verification_1", "restoreSeconds": 1.5}}
    with pytest.raises(NotProvenError, match="left no proof"):
        run(world, "verification", "database", mode="drill", outcomes=outcomes)
    world.repository.add_proof(backup.id, "proven", ok=True, problems=[], figures={}, started_at=datetime.now(UTC))
    outcome = run(world, "verification", "database", mode="drill", outcomes=outcomes)
    assert outcome.output["proofs"] == [{"backupId": backup.id, "level": "proven", "verificationId": "verification_1"}]
    world.repository.add_proof(
        backup.id, "proven", ok=False, problems=["a row is gone"], figures={}, started_at=datetime.now(UTC)
    )
    with pytest.raises(NotProvenError, match="a row is gone"):
        run(world, "verification", "database", mode="drill", outcomes=outcomes)
    assert not run(world, "verification", "services", mode="drill").needed


def test_a_subject_that_nobody_knows_is_told_when_the_plan_is_read() -> None:
    step = Step(id="s", name="S", type="assessment", order=1, timeout=45, parameters={"of": "weather"})
    problems = list(type_of(step).problems(step))
    assert len(problems) == 2
    assert problems[0].startswith("parameters.of: input should be 'database'")


def test_a_look_at_a_database_url_shows_no_password(tmp_path: Path) -> None:
    url = DatabaseUrl.parse("postgresql://app:canary-4Tz9@127.0.0.1:1/content")
    outcome = run(AssessedWorld(tmp_path, database=url), "assessment", "database")
    assert outcome.verdict is not None
    assert "canary-4Tz9" not in json.dumps([outcome.verdict.document(), outcome.output, outcome.notes, outcome.summary])
