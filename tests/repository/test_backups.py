"""Manifests come back as they were committed, backups are listed newest first, and proofs add up to a level."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, NotFoundError, WorkFailedError
from holdfast.repository import LEVELS, Entry, Level, Manifest, Proof, Repository, Root, canonical
from holdfast.repository.proof import best_level

from .making import ZSTD, back_up, draft

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_json = st.dictionaries(_text, _text | st.integers() | st.none() | st.lists(st.booleans(), max_size=3), max_size=4)
_times = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))
_digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
_entries = st.lists(
    st.builds(
        Entry,
        name=_text,
        kind=_text,
        size_bytes=st.integers(0, 1 << 50),
        sha256=_digests,
        root=st.builds(Root, id=_digests, depth=st.integers(0, 8), chunks=st.integers(1, 1 << 40)),
        lines=st.none() | st.integers(0, 1 << 50),
    ),
    max_size=4,
)
_manifests = st.builds(
    Manifest,
    id=st.from_regex(r"[A-Za-z0-9_-]{1,50}", fullmatch=True),
    type=st.sampled_from(["database", "function", "config", "secrets"]),
    source=_json,
    snapshot_at=_times,
    entries=_entries,
    tools=_json,
    server=_json,
    parameters=_json,
    started_at=_times,
    finished_at=_times,
    holdfast_version=_text,
    host=_text,
    stored_bytes=st.integers(0),
    new_chunks=st.integers(0),
    key_ids=st.lists(_digests, max_size=3),
    lease_token=st.integers(0),
    schema=st.just(1),
)


@given(_manifests)
def test_a_manifest_comes_back_as_it_was_written(manifest: Manifest) -> None:
    written = manifest.to_bytes()
    again = Manifest.from_bytes(written)
    assert again == manifest
    assert again.to_bytes() == written
    assert manifest.checksum == hashlib.sha256(written).hexdigest()
    assert manifest.size_bytes == manifest.total_bytes == sum(entry.size_bytes for entry in manifest.entries)


@pytest.mark.parametrize(
    ("field", "value"),
    [("schema", 2), ("snapshot_at", "yesterday"), ("entries", [{}]), ("id", None), ("more", 1), ("entries", 7)],
)
def test_a_manifest_that_is_not_one_is_refused(sealed_in_memory: Repository, field: str, value: Any) -> None:
    good = back_up(sealed_in_memory, "backup_1", {"a": b"1"}).to_json()
    changed = {name: kept for name, kept in good.items() if not (name == field and value is None)}
    if value is not None:
        changed[field] = value
    with pytest.raises(ValueError, match=r"it has|field"):
        Manifest.from_bytes(canonical.to_bytes(changed))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["database", "config"])), min_size=1, max_size=8))
def test_backups_are_listed_newest_first_by_their_snapshot_whatever_order_they_came_in(
    sealed_in_memory: Repository, made: list[tuple[int, str]]
) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    for one in sealed_in_memory.backups():
        sealed_in_memory.forget(one.id)
    for number, (day, kind) in enumerate(made):
        moment = start + timedelta(days=day)
        back_up(sealed_in_memory, f"backup_{number}", {}, backup_type=kind, snapshot_at=moment)  # type: ignore[arg-type]
    listed = sealed_in_memory.backups()
    assert {one.id for one in listed} == {f"backup_{number}" for number in range(len(made))}
    times = [one.snapshot_at for one in listed]
    assert times == sorted(times, reverse=True)  # type: ignore[type-var]
    for kind in {kind for _, kind in made}:
        of_kind = sealed_in_memory.backups(kind)
        assert [one.id for one in of_kind] == [one.id for one in listed if one.type == kind]
        assert sealed_in_memory.latest(kind).id == of_kind[0].id
    assert sealed_in_memory.backups("secrets") == []


def test_a_backup_is_found_by_its_id_alone(repository: Repository) -> None:
    manifest = back_up(repository, "backup_1", {"a": b"1"}, backup_type="config")
    assert repository.manifest("backup_1") == manifest
    assert repository.latest("config") == manifest
    assert manifest.entry("a").size_bytes == 1
    for missing in ("backup_2", "backup"):
        with pytest.raises(NotFoundError, match=missing):
            repository.manifest(missing)
    with pytest.raises(HoldfastError, match="not a job id"):
        repository.manifest("../manifests/config/backup_1")


def test_a_backup_made_by_one_process_is_seen_by_another_that_was_open_before(repository: Repository) -> None:
    other = Repository(repository._sealed.storage, repository._description, repository.keys._opened, None)
    assert other.backups() == []
    back_up(repository, "backup_1", {"a": b"1"})
    assert [one.id for one in other.backups()] == ["backup_1"]
    repository.forget("backup_1")
    assert other.backups() == []
    with pytest.raises(NotFoundError):
        other.manifest("backup_1")


def test_a_draft_with_a_text_that_is_no_text_fails_before_anything_is_committed(sealed_in_memory: Repository) -> None:
    with sealed_in_memory.lease("backup") as lease, sealed_in_memory.writer(lease, compression=ZSTD) as writer:
        for wrong in ({"name": "\udcff"}, {"x": float("nan")}, {"x": b"bytes"}):
            with pytest.raises(WorkFailedError, match="JSON"):
                writer.commit(replace(draft("backup_1"), source=wrong))
        writer.commit(draft("backup_2"))
    assert [one.id for one in sealed_in_memory.backups()] == ["backup_2"]


def test_a_backup_is_born_at_level_stored_and_rises_with_good_proofs(repository: Repository) -> None:
    manifest = back_up(repository, "backup_1", {"a": b"1"})
    assert repository.verified_level("backup_1") == "stored"
    for level, ok, then in (
        ("read", True, "read"),
        ("proven", True, "proven"),
        ("stored", True, "proven"),
        ("restored", False, None),
        ("stored", True, "stored"),
        ("read", True, "read"),
    ):
        proof = repository.add_proof(
            "backup_1", level, ok=ok, problems=[] if ok else ["x"], figures={"rows": 1}, started_at=manifest.started_at
        )  # type: ignore[arg-type]
        assert proof.manifest_checksum == manifest.checksum
        assert repository.verified_level("backup_1") == then
    proofs = repository.proofs("backup_1")
    assert len(proofs) == 7
    assert [proof.finished_at for proof in proofs] == sorted((proof.finished_at for proof in proofs), reverse=True)
    with pytest.raises(HoldfastError, match="unknown level"):
        repository.add_proof("backup_1", "perfect", ok=True, problems=[], figures={}, started_at=manifest.started_at)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        repository.add_proof("backup_2", "read", ok=True, problems=[], figures={}, started_at=manifest.started_at)


@given(st.lists(st.tuples(st.sampled_from(LEVELS), st.booleans()), max_size=10))
def test_the_level_is_the_best_good_one_after_the_last_bad_one(history: list[tuple[Level, bool]]) -> None:
    now = datetime.now(UTC)
    newest_first = [Proof("b", level, ok, [], {}, now, now, "", "") for level, ok in reversed(history)]
    expected: Level | None = None
    for level, ok in history:
        if not ok:
            expected = None
        elif expected is None or LEVELS.index(level) > LEVELS.index(expected):
            expected = level
    assert best_level(newest_first) == expected


def test_many_proofs_at_the_same_moment_are_all_kept(repository: Repository) -> None:
    manifest = back_up(repository, "backup_1", {"a": b"1"})

    def add(_: int) -> Proof:
        return repository.add_proof("backup_1", "read", ok=True, problems=[], figures={}, started_at=manifest.started_at)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(40)))
    assert len(repository.proofs("backup_1")) == 41
