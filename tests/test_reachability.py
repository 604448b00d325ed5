"""What the health monitor says of a repository and a catalog that are gone."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.errors import NotFoundError, StorageUnreachableError, WrongKeyError
from holdfast.overview import Overview
from holdfast.reachability import CATALOG, REPOSITORY, judge_reachability

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def look(*, seen: bool, recorded: bool) -> Overview:
    return Overview(NOW, None, (), None, seen=seen, recorded=recorded)


def test_all_that_answers_is_no_alarm_and_mends_what_was_one() -> None:
    assert judge_reachability(look(seen=True, recorded=True), None) == {CATALOG: None}


def test_a_repository_that_can_not_be_opened_is_an_alarm_that_says_why_and_what_to_do() -> None:
    for error in (
        StorageUnreachableError("s3://x does not answer"),
        NotFoundError("there is no repository", next_step="Mount it"),
    ):
        alarm = judge_reachability(look(seen=False, recorded=True), error)[REPOSITORY]
        assert alarm is not None
        assert alarm.what.startswith(error.message)
        assert alarm.next_step == (error.next_step or "See that the storage is there and answers: holdfast storage test")


def test_a_wrong_key_is_an_alarm_of_its_own() -> None:
    assert REPOSITORY not in judge_reachability(look(seen=False, recorded=True), WrongKeyError("it opens nothing"))


def test_a_catalog_that_does_not_answer_is_an_alarm() -> None:
    alarm = judge_reachability(look(seen=True, recorded=False), None)[CATALOG]
    assert alarm is not None
    assert "BACKUP_CATALOG_URL" in alarm.next_step
