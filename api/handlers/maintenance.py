"""What keeps backups good, started now: verifications, drills, clean-ups and replications."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from api.action import Action, Asked, Body, Json
from api.handlers.known_backups import require_known
from api.starting import start
from holdfast.repository import BackupType, Level
from orchestration.submitting import Order

_BLOCK_NAME = r"^[a-z0-9](?:[a-z0-9-]{0,99})$"


def _as_block_name(value: Any) -> Any:
    """Say in words what the pattern refuses, to whoever gives an address."""
    if isinstance(value, str) and not re.match(_BLOCK_NAME, value):
        raise ValueError("only the name of a block may stand there, of small letters, digits and '-': no address, and no path")
    return value


BlockName = Annotated[str, Field(pattern=_BLOCK_NAME), BeforeValidator(_as_block_name)]
BackupId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$", description="A backup, or latest")]


class VerificationRequest(Body):
    """Which backup is to be proven, and how far."""

    backup_id: BackupId = "latest"
    type: BackupType = "database"
    level: Level = Field("proven", description="stored < read < restored < proven")
    from_replica: BlockName | None = Field(None, description="The block of the replica whose copy is verified")


class DrillRequest(Body):
    """What is to be brought back into scratch."""

    types: Annotated[list[BackupType] | None, Field(min_length=1, max_length=4, description="Unset, all types that are on")] = (
        None
    )


class CleanupRequest(Body):
    """What a clean-up is to do."""

    dry_run: bool = Field(False, description="Only say what would be deleted")


class ReplicationRequest(Body):
    """Which replicas are to be brought up to date."""

    replicas: Annotated[
        list[BlockName] | None, Field(min_length=1, max_length=100, description="Blocks; unset, those of the settings")
    ] = None


def verification(backup_id: str, kind: BackupType, level: Level = "proven", from_replica: str | None = None) -> Order:
    """Say which run proves a backup."""
    said = {"backup_id": backup_id, "type": kind, "level": level}
    return Order(f"{kind}-verification", "verification", kind, said | ({"from_replica": from_replica} if from_replica else {}))


def _verify(asked: Asked[VerificationRequest]) -> Json:
    said = asked.said

    def order() -> Order:
        require_known(asked, said.backup_id, said.type)
        return verification(said.backup_id, said.type, said.level, said.from_replica)

    answer, parameters = start(asked, "verification", order)
    return answer | {"backupId": parameters["backup_id"], "level": parameters["level"]}


def _drill(asked: Asked[DrillRequest]) -> Json:
    types = {"types": list(asked.said.types)} if asked.said.types else {}
    return start(asked, "drill", lambda: Order("recovery-drill", "drill", "drill", types))[0]


def _clean_up(asked: Asked[CleanupRequest]) -> Json:
    said = asked.said
    answer, _ = start(asked, "cleanup", lambda: Order("cleanup", "cleanup", "cleanup", {"dry_run": said.dry_run}))
    return answer | {"dryRun": said.dry_run}


def _replicate(asked: Asked[ReplicationRequest]) -> Json:
    replicas = {"replicas": list(asked.said.replicas)} if asked.said.replicas else {}
    return start(asked, "replication", lambda: Order("replication", "replication", "replication", replicas))[0]


VERIFY = Action("verify", "POST", "backup", VerificationRequest, _verify, 202, "verification.start")
DRILL = Action("drill", "POST", "backup", DrillRequest, _drill, 202, "drill.start")
CLEAN_UP = Action("cleanup", "POST", "admin", CleanupRequest, _clean_up, 202, "cleanup.start")
REPLICATE = Action("replicate", "POST", "backup", ReplicationRequest, _replicate, 202, "replication.start")
