"""The kinds of jobs, and how their ids begin."""

from __future__ import annotations

from typing import Literal

from holdfast.jobs import new_job_id

RecordedKind = Literal["backup", "restore", "verification", "check", "drill", "cleanup", "replication", "report", "recovery"]
"""The kinds whose jobs have a row."""
Kind = Literal[RecordedKind, "monitor"]

_ID_PREFIX: dict[str, str] = {"verification": "verify", "replication": "replicate"}
"""How the ids of jobs begin, where not with the kind itself."""


def new_id_of(kind: Kind) -> str:
    """Make the id of a new job of a kind."""
    return new_job_id(_ID_PREFIX.get(kind, kind))
