"""Many databases, many workers, one Prefect server: each is backed up by itself, one run at a time, and no secret shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed
from prefect_docker.worker import DockerWorker

from blocks.saving import register_and_save
from flows.database_backup import database_backup
from holdfast.catalog import JobRecord
from holdfast.errors import BusyError, NotFoundError, SettingsError
from holdfast.opening import open_catalog, open_repository
from holdfast.postgres.connection import connect
from holdfast.settings import Settings, load_settings
from orchestration.deployments import deploy, remove, template_of
from orchestration.fleet import environment, install, job_variables, of_target, secret_blocks
from orchestration.registering import Place, Registered
from orchestration.slots import free_stuck_slots
from tests.fleet.conftest import CANARY, TARGETS, Fleet, Worker, begun, ended, pause, settings_of, until


@pytest.fixture(scope="module")
def deployed(fleet: Fleet, client: SyncPrefectClient) -> dict[str, Any]:
    """The names of each target's blocks; one is deployed by the command, meanwhile the others as the command does it."""
    command = fleet.run("deploy", "--target", "shop", "--json", **fleet.environment("shop"))
    blocks = {}
    for name in ("blog", "wiki"):
        with settings_of(fleet.environment(name)) as base, of_target(base, name):
            settings = load_settings()
            blocks[name] = install(settings, Place(environment=environment(settings))).blocks
    blocks["shop"] = fleet.document(command)["blocks"]
    pause(client, "health-monitor")
    return blocks


@pytest.fixture(scope="module")
def backed_up(fleet: Fleet, client: SyncPrefectClient, deployed: dict[str, Any], workers: list[Worker]) -> dict[str, Any]:
    """A run of each target's database backup, all begun at once."""
    del deployed
    runs = {name: begun(client, f"database_backup/database-backup-{name}") for name in TARGETS}
    return dict(zip(TARGETS, ended(client, *runs.values()), strict=True))


def test_each_target_has_deployments_of_its_own_with_its_blocks_and_tags(
    client: SyncPrefectClient, deployed: dict[str, Any]
) -> None:
    for name in TARGETS:
        assert {f"{name}-{block}" for block in ("storage", "key", "database", "catalog-url", "smtp-url")} <= set(deployed[name])
        backup = client.read_deployment_by_name(f"database_backup/database-backup-{name}")
        assert backup.tags == ["holdfast", "backup", "database", f"target:{name}"]
        assert backup.parameters == {part: f"{name}-{part}" for part in ("storage", "key", "database")}
        assert [schedule.active for schedule in backup.schedules] == [True]
        assert backup.global_concurrency_limit is not None
        assert backup.global_concurrency_limit.limit == 1


def test_every_target_is_backed_up_into_its_own_repository_and_both_workers_took_part(
    fleet: Fleet, backed_up: dict[str, Any], workers: list[Worker]
) -> None:
    states = {name: run.state for name, run in backed_up.items()}
    assert {state.type for state in states.values()} == {StateType.COMPLETED}, (states, [one.log.read_text() for one in workers])
    for name in TARGETS:
        with settings_of(fleet.in_home(name)) as settings, closing(open_repository(settings)) as repository:
            assert repository.location.endswith(f"targets/{name}/repository")
            assert len(repository.backups()) == 1
            assert repository.latest("database").source["database"] == name
    assert all(any(worker.took(run) for run in backed_up.values()) for worker in workers)
    assert not list(fleet.folder.glob("*/not-of-this-fleet")), "a worker's own settings got in"


def test_a_deployment_holds_references_to_secrets_and_nothing_that_prefect_tells_holds_one(
    client: SyncPrefectClient, backed_up: dict[str, Any]
) -> None:
    del backed_up
    env = client.read_deployment_by_name("database_backup/database-backup-shop").job_variables["env"]
    assert env["BACKUP_DATABASE_URL"] == "{{ prefect.blocks.holdfast-database-target.shop-database.url }}"
    assert env["BACKUP_ENCRYPTION_KEY"] == "{{ prefect.blocks.holdfast-encryption-key.shop-key.key }}"
    assert env["BACKUP_CATALOG_URL"] == "{{ prefect.blocks.secret.shop-catalog-url }}"
    assert env["HOLDFAST_TARGET"] == "shop"
    assert env["BACKUP_COMPRESSION_ALGORITHM"] == "zstd"
    assert Path(env["HOLDFAST_HOME"]).is_absolute()
    everything = "\n".join(_everything(client))
    assert "database-backup-shop" in everything
    assert CANARY not in everything


def test_a_run_past_prefects_limit_is_told_who_holds_the_lease_and_a_dead_workers_lease_ends_by_itself(
    fleet: Fleet, client: SyncPrefectClient, backed_up: dict[str, Any], workers: list[Worker]
) -> None:
    del backed_up
    name = "database_backup/database-backup-shop"
    with (
        closing(connect(fleet.databases["shop"])) as held,
        held.cursor() as cursor,
        settings_of(fleet.in_home("shop")) as settings,
    ):
        cursor.execute("BEGIN; LOCK TABLE orders")  # the backup waits for it, at work
        first = begun(client, name)
        at_work = until(lambda: _at_work(settings), doing=lambda: "".join(worker.log.read_text() for worker in workers))
        (second,) = ended(client, begun(client, name))
        assert second.state is not None
        assert (second.state_type, second.state.message) == (StateType.CANCELLED, "Deployment concurrency limit reached.")
        with pytest.raises(BusyError) as refused:
            database_backup("shop-storage", "shop-key", "shop-database")
        assert f"{at_work.metadata['host']}:{at_work.metadata['pid']} has been since 20" in str(refused.value)
        next(worker for worker in workers if worker.runs(at_work.metadata["pid"])).kill()
        cursor.execute("ROLLBACK")
        done = until(_backed_up)
        assert done["status"] == "completed"
        left = next(job for job in _jobs(settings) if job.job_id == at_work.job_id)
        assert left.status == "failed", "who died is closed by the next"
    client.set_flow_run_state(first.id, Crashed(), force=True)
    assert free_stuck_slots() == [], "Prefect gave the slot back itself"
    (last,) = ended(client, begun(client, name))
    assert last.state_type == StateType.COMPLETED


