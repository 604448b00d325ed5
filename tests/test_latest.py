"""What `latest` means to whoever restores: never a backup that is known to be bad, and never an older one unasked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.errors import DamagedError, NotFoundError
from holdfast.latest import find_to_restore, newest_good, require_good
from holdfast.repository import Repository, UserKey
from holdfast.storage import MemoryStorage
from holdfast.verification import find_backup
from tests.repository.making import back_up

NOW = datetime(2025, 11, 23, 3, tzinfo=UTC)


@pytest.fixture
def repository() -> Repository:
    """Three backups of a database, a day apart."""
    made = Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))
    for day in (1, 2, 3):
        back_up(made, f"backup_{day}", {"base": b"%d" % day}, snapshot_at=NOW + timedelta(days=day))
    return made


def _prove(repository: Repository, backup_id: str, *, ok: bool) -> None:
    problems = [] if ok else ["base is damaged"]
    repository.add_proof(backup_id, "read", ok=ok, problems=problems, figures={}, started_at=NOW)


def test_the_newest_is_restored_while_nothing_is_wrong_with_it(repository: Repository) -> None:
    _prove(repository, "backup_1", ok=False)
    assert find_to_restore(repository, "latest", "database").id == "backup_3"


def test_a_newest_that_is_bad_is_refused_and_the_newest_good_one_is_named(repository: Repository) -> None:
    _prove(repository, "backup_3", ok=False)
    _prove(repository, "backup_2", ok=False)
    with pytest.raises(DamagedError, match="backup_3, is known to be bad: base is damaged") as raised:
        find_to_restore(repository, "latest", "database")
    assert "backup_1, made 2025-11-24 03:00 UTC" in str(raised.value.next_step)
    assert find_to_restore(repository, "backup_3", "database").id == "backup_3", "who names it gets it"
    assert find_backup(repository, "latest", "database").id == "backup_3", "a verification looks at the newest"
    assert require_good(repository, "database").id == "backup_1"
    _prove(repository, "backup_3", ok=True)
    assert find_to_restore(repository, "latest", "database").id == "backup_3"


def test_where_none_is_good_it_is_said(repository: Repository) -> None:
    for day in (1, 2, 3):
        _prove(repository, f"backup_{day}", ok=False)
    with pytest.raises(DamagedError) as raised:
        find_to_restore(repository, "latest", "database")
    assert "There is no good one before it" in str(raised.value.next_step)
    assert newest_good(repository, "database") is None
    with pytest.raises(NotFoundError, match="no good database backup"):
        require_good(repository, "database")
