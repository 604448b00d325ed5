"""The file that each run writes its metrics into, where BACKUP_METRICS_FILE names one: for node_exporter's textfile collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.aftermath import Aftermath


def write_metrics(after: Aftermath) -> None:
    """Write how things stand after a job, in the place of what the last one wrote. Raises OSError."""
    path = after.job.settings.metrics_file
    if path is not None:
        from holdfast import metrics

        metrics.write(path, metrics.exposition(after.overview, after.alarms))
