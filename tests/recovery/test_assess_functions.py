"""Functions that are lost, broken or silent are told apart, and what a redeploy would not mend is said."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from examples.content_pipeline.edge_runtime import EdgeRuntime
from examples.content_pipeline.sample_files import SampleFiles, lay_out
from holdfast.postgres.connection import DatabaseUrl
from holdfast.recovery.assessing import functions
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.triggers import trigger_of
from holdfast.repository import Repository, UserKey
from holdfast.sources.functions.calling import Answer, call_all
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.sources.functions.supabase import SupabaseFunctions
from holdfast.sources.supabase import ManagementApi
from holdfast.storage.memory import MemoryStorage
from tests.recovery.assessed import AssessedWorld, look
from tests.sources.backing_up import back_up
from tests.sources.supabase.server import REF, TOKEN, ManagementServer

CALL_TOKEN = "canary-call-token-8d"
SLUGS = ["healthz", "ingest-article", "publish", "search-index", "summarise"]


class Pipeline:
    """The sample's functions on Deno, and a backup of them."""

    def __init__(self, sample: SampleFiles, runtime: EdgeRuntime) -> None:
        self.folder = sample.functions
        self.url = runtime.url
        self.repository = Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))
        self.kept = sample.functions.with_name("kept")
        back_up(self.repository, FunctionDirectory(self.folder))
        shutil.copytree(self.folder, self.kept)

    def world(self, **settings: object) -> AssessedWorld:
        given = {"BACKUP_FUNCTIONS_URL": self.url, "BACKUP_FUNCTIONS_CALL_TOKEN": CALL_TOKEN} | settings
        return AssessedWorld(self.folder.parent, repository=self.repository, BACKUP_FUNCTIONS_PATH=self.folder, **given)

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    home = tmp_path_factory.mktemp("assessed")
    sample = lay_out(home / "sample")
    with EdgeRuntime(sample.functions, environment=sample.environment, home=home / "edge", call_token=CALL_TOKEN) as runtime:
        yield Pipeline(sample, runtime)


