"""What a game day says has come back is back, what it says is lost is lost, and it touches no folder but its own."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cli.game_day import chosen
from cli.returned import Sighting, compared
from holdfast.errors import NotFoundError
from tests.acceptance.conftest import HOLDFAST

BACKED_UP = Sighting({"a": (10, 1), "b": (5, 7)}, {"a": 10, "b": 5}, "CREATE TABLE a, b")
LAST = Sighting({"a": (14, 3), "b": (5, 7)}, {"a": 14, "b": 5}, "CREATE TABLE a, b")


def test_what_is_as_it_was_last_is_back_and_nothing_is_lost() -> None:
    found = compared(LAST, BACKED_UP, LAST)
    assert (found.amiss, found.lost_rows, found.older) == (None, 0, ())


def test_what_is_as_in_the_backup_is_back_and_what_was_written_since_is_lost() -> None:
    found = compared(BACKED_UP, BACKED_UP, LAST)
    assert (found.amiss, found.lost_rows, found.older) == (None, 4, ("a",))


def test_an_unlogged_table_that_a_crash_has_emptied_is_lost_and_not_amiss() -> None:
    last = replace(LAST, fleeting=frozenset({"b"}))
    emptied = Sighting({**LAST.things, "b": (0, 0)}, {**LAST.rows, "b": 0}, LAST.definitions)
    found = compared(emptied, BACKED_UP, last)
    assert (found.amiss, found.lost_rows, found.older) == (None, 5, ("b",))
    assert compared(emptied, BACKED_UP, LAST).amiss is not None


@pytest.mark.parametrize(
    ("now", "amiss"),
    [
        (Sighting({"a": (14, 3)}, {"a": 14}, LAST.definitions), "b is neither as last nor as in the backup"),
        (Sighting({"a": (14, 4), "b": (5, 7)}, LAST.rows, LAST.definitions), "a is neither as last nor as in the backup"),
        (Sighting({**LAST.things, "c": (1, 1)}, {**LAST.rows, "c": 1}, LAST.definitions), "c is neither"),
        (Sighting(LAST.things, LAST.rows, "CREATE TABLE a"), "its definitions are others"),
    ],
)
def test_anything_else_is_not_back(now: Sighting, amiss: str) -> None:
    found = compared(now, BACKED_UP, LAST)
    assert found.amiss is not None
    assert amiss in found.amiss


def test_all_faults_are_done_and_no_part_is_broken_twice_in_a_row() -> None:
    parts = [one.part for one in chosen(["all"])]
    assert len(parts) == 8
    assert all(one != other for one, other in itertools.pairwise(parts))
    with pytest.raises(NotFoundError, match="no fault 'meteorite'"):
        chosen(["meteorite"])


def drill(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HOLDFAST_HOME": str(home)}
    return subprocess.run([HOLDFAST, "drill", *arguments], cwd=home, env=environment, capture_output=True, text=True, check=False)


def test_a_game_day_never_empties_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "game-day").mkdir()
    (tmp_path / "game-day" / "precious").write_text("mine")
    done = drill(tmp_path, "--fault", "all")
    assert done.returncode == 4, done.stdout + done.stderr
    assert [path.name for path in (tmp_path / "game-day").iterdir()] == ["precious"]


def test_two_kinds_of_drill_at_once_are_a_slip(tmp_path: Path) -> None:
    done = drill(tmp_path, "--fault", "all", "--type", "database")
    assert done.returncode == 2
    assert "Only one of" in done.stderr
