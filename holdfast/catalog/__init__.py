"""The backup tables: what happened, for people and dashboards. The repository is the truth; these rows mirror it."""

from holdfast.catalog.catalog import Catalog
from holdfast.catalog.mirror import Mirror, mirror_backups
from holdfast.catalog.records import JobRecord, JobStatus, JobType, MaintenanceRecord, Record, RestoreRecord

__all__ = [
    "Catalog",
    "JobRecord",
    "JobStatus",
    "JobType",
    "MaintenanceRecord",
    "Mirror",
    "Record",
    "RestoreRecord",
    "mirror_backups",
]
