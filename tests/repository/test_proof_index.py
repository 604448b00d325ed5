"""What one listing of all proofs says of each backup is what asking about each by itself says."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from holdfast.repository import LEVELS, Level, Repository
from holdfast.repository import names as object_names
from holdfast.storage import Storage

from .making import back_up, text


def test_one_listing_knows_what_asking_about_each_backup_tells(repository: Repository) -> None:
    rng = random.Random(5)
    manifests = [back_up(repository, f"backup_{number}", {"a": text(number, 100)}) for number in range(8)]
    for manifest in manifests:
        for _ in range(rng.randrange(4)):
            level: Level = rng.choice(LEVELS)  # type: ignore[arg-type]  LEVELS are the names of Level
            problems: list[str] = []
            ok = rng.random() < 0.7
            repository.add_proof(manifest.id, level, ok=ok, problems=problems, figures={}, started_at=datetime.now(UTC))
    index = repository.proof_index()
    for manifest in manifests:
        asked = repository.proofs(manifest.id)
        assert index.level(manifest) == repository.verified_level(manifest.id)
        assert index.is_bad(manifest) == (not asked[0].ok)
        assert index.proofs(manifest) == asked[:-1]  # without the receipt, the first of them


def test_a_proof_that_can_not_be_read_makes_its_backup_bad(repository: Repository, storage: Storage) -> None:
    manifest = back_up(repository, "backup_1", {"a": b"some rows\n"})
    assert not repository.proof_index().is_bad(manifest)
    proof = repository.add_proof("backup_1", "proven", ok=True, problems=[], figures={}, started_at=datetime.now(UTC))
    storage.put(object_names.proof("backup_1", proof.finished_at), b"noise", replace=True)
    index = repository.proof_index()
    assert index.is_bad(manifest)
    assert index.level(manifest) is None
