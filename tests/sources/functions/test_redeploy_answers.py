"""Functions that were backed up, lost and redeployed to a Supabase project answer again, called one by one on a real Deno."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from examples.content_pipeline.edge_runtime import EdgeRuntime
from examples.content_pipeline.sample_files import SampleFiles, lay_out
from holdfast.sources.contract import Source
from holdfast.sources.functions.calling import Answer, call_all
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.sources.functions.redeploy import Redeployment
from holdfast.sources.functions.supabase import SupabaseFunctions
from holdfast.sources.staging import FolderRestore
from holdfast.sources.supabase import ManagementApi
from holdfast.sources.supabase.deployable import deployables
from holdfast.sources.tar import TarStream
from tests.sources.supabase.conftest import PATIENT
from tests.sources.supabase.edge import Edge
from tests.sources.supabase.server import REF, TOKEN, ManagementServer

NAMES = ["healthz", "ingest-article", "publish", "search-index", "summarise"]
CALL_TOKEN = SecretStr("a-token-for-calls")


class Backup:
    """All that a source gave, as an engine would have stored it."""

    def __init__(self, source: Source) -> None:
        self.facts: dict[str, dict[str, Any]] = {}
        self.tars: list[TarStream] = []
        self.data: list[bytes] = []
        for part in source.parts():
            content = source.read(part)
            assert content.left_out == []
            if part.kind == "tar":
                stream = TarStream(content.files or (), [])
                self.data.append(stream.readall())
                self.tars.append(stream)
                self.facts[part.name] = content.facts

    def restore(self, target: Path) -> Path:
        with FolderRestore(target, "new", job_id="restore_1_abc") as restore:
            for data, stream in zip(self.data, self.tars, strict=True):
                restore.extract(io.BytesIO(data), stream.records)
            restore.take_place()
        return target


@pytest.fixture
def sample(tmp_path: Path) -> SampleFiles:
    """The sample's files."""
    return lay_out(tmp_path / "sample")


@pytest.fixture
def edge(sample: SampleFiles, tmp_path: Path) -> Iterator[EdgeRuntime]:
    """Where deployed functions run; none are, at first."""
    token = CALL_TOKEN.get_secret_value()
    with EdgeRuntime(tmp_path / "deployed", environment=sample.environment, home=tmp_path / "edge", call_token=token) as running:
        yield running


@pytest.fixture
def api(edge: EdgeRuntime) -> Iterator[ManagementApi]:
    """The project whose functions run there."""
    with (
        ManagementServer(on_switch=Edge(edge.folder).switch) as server,
        ManagementApi(server.address, REF, SecretStr(TOKEN), policy=PATIENT) as opened,
    ):
        yield opened


def _redeploy(api: ManagementApi, backup: Backup, place: Path, slugs: list[str] | None = None) -> None:
    place.mkdir()
    folder = backup.restore(place / "restored")
    redeployment = Redeployment(api, deployables(backup.facts, folder, slugs), place / "replaced")
    redeployment.preflight()
    redeployment.deploy_each()
    redeployment.switch()


def _answers(edge: EdgeRuntime, names: list[str] = NAMES) -> list[Answer]:
    return call_all(edge.url, names, token=CALL_TOKEN)


def _silent(edge: EdgeRuntime, names: list[str] = NAMES) -> bool:
    answers = call_all(edge.url, names, token=CALL_TOKEN, time_limit_seconds=0)
    return {answer.outcome for answer in answers} == {"does not answer"}


ALL_ANSWER = [Answer(name, "answers", 200) for name in NAMES]


def test_a_lost_folder_is_redeployed_from_its_backup_and_every_function_answers(
    api: ManagementApi, edge: EdgeRuntime, sample: SampleFiles, tmp_path: Path
) -> None:
    backup = Backup(FunctionDirectory(sample.functions))
    shutil.rmtree(sample.functions)
    assert _silent(edge)
    _redeploy(api, backup, tmp_path / "first")
    assert _answers(edge) == ALL_ANSWER
    told = {answer.slug: answer.outcome for answer in call_all(edge.url, NAMES)}
    assert sorted(slug for slug, outcome in told.items() if outcome == "answers") == ["healthz", "publish"]


def test_a_lost_project_is_redeployed_from_its_backup_and_every_function_answers(
    api: ManagementApi, edge: EdgeRuntime, sample: SampleFiles, tmp_path: Path
) -> None:
    _redeploy(api, Backup(FunctionDirectory(sample.functions)), tmp_path / "first")
    backup = Backup(SupabaseFunctions(api))
    for name in NAMES:
        api.delete(name)
    assert _silent(edge)
    _redeploy(api, backup, tmp_path / "again", ["publish"])
    assert _answers(edge, ["publish"]) == [Answer("publish", "answers", 200)]
    assert _silent(edge, [name for name in NAMES if name != "publish"])
    _redeploy(api, backup, tmp_path / "rest")
    assert _answers(edge) == ALL_ANSWER
