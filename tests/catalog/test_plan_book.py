"""Plans are there to be found when the catalog is gone, and come back into one that was lost."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.catalog import Catalog
from holdfast.errors import DatabaseUnreachableError, NotFoundError, RefusedError
from holdfast.postgres.connection import DatabaseUrl
from holdfast.recovery.defaults import default_plans
from holdfast.recovery.plan_book import PlanBook
from holdfast.settings import Settings
from tests.catalog.conftest import Ask, ask_once
from tests.recovery.sample_plans import plan, step

Named = Callable[[DatabaseUrl], PlanBook]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "recovery" / "plans.json"


@pytest.fixture
def named(tmp_path: Path) -> Named:
    """Open the plans of one home whose catalog is there."""

    def book(url: DatabaseUrl) -> PlanBook:
        return PlanBook(settings(tmp_path), lambda: migrated(url))

    return book


@pytest.fixture
def gone(tmp_path: Path) -> PlanBook:
    """The plans of the home when its catalog does not answer."""
    nowhere = DatabaseUrl("catalog", host=str(tmp_path), port=5432, user="nobody")
    return PlanBook(settings(tmp_path), lambda: migrated(nowhere))


def settings(home: Path) -> Settings:
    return Settings.model_validate({"HOLDFAST_HOME": str(home)})


def migrated(url: DatabaseUrl) -> Catalog:
    catalog = Catalog(url)
    catalog.migrate()
    return catalog


def test_plans_are_found_in_the_copy_when_the_catalog_is_gone(named: Named, gone: PlanBook, url: DatabaseUrl) -> None:
    named(url).add([plan(requiresApproval=True)])
    named(url).remove("secrets_compromise")
    found = gone.find("orders_lost")
    assert (found.plan, found.origin) == (plan(requiresApproval=True), "copy")
    assert found.note is not None
    assert "does not answer" in found.note or "can't be asked" in found.note
    listed = gone.all()
    assert (listed.origin, {one.id for one in listed.plans}) == (
        "copy",
        {"database_failure", "function_failure", "config_corruption", "orders_lost"},
    )
    assert named(url).find("orders_lost").note is None


def test_without_a_copy_the_plans_that_holdfast_brings_are_there(gone: PlanBook) -> None:
    found = gone.find("database_failure")
    assert (found.plan, found.origin) == (default_plans()["database_failure"], "default")
    assert gone.all().plans == list(default_plans().values())
    with pytest.raises(NotFoundError, match=r"no recovery plan 'orders_lost'.*can't be asked"):
        gone.find("orders_lost")


def test_a_default_plan_that_was_removed_can_still_be_started_when_the_catalog_is_gone(
    named: Named, gone: PlanBook, url: DatabaseUrl
) -> None:
    named(url).remove("secrets_compromise")
    assert gone.find("secrets_compromise").origin == "default"
    with pytest.raises(NotFoundError):
        named(url).find("secrets_compromise")


def test_plans_are_not_changed_when_the_catalog_is_gone(named: Named, gone: PlanBook, url: DatabaseUrl, copy: Path) -> None:
    named(url).add([plan()])
    before = copy.read_bytes()
    with pytest.raises(DatabaseUnreachableError):
        gone.remove("orders_lost")
    with pytest.raises(DatabaseUnreachableError):
        gone.put(plan("other"))
    assert copy.read_bytes() == before


def test_a_catalog_that_was_lost_and_made_again_gets_its_plans_back(
    named: Named, url: DatabaseUrl, empty: DatabaseUrl, caplog: pytest.LogCaptureFixture
) -> None:
    book = named(url)
    book.add([plan(requiresApproval=True)])
    book.enable("database_failure", False)
    book.remove("function_failure")
    book.note_tested("config_corruption", datetime(2026, 1, 2, tzinfo=UTC))
    before = book.all().plans
    with caplog.at_level(logging.WARNING):
        found = named(empty).all()
    assert (found.plans, found.origin) == (before, "catalog")
    assert "put back" in caplog.text
    states = named(empty).make_defaults()
    assert states["function_failure"] == "removed by a person"
    assert states["database_failure"] == "changed by a person"
    assert states["config_corruption"] == "as it was"


def test_a_new_catalog_has_the_default_plans(named: Named, empty: DatabaseUrl) -> None:
    assert named(empty).make_defaults() == dict.fromkeys(default_plans(), "made")
    assert {one.id for one in named(empty).all().plans} == set(default_plans())
    book = named(empty)
    for plan_id in default_plans():
        book.remove(plan_id)
    assert book.all().plans == [], "and where a person removed them all there are none"


def test_the_copy_is_for_its_owner_only_and_written_when_plans_were_changed(
    named: Named, url: DatabaseUrl, copy: Path, ask: Ask
) -> None:
    book = named(url)
    book.add([plan()])
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    written = copy.stat().st_mtime_ns, copy.stat().st_ino
    book.find("orders_lost")
    assert (copy.stat().st_mtime_ns, copy.stat().st_ino) == written, "nothing changed, so nothing is written"
    ask("UPDATE disaster_recovery_plans SET name = 'By hand' WHERE plan_id = 'orders_lost'")
    book.find("orders_lost")
    assert "By hand" in copy.read_text()
    assert [path.name for path in copy.parent.iterdir()] == ["plans.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"plans": [{}], "removed": []}', "\udcff"])
def test_a_copy_that_is_damaged_is_told_and_stops_nothing(
    named: Named, gone: PlanBook, url: DatabaseUrl, copy: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    copy.parent.mkdir()
    copy.write_text(content, errors="surrogateescape")
    assert gone.find("database_failure").origin == "default"
    assert str(copy) in caplog.text
    named(url).add([plan()])
    assert json.loads(copy.read_text())["plans"]


def test_a_copy_that_can_not_be_written_stops_nothing(
    named: Named, url: DatabaseUrl, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy.parent.write_text("in the way")
    named(url).add([plan()])
    assert named(url).find("orders_lost").plan == plan()
    assert "could not be copied" in caplog.text


def test_a_changed_plan_stays_tested_only_where_its_steps_are_the_same(named: Named, url: DatabaseUrl) -> None:
    book, tested = named(url), datetime(2026, 1, 2, tzinfo=UTC)
    book.add([plan()])
    book.note_tested("orders_lost", tested)
    with pytest.raises(RefusedError):
        book.add([plan(name="Other")])
    book.add([plan(name="Other")], replace=True)
    assert book.find("orders_lost").plan.last_tested == tested
    exported = book.find("orders_lost").plan.document()
    book.add([plan(**exported | {"steps": [step("other")]})], replace=True)
    assert book.find("orders_lost").plan.last_tested is None


def test_a_plan_that_nobody_drilled_for_too_long_is_named(named: Named, url: DatabaseUrl) -> None:
    book, now = named(url), datetime.now(UTC)
    book.add([plan()])
    assert book.all().untested(92, now) == frozenset()
    assert "orders_lost" in book.all().untested(92, now + timedelta(days=93))
    book.note_tested("orders_lost", now + timedelta(days=50))
    assert "orders_lost" not in book.all().untested(92, now + timedelta(days=93))


def test_what_is_not_there_is_not_changed(named: Named, url: DatabaseUrl) -> None:
    book = named(url)
    for change in (book.remove, book.enable):
        with pytest.raises(NotFoundError, match="'nobodys'"):
            change("nobodys")
    assert ask_once(url, "SELECT count(*) FROM disaster_recovery_plan_options WHERE plan_id = 'nobodys'") == [(0,)]