def test_a_target_of_another_pool_carries_what_its_infrastructure_needs_and_is_removed_with_what_starts_it(
    client: SyncPrefectClient, fleet: Fleet
) -> None:
    template = DockerWorker.get_default_base_job_template()
    client.create_work_pool(WorkPoolCreate(name="images", type="docker", base_job_template=template))
    told = job_variables(["image=registry/holdfast:1", 'networks=["backups"]', "auto_remove=true"], template_of("images"))
    with settings_of(fleet.environment("wiki") | {"HOLDFAST_TARGET": "boxed"}) as settings:
        blocks = register_and_save(settings, secret_blocks(settings))
        made = deploy(settings, Place("images", told, environment(settings), Path("/opt/holdfast")))
        found = client.read_deployment_by_name("database_backup/database-backup-boxed")
        assert (found.work_pool_name, found.pull_steps) == ("images", [_directory("/opt/holdfast")])
        assert {name: found.job_variables[name] for name in ("image", "networks", "auto_remove", "stream_output")} == {
            "image": "registry/holdfast:1",
            "networks": ["backups"],
            "auto_remove": True,
            "stream_output": False,
        }
        assert found.job_variables["env"]["BACKUP_ENCRYPTION_KEY"] == "{{ prefect.blocks.holdfast-encryption-key.boxed-key.key }}"
        assert CANARY not in json.dumps(found.job_variables)
        assert _starting(client, made)
        with pytest.raises(NotFoundError, match="no work pool nowhere"):
            deploy(settings, Place("nowhere"))
        assert len(remove("boxed")) == len(made)
        assert not _starting(client, made)
        assert [one.name for one in client.read_deployments() if one.name.endswith("-boxed")] == []
        assert client.read_block_document_by_name(blocks[0], "holdfast-backup-storage").name == "boxed-storage"
        assert remove("boxed") == []


def test_one_target_is_not_deployed_from_within_another(fleet: Fleet) -> None:
    with (
        settings_of(fleet.in_home("shop")) as settings,
        pytest.raises(SettingsError, match="HOLDFAST_TARGET is shop"),
        of_target(settings, "blog"),
    ):
        pass


def test_a_value_that_prefect_would_take_for_its_own_is_not_carried(fleet: Fleet) -> None:
    with (
        settings_of(fleet.in_home("shop") | {"BACKUP_CONFIG_FILES": "{{ prefect.variables.x }}"}) as settings,
        pytest.raises(SettingsError, match="BACKUP_CONFIG_FILES"),
    ):
        environment(settings)


def test_a_workers_own_variables_are_said_to_be_empty_and_paths_are_absolute(fleet: Fleet) -> None:
    with settings_of(
        fleet.in_home("shop") | {"BACKUP_CONFIG_FILES": "a/*.toml,b/*.toml", "BACKUP_METRICS_FILE": "m.prom"}
    ) as one:
        carried = environment(one)
    assert carried["BACKUP_REPLICAS"] == ""
    assert carried["BACKUP_CONFIG_FILES"] == "a/*.toml,b/*.toml"
    assert carried["BACKUP_METRICS_FILE"] == str(Path.cwd() / "m.prom")
    assert carried["HOLDFAST_WORKING_DIRECTORY"] == str(Path.cwd())
    assert carried["BACKUP_ENABLE_NOTIFICATIONS"] == "false"


def _directory(folder: str) -> dict[str, Any]:
    return {"prefect.deployments.steps.set_working_directory": {"directory": folder}}


def _starting(client: SyncPrefectClient, made: list[Registered]) -> list[str]:
    """Name the automations that start one of these deployments."""
    ids = {one.id for one in made}
    return [one.name for one in client.read_automations() if ids & {getattr(act, "deployment_id", None) for act in one.actions}]


def _everything(client: SyncPrefectClient) -> Iterator[str]:
    """All that the server tells whoever may look."""
    kinds = ("deployments", "flow_runs", "task_runs", "artifacts", "automations", "logs", "work_pools", "block_documents")
    for kind in (*kinds, "events"):
        answer = client._client.post(f"/{kind}/filter", json={})
        assert answer.status_code == 200
        yield answer.text


def _jobs(settings: Settings) -> list[JobRecord]:
    with open_catalog(settings) as catalog:
        return list(catalog.jobs())


def _at_work(settings: Settings) -> JobRecord | None:
    return next((job for job in _jobs(settings) if job.status == "running"), None)


def _backed_up() -> dict[str, Any] | None:
    try:
        return database_backup("shop-storage", "shop-key", "shop-database")
    except BusyError:
        return None
