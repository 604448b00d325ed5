"""Prefect's own objects of this project, as a document that they can be rebuilt from: on this server, or on another."""

from orchestration.prefect_objects.reading import read_prefect_objects
from orchestration.prefect_objects.restore_report import RestoreReport
from orchestration.prefect_objects.restoring import restore_prefect_objects

__all__ = ["RestoreReport", "read_prefect_objects", "restore_prefect_objects"]
