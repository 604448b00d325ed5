"""Put what prefect.yaml says onto the Prefect server: work pool, deployments, and schedules and triggers as the settings are.

Needs a server that answers; `orchestration.server` sees to that first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkerStatus
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker

from holdfast.backup_types import TYPES, why_off
from holdfast.errors import WorkFailedError
from orchestration.local_server import last_lines

if TYPE_CHECKING:
    from prefect.events.schemas.automations import Automation

    from holdfast.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
WORK_POOL = "holdfast"
REPLICATION_TRIGGER = "holdfast replicates each backup"
"""The name of the trigger in prefect.yaml; automations that others made for that deployment are left alone."""


def deploy(settings: Settings, log: Path) -> None:
    """Make or renew the work pool, every deployment of prefect.yaml, schedules and triggers. Raises WorkFailedError."""
    _make_work_pool()
    _deploy_all(log)
    apply_schedules(settings)
    apply_triggers(settings)


def _deploy_all(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    with log.open("wb") as file:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PWD": str(ROOT), "COLUMNS": "160"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            check=False,
        )
    if done.returncode != 0:
        raise WorkFailedError("'prefect deploy --all' failed", reason=last_lines(log), next_step=f"The whole log is {log}")


def apply_schedules(settings: Settings) -> None:
    """Set each schedule to the interval of the settings, and switch off those of what is off or has no source."""
    on = {kind: why_off(kind, settings) is None for kind in TYPES}
    wanted = {f"{kind}_backup/{kind}-backup": (getattr(settings, f"{kind}_backup_interval"), on[kind]) for kind in TYPES}
    verified = settings.enable_backup_verification and on["database"]
    wanted["verification/database-verification"] = (settings.verification_interval, verified)
    with get_client(sync_client=True) as client:
        for name, (hours, active) in wanted.items():
            deployment = client.read_deployment_by_name(name)
            for found in client.read_deployment_schedules(deployment.id):
                if isinstance(found.schedule, IntervalSchedule):
                    schedule = found.schedule.model_copy(update={"interval": timedelta(hours=hours)})
                    # Without its parameters, the update would wipe them.
                    client.update_deployment_schedule(
                        deployment.id, found.id, active=active, schedule=schedule, parameters=found.parameters
                    )


def apply_triggers(settings: Settings) -> None:
    """Have a completed backup start a replication where there are replicas, and nothing where there are none."""
    with get_client(sync_client=True) as client:
        for found in _replication_triggers(client):
            if found.enabled and not settings.replicas:
                client.pause_automation(found.id)
            elif settings.replicas and not found.enabled:
                client.resume_automation(found.id)


def replicates_by_itself() -> bool:
    """Tell whether a completed backup starts a replication here: its trigger is on, and a worker is there to run it."""
    with get_client(sync_client=True) as client:
        try:
            triggered = any(trigger.enabled for trigger in _replication_triggers(client))
            workers = client.read_workers_for_work_pool(WORK_POOL)
        except (ObjectNotFound, httpx.HTTPStatusError):  # nothing was ever deployed
            return False
    return triggered and any(worker.status == WorkerStatus.ONLINE for worker in workers)


def _replication_triggers(client: SyncPrefectClient) -> list[Automation]:
    deployment = client.read_deployment_by_name("replication/replication")
    related = client.read_resource_related_automations(f"prefect.deployment.{deployment.id}")
    return [automation for automation in related if automation.name == REPLICATION_TRIGGER]


def worker_is_online(name: str) -> bool:
    """Tell whether this worker has reported to the server that it is at work."""
    with get_client(sync_client=True) as client:
        return any(worker.name == name for worker in client.read_workers_for_work_pool(WORK_POOL))


def _make_work_pool() -> None:
    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type=ProcessWorker.type, base_job_template=template))
        except ObjectAlreadyExists:
            return
