"""The backup tables: what happened, for people and dashboards. The repository is the truth; these rows mirror it."""

from holdfast.catalog.catalog import Catalog
from holdfast.catalog.mirror import Mirror, mirror_backups
from holdfast.catalog.records import JobRecord, JobStatus, JobType, RestoreRecord

__all__ = [
    "Catalog",
    "JobRecord",
    "JobStatus",
    "JobType",
    "Mirror",
    "RestoreRecord",
    "mirror_backups",
]
