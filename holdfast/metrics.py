"""How things stand as Prometheus metrics: one look, told in numbers. What is not known has no sample; nothing is guessed.

Names begin with `holdfast_`, units are seconds, bytes and ratios, and each sample says by `target` whose it is: "" where one
installation is all there is. docs/monitoring.md lists them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from holdfast.alarms import Judgement
    from holdfast.overview import BackupFacts, Overview, TypeOverview

LEVELS = {None: 0, "stored": 1, "read": 2, "restored": 3, "proven": 4}
"""The number that stands for how far a backup is proven."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Value = float | None


def exposition(overview: Overview, judgement: Judgement, *, late: bool = False) -> bytes:
    """Tell a look and what it was judged to be. `late` says that a fresher look was wanted and has not come in time."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Look(overview, judgement, late))
    return generate_latest(registry)


def nothing_seen(target: str | None) -> bytes:
    """Tell that no look has come to an end yet."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_NoLook(target))
    return generate_latest(registry)


def write(path: Path, data: bytes) -> None:
    """Put a file of metrics in the place of the former one, so that a reader sees one of them whole at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)  # not *.prom: nobody reads it
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(fresh).chmod(0o644)  # node_exporter runs as a user of its own
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


@dataclass(frozen=True, eq=False)
class _Look(Collector):
    """One look, as families of metrics."""

    overview: Overview
    judgement: Judgement
    late: bool

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._of_the_look()
        yield from self._of_types()
        yield from self._of_storage()
        yield from self._of_restores()
        yield self._plans()
        yield self._alarms()

    def _of_the_look(self) -> Iterator[GaugeMetricFamily]:
        look = self.overview
        yield self._one(
            "look_timestamp_seconds", "When the look at everything was taken that these metrics tell of.", _at(look.at)
        )
        yield self._one(
            "look_late", "1 where a fresher look did not come in time, so that these metrics are of an older one.", self.late
        )
        yield self._one("repository_seen", "1 where the repository could be opened and looked at.", look.seen)
        yield self._one("catalog_seen", "1 where the catalog answered.", look.recorded)

    def _of_types(self) -> Iterator[GaugeMetricFamily]:
        yield self._each("backup_enabled", "1 where backups of this type are on.", lambda one: one.on)
        yield self._each(
            "backup_interval_seconds", "How often a backup of this type is to be made.", lambda one: _seconds(one.interval)
        )
        yield self._each("next_run_timestamp_seconds", "When the schedule makes the next backup.", lambda one: _at(one.next_run))
        if self.overview.seen:
            yield from self._of_backups()
        if self.overview.recorded:
            yield from self._of_attempts()

    def _of_backups(self) -> Iterator[GaugeMetricFamily]:
        yield self._each("backups", "How many backups there are whose manifest can be read.", lambda one: one.count)
        yield self._newest(
            "backup_last_success_timestamp_seconds", "When the newest good backup was completed.", lambda it: _at(it.finished_at)
        )
        yield self._newest(
            "backup_last_snapshot_timestamp_seconds",
            "The moment that the newest good backup shows.",
            lambda it: _at(it.snapshot_at),
        )
        yield self._newest(
            "backup_age_seconds",
            "How old the newest good backup was at the time of the look.",
            lambda it: _seconds(self.overview.at - it.snapshot_at),
        )
        yield self._newest("backup_size_bytes", "What the newest good backup read from its source.", lambda it: it.size_bytes)
        yield self._newest("backup_stored_bytes", "What the newest good backup added to the storage.", lambda it: it.stored_bytes)
        yield self._newest("backup_duration_seconds", "How long making the newest good backup took.", lambda it: it.seconds)
        yield self._newest(
            "backup_proof_level",
            "How far the newest good backup is proven: 0 nothing, 1 stored, 2 read, 3 restored, 4 proven.",
            lambda it: LEVELS[it.level],
        )
        yield self._each(
            "backup_copies", "In how many places the newest good backup lies, as last recorded.", lambda one: one.copies
        )
        yield self._each("backup_overdue", "1 where no backup was made for an interval and a quarter.", lambda one: one.overdue)
        yield self._each("backup_newest_bad", "1 where the newest backup is damaged.", lambda one: one.newest_is_bad)

    def _of_attempts(self) -> Iterator[GaugeMetricFamily]:
        yield self._each(
            "backup_failures_in_a_row",
            "How many attempts have failed since the last one that was completed.",
            lambda one: one.failures.in_a_row,
        )
        yield self._each(
            "backup_last_failure_timestamp_seconds", "When an attempt last failed.", lambda one: _at(one.failures.last_at)
        )
        yield self._each(
            "backup_completed_last_week",
            "Attempts of the last seven days that were completed.",
            lambda one: one.failures.completed_in_week,
        )
        yield self._each(
            "backup_failed_last_week", "Attempts of the last seven days that failed.", lambda one: one.failures.failed_in_week
        )

    def _of_restores(self) -> Iterator[GaugeMetricFamily]:
        """How much could be lost, and how long coming back takes."""
        if self.overview.seen:
            yield self._each(
                "rpo_seconds", "How old the newest proven backup was at the time of the look.", lambda one: _seconds(one.rpo)
            )
            yield self._each(
                "rto_seconds", "How long bringing it back takes, from a measured restore.", lambda one: one.rto_seconds
            )
            yield self._each(
                "rto_measured_timestamp_seconds",
                "When the restore was measured that the RTO is taken from.",
                lambda one: _at(one.restore.at) if one.restore else None,
            )
            yield self._each(
                "rto_measured_bytes",
                "The size of the backup that was restored then.",
                lambda one: one.restore.size_bytes if one.restore else None,
            )
        yield self._each(
            "rpo_target_seconds",
            "How old the newest proven backup may be.",
            lambda one: _seconds(one.rpo_target) if one.on else None,
        )
        yield self._one("rto_target_seconds", "How long bringing everything back may take.", self.overview.rto_target_seconds)

    def _of_storage(self) -> Iterator[GaugeMetricFamily]:
        storage = self.overview.storage
        if storage is None:
            return
        used = None if storage.used_percent is None else storage.used_percent / 100
        yield self._one("storage_read_bytes", "What all backups that are there read from their sources.", storage.read_bytes)
        yield self._one("storage_stored_bytes", "What all backups take in the storage.", storage.stored_bytes)
        yield self._one("storage_capacity_bytes", "The space of the storage.", storage.capacity_bytes)
        yield self._one("storage_used_ratio", "How much of that space is used, by whatever it is; 1 is all.", used)
        yield self._one("storage_dedup_ratio", "How many bytes of sources each stored byte stands for.", storage.dedup_ratio)

    def _plans(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "holdfast_plan_last_tested_timestamp_seconds",
            "When a recovery plan that is on was last drilled with success; 0 where it never was.",
            labels=["target", "plan"],
        )
        for one in self.overview.plans:
            if one.enabled:
                tested = one.last_tested.timestamp() if one.last_tested is not None else 0.0
                family.add_metric([self.overview.target or "", one.plan_id], tested)
        return family

    def _alarms(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "holdfast_alarm",
            "1 where there is something to see to, 0 where it was judged to be well.",
            labels=["target", "alarm"],
        )
        for key, alarm in sorted(self.judgement.items()):
            family.add_metric([self.overview.target or "", key], float(alarm is not None))
        return family

    def _one(self, name: str, text: str, value: Value) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"holdfast_{name}", text, labels=["target"])
        if value is not None:
            family.add_metric([self.overview.target or ""], float(value))
        return family

    def _each(self, name: str, text: str, of: Callable[[TypeOverview], Value]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"holdfast_{name}", text, labels=["target", "type"])
        for one in self.overview.types:
            value = of(one)
            if value is not None:
                family.add_metric([self.overview.target or "", one.type], float(value))
        return family

    def _newest(self, name: str, text: str, of: Callable[[BackupFacts], Value]) -> GaugeMetricFamily:
        return self._each(name, text, lambda one: None if one.newest is None else of(one.newest))


@dataclass(frozen=True, eq=False)
class _NoLook(Collector):
    """What can be told before the first look has come to its end."""

    target: str | None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, text, value in (
            ("look_late", "1 where a fresher look did not come in time.", 1.0),
            ("repository_seen", "1 where the repository could be opened and looked at.", 0.0),
        ):
            family = GaugeMetricFamily(f"holdfast_{name}", text, labels=["target"])
            family.add_metric([self.target or ""], value)
            yield family


def _at(moment: datetime | None) -> Value:
    return None if moment is None else moment.timestamp()


def _seconds(span: timedelta | None) -> Value:
    return None if span is None else span.total_seconds()
