"""Functions of a Supabase project by flows: what was deployed comes back, answers on a real Deno, and can be rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from blocks.saving import register_and_save
from examples.content_pipeline.edge_runtime import EdgeRuntime
from examples.content_pipeline.sample_files import lay_out
from flows.function_backup import function_backup
from flows.restore import restore
from flows.secrets_backup import secrets_backup
from flows.verification import verification
from holdfast.errors import SourceFailedError, TargetNotEmptyError
from holdfast.rolling_back import roll_back
from tests.flows.conftest import Installation
from tests.sources.supabase.edge import Edge
from tests.sources.supabase.server import REF, TOKEN, ManagementServer

NAMES = ["healthz", "ingest-article", "publish", "search-index", "summarise"]
CALL_TOKEN = "a-token-for-calls"


@dataclass
class Cloud:
    """A project whose functions run on this machine."""

    server: ManagementServer
    edge: EdgeRuntime

    @property
    def deployed(self) -> dict[str, int]:
        """The functions that are deployed now, with their versions."""
        return {slug: one.info["version"] for slug, one in self.server.project.functions.items()}


@pytest.fixture(scope="module")
def cloud(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A project without functions, which settings and blocks name; a backup of the sample's folder is there."""
    folder = tmp_path_factory.mktemp("cloud")
    sample = lay_out(folder / "sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKUP_FUNCTIONS_PATH", str(sample.functions))
        register_and_save(installation.settings)
        function_backup()
        patch.delenv("BACKUP_FUNCTIONS_PATH")
        with (
            EdgeRuntime(folder / "deployed", environment=sample.environment, home=folder / "edge", call_token=CALL_TOKEN) as edge,
            ManagementServer(on_switch=Edge(edge.folder).switch) as server,
        ):
            patch.setenv("BACKUP_SUPABASE_PROJECT", REF)
            patch.setenv("BACKUP_SUPABASE_ACCESS_TOKEN", TOKEN)
            patch.setenv("BACKUP_SUPABASE_API_URL", server.address)
            patch.setenv("BACKUP_SECRETS_PROVIDERS", "supabase")
            patch.setenv("BACKUP_FUNCTIONS_URL", edge.url)
            patch.setenv("BACKUP_FUNCTIONS_CALL_TOKEN", CALL_TOKEN)
            register_and_save(installation.settings)
            yield Cloud(server, edge)


def test_a_folders_backup_is_deployed_to_a_project_and_every_function_answers(cloud: Cloud) -> None:
    done = restore(type="function", target="live")
    assert list(cloud.deployed) == NAMES
    assert (done["status"], done["functions"], done["target"]) == ("completed", len(NAMES), f"supabase:{REF}")
    assert {answer["slug"]: answer["outcome"] for answer in done["answers"]} == dict.fromkeys(NAMES, "answers")


def test_a_projects_functions_are_proven_lost_and_brought_back(installation: Installation, cloud: Cloud) -> None:
    made = function_backup()
    assert (made["status"], made["leftOut"]) == ("completed", [])
    entries = {entry.name for entry in installation.repository.manifest(made["jobId"]).entries}
    assert entries == {"functions", "truth", *(f"function/{name}" for name in NAMES)}
    assert verification(type="function")["ok"]
    with pytest.raises(TargetNotEmptyError, match="promote"):
        restore(type="function", target="live")
    cloud.server.project.functions.clear()
    done = restore(type="function", target="live")
    assert list(cloud.deployed) == NAMES
    assert {answer["outcome"] for answer in done["answers"]} == {"answers"}


def test_one_function_is_replaced_by_itself_and_rolled_back(installation: Installation, cloud: Cloud) -> None:
    before = cloud.deployed
    looked = restore(type="function", target="live", mode="promote", only=["healthz"], dry_run=True)
    assert cloud.deployed == before
    assert looked["functions"] == 1
    done = restore(type="function", target="live", mode="promote", only=["healthz"])
    assert cloud.deployed == before | {"healthz": before["healthz"] + 1}
    assert roll_back(Path(done["kept"]), installation.settings) == ["healthz"]
    assert cloud.deployed["healthz"] > before["healthz"] + 1
    assert cloud.deployed.keys() == before.keys()


def test_a_function_that_does_not_answer_afterwards_fails_the_restore_by_name(
    installation: Installation, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_FUNCTIONS_CALL_SECONDS", "2")
    deployed = cloud.server.project.functions["summarise"]
    deployed.files[deployed.metadata["entrypoint_path"]] = b"throw new Error('broken')\n"
    broken = function_backup()
    with pytest.raises(SourceFailedError, match="summarise") as failed:
        restore(type="function", target="live", mode="promote", backup_id=broken["jobId"])
    assert "holdfast roll-back " in (failed.value.next_step or "")
    assert verification(type="function", backup_id=broken["jobId"])["ok"], "the backup is what the source was"


def test_secrets_of_the_project_are_known_by_name_and_the_token_is_nowhere(installation: Installation, cloud: Cloud) -> None:
    cloud.server.project.secrets["FEED_TOKEN"] = ("canary-of-a-projects-secret", "2026-01-01T00:00:00Z")
    made = secrets_backup()
    repository = installation.repository
    everything = b"".join(b"".join(repository.read(entry)) for entry in repository.manifest(made["jobId"]).entries)
    assert b"FEED_TOKEN" in everything
    assert b"canary-of-a-projects-secret" not in everything
    logs = installation.logs(installation.flow_run(made["jobId"]).id)
    assert TOKEN not in logs + str(installation.events(made["jobId"]))
    folders = [installation.home / "prefect", installation.home / "logs"]
    kept = b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())
    assert TOKEN.encode() not in kept, "blocks are encrypted"