@pytest.fixture
def pipeline(running: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """The same, as it was at first when the test ends; what does not answer is not called again."""
    monkeypatch.setattr(functions, "_PATIENCE_SECONDS", 0.2)
    yield running
    shutil.rmtree(running.folder, ignore_errors=True)
    shutil.copytree(running.kept, running.folder)


def test_functions_that_answer_are_well_also_when_they_were_edited(pipeline: Pipeline) -> None:
    verdict = look(pipeline.world(), "function")
    assert (verdict.state, verdict.reason) == ("healthy", "5 of 5 functions answer")
    reply = pipeline.folder / "functions/publish/index.ts"
    reply.write_text(reply.read_text() + "\n// edited\n")
    verdict = look(pipeline.world(), "function", thorough=False)
    assert (verdict.state, verdict.evidence["changed"]) == ("healthy", {"publish": ["functions/publish/index.ts"]})
    assert CALL_TOKEN not in json.dumps(verdict.document())
    assert trigger_of(verdict) is None


def test_a_quick_look_with_a_few_seconds_sees_the_last_of_the_functions_too(pipeline: Pipeline) -> None:
    look(pipeline.world(), "function")  # so that all are booted
    pipeline.write("functions/summarise/main.ts", "}}} this was merged by mistake")
    verdict = functions.assess(pipeline.world(), Deadline(9, "the look"), thorough=False)
    assert (verdict.state, verdict.affected) == ("failing", ("summarise",))


def test_functions_that_there_was_no_time_to_call_are_named(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    look(pipeline.world(), "function")  # so that all are booted
    monkeypatch.setattr(functions, "_LONGEST_CALL_SECONDS", 60)
    monkeypatch.setattr(functions, "_ROOM", 1e9)  # each call seems to take the longest that there is
    verdict = functions.assess(pipeline.world(), Deadline(30, "the look"), thorough=False)
    assert verdict.state == "healthy"
    assert "; not called, for want of time: summarise" in verdict.reason


def test_a_folder_that_is_gone_is_lost(pipeline: Pipeline) -> None:
    shutil.rmtree(pipeline.folder)
    verdict = look(pipeline.world(), "function")
    assert (verdict.state, verdict.affected) == ("lost", ())
    assert trigger_of(verdict) == "function_deployment_failed"


def test_a_function_that_is_gone_is_named_and_asked_about_only_where_nothing_names_it_any_more(pipeline: Pipeline) -> None:
    shutil.rmtree(pipeline.folder / "functions/publish")
    verdict = look(pipeline.world(), "function")
    assert (verdict.state, verdict.affected, verdict.ask) == ("incomplete", ("publish",), None)
    config = (pipeline.folder / "config.toml").read_text()
    pipeline.write("config.toml", config.replace("[functions.publish]", "[functions.another]"))
    verdict = look(pipeline.world(BACKUP_FUNCTIONS_URL=None), "function")
    assert verdict.affected == ("publish",)
    assert verdict.ask is not None
    assert "removed on purpose" in verdict.ask


def test_a_broken_function_is_failing_and_differs_from_the_backup(pipeline: Pipeline) -> None:
    pipeline.write("functions/publish/index.ts", "throw new Error('at start')")
    verdict = look(pipeline.world(), "function")
    assert (verdict.state, verdict.affected, verdict.evidence["sameAsBackup"]) == ("failing", ("publish",), [])
    assert verdict.ask is None
    assert "HTTP 503, BOOT_ERROR" in verdict.reason
    assert trigger_of(verdict) == "function_runtime_error"


def test_what_all_functions_share_takes_all_of_them_along(pipeline: Pipeline) -> None:
    (pipeline.folder / "functions/_shared/reply.ts").unlink()
    verdict = look(pipeline.world(), "function")
    assert (verdict.state, verdict.affected) == ("failing", ())
    assert verdict.evidence["sharedChanged"] == ["functions/_shared/reply.ts"]


def test_a_function_that_fails_with_the_backups_own_files_is_said_not_to_be_mended_by_a_redeploy(pipeline: Pipeline) -> None:
    pipeline.write("functions/publish/index.ts", "throw new Error('at start')")
    repository = Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))
    back_up(repository, FunctionDirectory(pipeline.folder))
    world = pipeline.world(BACKUP_DATABASE_URL="postgresql://nobody@127.0.0.1:1/content")
    world.repository, world._database = repository, DatabaseUrl("content", "127.0.0.1", 1)
    verdict = look(world, "function")
    assert (verdict.state, verdict.evidence["sameAsBackup"]) == ("failing", ["publish"])
    assert "changes nothing" in verdict.reason
    assert verdict.evidence["database"].startswith("does not answer")
    assert verdict.ask is not None
    assert "would change nothing" in verdict.ask
    assert "the database does not answer" in verdict.ask


def test_a_function_that_begins_with_another_file_now_is_not_lost(pipeline: Pipeline) -> None:
    publish = pipeline.folder / "functions/publish"
    (publish / "index.ts").rename(publish / "main.ts")
    config = (pipeline.folder / "config.toml").read_text()
    told = '[functions.publish]\nentrypoint = "functions/publish/main.ts"'
    pipeline.write("config.toml", config.replace("[functions.publish]", told))
    verdict = look(pipeline.world(BACKUP_FUNCTIONS_URL=None), "function")
    assert (verdict.state, [*verdict.evidence["changed"]]) == ("healthy", ["publish"])


def test_a_function_that_is_switched_off_and_taken_away_is_not_brought_back(pipeline: Pipeline) -> None:
    shutil.rmtree(pipeline.folder / "functions/publish")
    config = (pipeline.folder / "config.toml").read_text()
    pipeline.write("config.toml", config.replace("[functions.publish]", "[functions.publish]\nenabled = false"))
    assert look(pipeline.world(BACKUP_FUNCTIONS_URL=None), "function").state == "healthy"


