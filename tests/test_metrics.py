"""What Prometheus is told is what is there, in a file that is whole at any moment."""

from __future__ import annotations

import stat
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdfast import metrics
from holdfast.alarms import Alarm, Judgement, judge
from holdfast.look import look_over
from holdfast.overview import Overview
from holdfast.repository import Manifest
from tests.standing import KEY, overview, settings_in, some_backups

Samples = dict[tuple[str, str], float]


def samples(text: bytes) -> Samples:
    """Read the samples by name and by their type or alarm."""
    return {
        (sample.name, str(sample.labels.get("type") or sample.labels.get("alarm") or "")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Overview, dict[str, Manifest]]:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_RPO_TARGET_HOURS="24", BACKUP_RTO_TARGET_MINUTES="5")
    repository, made = some_backups(settings)
    return overview(settings, repository), {one.id: one for one in made}


def test_metrics_say_what_the_repository_holds(standing: tuple[Overview, dict[str, Manifest]]) -> None:
    look, made = standing
    found = samples(metrics.exposition(look, {}))
    newer, older = made["newer"], made["older"]
    assert found["holdfast_backups", "database"] == 2
    assert found["holdfast_backup_size_bytes", "database"] == newer.size_bytes == 300_000
    assert found["holdfast_backup_stored_bytes", "database"] == newer.stored_bytes > 0
    assert found["holdfast_backup_last_snapshot_timestamp_seconds", "database"] == newer.snapshot_at.timestamp()
    assert found["holdfast_backup_last_success_timestamp_seconds", "database"] == newer.finished_at.timestamp()
    assert found["holdfast_backup_age_seconds", "database"] == pytest.approx(7200, abs=60)
    assert found["holdfast_backup_duration_seconds", "database"] == (newer.finished_at - newer.started_at).total_seconds()
    assert found["holdfast_backup_copies", "database"] == 2
    assert found["holdfast_storage_stored_bytes", ""] == sum(one.stored_bytes for one in made.values())
    assert found["holdfast_storage_read_bytes", ""] == 505_000
    assert found["holdfast_storage_dedup_ratio", ""] == pytest.approx(505_000 / found["holdfast_storage_stored_bytes", ""])
    assert found["holdfast_next_run_timestamp_seconds", "database"] == pytest.approx(look.at.timestamp() + 3600, abs=60)
    assert older.id != newer.id


def test_metrics_tell_how_far_it_is_proven_and_what_that_means_for_coming_back(
    standing: tuple[Overview, dict[str, Manifest]],
) -> None:
    look, made = standing
    found = samples(metrics.exposition(look, {}))
    assert found["holdfast_backup_proof_level", "database"] == metrics.LEVELS["stored"] == 1
    assert found["holdfast_rpo_seconds", "database"] == pytest.approx((look.at - made["older"].snapshot_at).total_seconds())
    assert found["holdfast_rpo_target_seconds", "database"] == 24 * 3600
    assert found["holdfast_rto_seconds", "database"] == pytest.approx(40 * 300_000 / 200_000)  # scaled to today's size
    assert found["holdfast_rto_measured_bytes", "database"] == 200_000
    assert found["holdfast_rto_target_seconds", ""] == 300


def test_what_is_not_known_has_no_sample(standing: tuple[Overview, dict[str, Manifest]]) -> None:
    look, _ = standing
    found = samples(metrics.exposition(look, {}))
    assert ("holdfast_backup_size_bytes", "config") not in found  # its only backup is bad
    assert ("holdfast_rto_seconds", "function") not in found
    assert found["holdfast_backup_newest_bad", "config"] == 1
    assert found["holdfast_backup_enabled", "function"] == 0


def test_metrics_tell_of_failures_and_alarms(standing: tuple[Overview, dict[str, Manifest]]) -> None:
    look, _ = standing
    judgement: Judgement = {"key": None, "database-failing": Alarm("database-failing", "it fails", "twice", "mend it")}
    found = samples(metrics.exposition(look, judgement))
    assert found["holdfast_backup_failures_in_a_row", "database"] == 2
    assert (found["holdfast_backup_completed_last_week", "database"], found["holdfast_backup_failed_last_week", "database"]) == (
        5,
        2,
    )
    assert (found["holdfast_alarm", "database-failing"], found["holdfast_alarm", "key"]) == (1, 0)


def test_a_repository_that_can_not_be_seen_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = look_over(settings_in(tmp_path, monkeypatch), None)
    found = samples(metrics.exposition(look, judge(look, None, threshold=3)))
    assert (found["holdfast_repository_seen", ""], found["holdfast_catalog_seen", ""]) == (0, 0)
    assert not any(name.startswith(("holdfast_backup_age", "holdfast_rpo_seconds", "holdfast_storage")) for name, _ in found)
    assert samples(metrics.nothing_seen(None)) == {("holdfast_look_late", ""): 1, ("holdfast_repository_seen", ""): 0}


def test_no_secret_and_no_text_of_an_error_is_a_metric(standing: tuple[Overview, dict[str, Manifest]]) -> None:
    look, _ = standing
    text = metrics.exposition(look, judge(look, None, threshold=1)).decode()
    assert not [word for word in (KEY, "canary-of-metrics", "the server is gone", "127.0.0.1") if word in text]


def test_the_file_is_whole_at_any_moment_and_everybody_may_read_it(
    tmp_path: Path, standing: tuple[Overview, dict[str, Manifest]]
) -> None:
    """A reader looks again and again while the file is written anew: it never sees half of one."""
    look, _ = standing
    path = tmp_path / "textfile" / "holdfast.prom"
    texts = [metrics.exposition(look, {}), metrics.exposition(look, {"key": None}), metrics.nothing_seen(None) * 50]
    metrics.write(path, texts[0])
    seen: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(300):
        metrics.write(path, texts[turn % len(texts)])
    done.set()
    reader.join()
    assert set(seen) <= set(texts)
    assert len(seen) > 10
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in path.parent.iterdir()] == ["holdfast.prom"]


def test_a_folder_that_can_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "holdfast.prom").mkdir()
    with pytest.raises(OSError, match=r"holdfast\.prom"):
        metrics.write(tmp_path / "holdfast.prom", b"")
    assert [one.name for one in tmp_path.iterdir()] == ["holdfast.prom"]


def test_the_age_is_that_of_the_look(standing: tuple[Overview, dict[str, Manifest]]) -> None:
    look, _ = standing
    found: Mapping[tuple[str, str], float] = samples(metrics.exposition(look, {}, late=True))
    assert found["holdfast_look_timestamp_seconds", ""] == pytest.approx(look.at.timestamp())
    assert found["holdfast_look_late", ""] == 1
    assert look.of("database").interval == timedelta(hours=24)
