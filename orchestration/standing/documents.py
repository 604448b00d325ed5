"""What `holdfast status` says of each type, of alarms, of coming back and of the storage, as documents of its `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast import documents
from holdfast.documents import Document

if TYPE_CHECKING:
    from holdfast.alarms import Judgement
    from holdfast.catalog import JobRecord
    from holdfast.overview import BackupFacts, MeasuredRestore, Overview, TypeOverview

Report = dict[str, Any]


def document(one: TypeOverview, last_good: Mapping[str, Document] | None, rows: Sequence[JobRecord]) -> Report:
    """Describe a type. `last_good` are the newest backups that can be read, None where no repository could be opened."""
    failed = next((documents.of_row(row) for row in rows if row.type == one.type and row.status in ("failed", "cancelled")), None)
    return {
        "type": one.type,
        "on": one.on,
        "offBecause": one.off_because,
        "overdue": one.overdue,
        "bad": one.newest_is_bad,
        "lastGood": None if last_good is None else last_good.get(one.type),
        "lastFailure": failed,
        "failuresInARow": one.failures.in_a_row,
        "nextRun": one.next_run,
        "backups": one.count,
        "copies": one.copies,
        "rpo": _rpo(one),
        "rto": _rto(one),
        "history": [_backup(facts) for facts in one.history],
    }


def alarms(judgement: Judgement) -> list[Report]:
    """Describe what there is to see to."""
    from holdfast.alarms import to_see_to

    return [
        {
            "key": alarm.key,
            "title": alarm.title,
            "what": alarm.what,
            "nextStep": alarm.next_step,
            "since": alarm.since,
            "lastGood": alarm.last_good,
        }
        for alarm in to_see_to(judgement)
    ]


def recovery(overview: Overview) -> Report:
    """Describe how long bringing everything back takes, as far as it was measured."""
    return {
        "seconds": overview.rto_seconds,
        "targetSeconds": overview.rto_target_seconds,
        "missed": overview.rto_missed,
        "notMeasured": overview.not_measured,
    }


def plans(overview: Overview) -> list[Report]:
    """Describe of each recovery plan when it was drilled last; none where the catalog does not answer."""
    return [
        {
            "planId": one.plan_id,
            "name": one.name,
            "enabled": one.enabled,
            "lastTested": one.last_tested,
            "untested": one.is_untested(overview.at),
        }
        for one in overview.plans
    ]


def storage(overview: Overview) -> Report | None:
    """Describe the storage, where it could be looked at."""
    found = overview.storage
    if found is None:
        return None
    return {
        "location": found.location,
        "readBytes": found.read_bytes,
        "storedBytes": found.stored_bytes,
        "capacityBytes": found.capacity_bytes,
        "usedPercent": found.used_percent,
        "nearlyFull": found.nearly_full,
    }


def _rpo(one: TypeOverview) -> Report:
    return {
        "seconds": None if one.rpo is None else one.rpo.total_seconds(),
        "provenBackup": None if one.proven is None else one.proven.id,
        "targetSeconds": None if one.rpo_target is None else one.rpo_target.total_seconds(),
        "missed": one.rpo_missed,
    }


def _rto(one: TypeOverview) -> Report:
    return {"seconds": one.rto_seconds, "measured": None if one.restore is None else _measured(one.restore)}


def _measured(restore: MeasuredRestore) -> Report:
    return {
        "backupId": restore.backup_id,
        "at": restore.at,
        "seconds": restore.seconds,
        "sizeBytes": restore.size_bytes,
        "drill": restore.drill,
    }


def _backup(facts: BackupFacts) -> Report:
    return {
        "jobId": facts.id,
        "snapshotAt": facts.snapshot_at,
        "sizeBytes": facts.size_bytes,
        "storedBytes": facts.stored_bytes,
        "seconds": facts.seconds,
        "verifiedLevel": facts.level,
        "bad": facts.bad,
    }