def test_a_function_that_hangs_is_slow_and_left_alone(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.write("functions/healthz/index.ts", "Deno.serve(() => new Promise(() => {}))")
    call_all(
        pipeline.url, [slug for slug in SLUGS if slug != "healthz"], token=SecretStr(CALL_TOKEN)
    )  # so that they have started
    monkeypatch.setattr("holdfast.sources.functions.calling._SHORTEST_TRY_SECONDS", 1.5)
    verdict = look(pipeline.world(), "function", thorough=False)
    assert (verdict.state, verdict.affected) == ("slow", ("healthz",))
    assert not verdict.is_to_be_recovered
    assert trigger_of(verdict) == "function_timeout"


def test_a_gateway_that_does_not_listen_is_unreachable(pipeline: Pipeline) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    verdict = look(pipeline.world(BACKUP_FUNCTIONS_URL=f"http://127.0.0.1:{port}/functions/v1"), "function")
    assert (verdict.state, len(verdict.evidence["answers"])) == ("unreachable", 4)
    assert verdict.ask is not None, "all functions would be replaced by older ones, and still nobody would run them"
    assert trigger_of(verdict) == "function_timeout"


def test_functions_that_are_not_called_are_judged_by_their_files_and_that_is_said(pipeline: Pipeline, tmp_path: Path) -> None:
    verdict = look(pipeline.world(BACKUP_FUNCTIONS_URL=None), "function")
    assert (verdict.state, verdict.reason) == ("healthy", "5 functions are there, and were not called")
    fresh = AssessedWorld(tmp_path, BACKUP_FUNCTIONS_PATH=pipeline.folder)
    assert look(fresh, "function").state == "healthy"
    assert look(AssessedWorld(tmp_path, BACKUP_FUNCTIONS_PATH=tmp_path / "none"), "function").state == "unknown"
    assert look(AssessedWorld(tmp_path), "function").state == "unknown"


def test_a_function_that_is_switched_off_is_not_called(pipeline: Pipeline) -> None:
    config = (pipeline.folder / "config.toml").read_text()
    pipeline.write("config.toml", config.replace("[functions.publish]", "[functions.publish]\nenabled = false"))
    verdict = look(pipeline.world(), "function")
    assert (verdict.state, [one["slug"] for one in verdict.evidence["answers"]]) == (
        "healthy",
        [s for s in SLUGS if s != "publish"],
    )


def test_what_a_supabase_project_has_deployed_is_compared_with_the_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "_PATIENCE_SECONDS", 0.2)
    repository = Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))
    meta, files = {"entrypoint_path": "index.ts", "verify_jwt": False}, {"index.ts": b"Deno.serve();"}
    with ManagementServer() as service:
        for slug in ("one", "two"):
            service.project.deploy(slug, meta, files, bundle_only=False)
        source = SupabaseFunctions(ManagementApi(service.address, REF, SecretStr(TOKEN)))
        back_up(repository, source)
        world = AssessedWorld(
            tmp_path,
            repository=repository,
            BACKUP_SUPABASE_PROJECT=REF,
            BACKUP_SUPABASE_ACCESS_TOKEN=TOKEN,
            BACKUP_SUPABASE_API_URL=service.address,
            BACKUP_FUNCTIONS_URL="http://127.0.0.1:1/functions/v1",
        )
        with ManagementApi(service.address, REF, SecretStr(TOKEN)) as api:
            api.delete("two")
            verdict = look(world, "function")
            assert (verdict.state, verdict.affected) == ("incomplete", ("two",))
            assert verdict.ask is not None
            api.delete("one")
        assert look(world, "function").state == "lost"
        assert TOKEN not in json.dumps(verdict.document())
    source.close()


@pytest.mark.parametrize(("status", "state"), [(504, "slow"), (429, "slow"), (500, "failing"), (404, "incomplete")])
def test_what_a_gateway_says_of_a_function_decides_what_is_done(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, status: int, state: str
) -> None:
    answers = [Answer("publish", "does not answer", status, f"HTTP {status}")]
    monkeypatch.setattr(functions, "call_all", lambda _, slugs, **__: answers if "publish" in slugs else [])
    assert look(pipeline.world(), "function").state == state
