"""Indexes are made early only where somebody would otherwise have nothing to do, and never twice."""

from __future__ import annotations

from holdfast.postgres.archive import POST_DATA, PRE_DATA, ArchiveEntry
from holdfast.postgres.early_indexes import EarlyIndexes

ENTRIES = [
    ArchiveEntry(1, "TABLE", "public", "large", "", PRE_DATA, "", "", ""),
    ArchiveEntry(2, "TABLE", "public", "larger", "", PRE_DATA, "", "", ""),
    ArchiveEntry(3, "INDEX", "public", "by_day", "", POST_DATA, "CREATE INDEX", "", "", (1,)),
    ArchiveEntry(4, "CONSTRAINT", "public", "large large_pkey", "", POST_DATA, "ALTER TABLE", "", "", (1,)),
    ArchiveEntry(5, "FK CONSTRAINT", "public", "large large_fkey", "", POST_DATA, "ALTER TABLE", "", "", (1, 2, 4)),
    ArchiveEntry(6, "INDEX", "public", "odd", "", POST_DATA, "CREATE INDEX \udcff", "", "", (1,)),
]
LARGE, LARGER = ("public", "large"), ("public", "larger")


def test_while_another_table_is_filled_keys_and_indexes_are_made() -> None:
    early = EarlyIndexes(ENTRIES, [LARGE, LARGER])
    with early.filling(LARGER):
        with early.filling(LARGE):
            pass
        assert [entry.id for entry in early.worth_making(LARGE)] == [4, 3]
        assert list(early.worth_making(LARGE)) == []
    assert early.made == {3, 4}


def test_tables_that_wait_to_be_filled_come_first() -> None:
    early = EarlyIndexes(ENTRIES, [LARGE, LARGER])
    with early.filling(None):
        with early.filling(LARGE):
            pass
        assert list(early.worth_making(LARGE)) == []


def test_what_is_left_when_all_are_filled_is_for_all_hands() -> None:
    early = EarlyIndexes(ENTRIES, [LARGE])
    with early.filling(LARGE):
        pass
    assert list(early.worth_making(LARGE)) == []
    assert early.made == set()


def test_an_index_that_failed_is_made_later() -> None:
    early = EarlyIndexes(ENTRIES, [LARGE])
    with early.filling(None):
        for _ in early.worth_making(LARGE):
            break
    assert early.made == set()


def test_an_index_that_calls_a_function_waits_for_all_rows_for_it_may_look_into_any_table() -> None:
    function = ArchiveEntry(7, "FUNCTION", "public", "place(integer)", "", PRE_DATA, "CREATE FUNCTION", "", "")
    by_place = ArchiveEntry(8, "INDEX", "public", "by_place", "", POST_DATA, "CREATE INDEX", "", "", (1, 7))
    early = EarlyIndexes([*ENTRIES, function, by_place], [LARGE, LARGER])
    with early.filling(LARGER):
        with early.filling(LARGE):
            pass
        assert [entry.id for entry in early.worth_making(LARGE)] == [4, 3]
    assert [entry.id for _, entry in early.left] == [8]


def test_what_needs_more_than_tables_that_comes_after_the_rows_is_left_to_the_end() -> None:
    function = ArchiveEntry(7, "FUNCTION", "public", "name_of(integer)", "", POST_DATA, "CREATE FUNCTION", "", "", (4,))
    by_name = ArchiveEntry(8, "INDEX", "public", "by_name", "", POST_DATA, "CREATE INDEX", "", "", (1, 7))
    of_partition = ArchiveEntry(9, "INDEX", "public", "of_partition", "", POST_DATA, "CREATE INDEX", "", "", (1, 3))
    early = EarlyIndexes([*ENTRIES, function, by_name, of_partition], [LARGE])
    assert [entry.id for _, entry in early.left] == [4, 3, 9]
