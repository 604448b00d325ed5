"""Recovery plans in the catalog: what a person did to them stays, and nothing that was executed loses its history."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest

from holdfast.catalog import Catalog
from holdfast.errors import PlanInvalidError, RefusedError
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.recovery.defaults import default_plans, make_defaults
from holdfast.recovery.plan import Plan
from tests.catalog.conftest import Ask, ask_once
from tests.recovery.sample_plans import document, plan, step

GUIDE = {
    "database_failure": (
        "critical",
        90,
        ["database_unavailable", "database_corruption", "database_performance_degraded"],
        [
            ("Assess Database Status", "assessment"),
            ("Restore Database Backup", "backup_restore"),
            ("Verify Database Restore", "verification"),
        ],
    ),
    "function_failure": (
        "high",
        45,
        ["function_deployment_failed", "function_runtime_error", "function_timeout"],
        [
            ("Assess Function Status", "assessment"),
            ("Redeploy Functions", "backup_restore"),
            ("Verify Function Deployment", "verification"),
        ],
    ),
    "config_corruption": (
        "medium",
        30,
        ["config_validation_failed", "config_corruption_detected"],
        [
            ("Assess Configuration Status", "assessment"),
            ("Restore Configuration Backup", "backup_restore"),
            ("Restart Services", "service_restart"),
        ],
    ),
    "secrets_compromise": (
        "critical",
        60,
        ["secrets_compromise_detected", "unauthorized_access"],
        [
            ("Assess Security Breach", "assessment"),
            ("Rotate Compromised Secrets", "secrets"),
            ("Restore Secrets Backup", "backup_restore"),
            ("Verify Security Restoration", "verification"),
        ],
    ),
}
NAMES = {
    "database_failure": "Database Failure Recovery",
    "function_failure": "Function Failure Recovery",
    "config_corruption": "Configuration Corruption Recovery",
    "secrets_compromise": "Secrets Compromise Recovery",
}


def execute(ask: Ask, plan_id: str) -> None:
    """Have a plan executed once, as far as the catalog knows."""
    columns = "(execution_id, plan_id, trigger, status)"
    ask(f"INSERT INTO disaster_recovery_executions {columns} VALUES ('one', %s, 'manual', 'success')", plan_id)


def test_the_default_plans_are_the_guides(catalog: Catalog) -> None:
    assert set(make_defaults(catalog.plans).values()) == {"made"}
    kept = {one.id: one for one in catalog.plans.list()}
    assert {one.id: one.name for one in kept.values()} == NAMES
    assert {
        one.id: (
            one.priority,
            one.estimated_recovery_time,
            list(one.triggers),
            [(step.name, step.type) for step in sorted(one.steps, key=lambda step: step.order)],
        )
        for one in kept.values()
    } == GUIDE
    assert kept == default_plans()
    assert list(kept) == ["database_failure", "secrets_compromise", "function_failure", "config_corruption"]


def test_the_steps_of_a_default_plan_wait_for_each_other_and_take_no_longer_than_is_estimated() -> None:
    for one in default_plans().values():
        assert [step.dependencies for step in one.steps] == [(), *((before.id,) for before in one.steps[:-1])]
        assert sum(step.timeout for step in one.steps) <= one.estimated_recovery_time


def test_a_plan_comes_back_as_it_was_put(catalog: Catalog, ask: Ask) -> None:
    tested = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    kept = plan(
        requiresApproval=True,
        enabled=False,
        lastTested=tested.isoformat(),
        steps=[step("one", timeout=9.5, timeoutReason="slow channels"), step("two", dependencies=["one"])],
    )
    catalog.plans.put(kept)
    assert catalog.plans.find("orders_lost") == kept
    assert catalog.plans.kept()[0].digest == kept.digest
    assert ask("SELECT enabled, last_tested, triggers FROM get_disaster_recovery_plans('high', false)") == [
        (False, tested, ["orders_missing"])
    ]
    catalog.plans.put(plan(name="Other"))
    assert catalog.plans.find("orders_lost") == plan(name="Other"), "approval is not asked for any more"
    assert catalog.plans.find("nobodys") is None


def test_running_init_again_changes_nothing(catalog: Catalog, ask: Ask) -> None:
    make_defaults(catalog.plans)
    before = ask("SELECT * FROM disaster_recovery_plans ORDER BY plan_id")
    assert set(make_defaults(catalog.plans).values()) == {"as it was"}
    assert ask("SELECT * FROM disaster_recovery_plans ORDER BY plan_id") == before


def renewed_by_the_product(default: Plan) -> Plan:
    return default.model_copy(update={"description": "Better"})


def drilled(catalog: Catalog, plan_id: str) -> None:
    catalog.plans.note_tested(plan_id, datetime(2026, 1, 2, tzinfo=UTC))


def disabled(catalog: Catalog, plan_id: str) -> None:
    catalog.plans.enable(plan_id, False)


def renamed(catalog: Catalog, plan_id: str) -> None:
    found = catalog.plans.find(plan_id)
    assert found is not None
    catalog.plans.put(found.model_copy(update={"name": "Mine"}))


def removed(catalog: Catalog, plan_id: str) -> None:
    catalog.plans.remove(plan_id)


def left_alone(catalog: Catalog, plan_id: str) -> None:
    """What nobody touched."""


@pytest.mark.parametrize(
    ("touch", "state"),
    [
        (left_alone, "renewed"),
        (drilled, "renewed"),
        (disabled, "changed by a person"),
        (renamed, "changed by a person"),
        (removed, "removed by a person"),
    ],
)
def test_a_better_default_replaces_only_one_that_nobody_touched(
    catalog: Catalog, touch: Callable[[Catalog, str], None], state: str
) -> None:
    default = default_plans()["database_failure"]
    catalog.plans.make_default(default)
    touch(catalog, default.id)
    before = catalog.plans.find(default.id)
    assert catalog.plans.make_default(renewed_by_the_product(default)) == state
    after = catalog.plans.find(default.id)
    if state == "renewed":
        assert before is not None
        assert after == renewed_by_the_product(before), "and what was tested stays tested, for its steps are the same"
    else:
        assert after == before
    assert catalog.plans.make_default(default) == ("renewed" if state == "renewed" else state)


def test_a_default_with_other_steps_has_to_be_tested_anew(catalog: Catalog) -> None:
    default = default_plans()["database_failure"]
    catalog.plans.make_default(default)
    drilled(catalog, default.id)
    assert catalog.plans.make_default(default.model_copy(update={"steps": default.steps[:2]})) == "renewed"
    found = catalog.plans.find(default.id)
    assert found is not None
    assert found.last_tested is None


def test_a_removed_plan_is_gone_and_can_be_added_again(catalog: Catalog, ask: Ask) -> None:
    catalog.plans.put(plan())
    assert catalog.plans.remove("orders_lost")
    assert not catalog.plans.remove("orders_lost")
    assert (catalog.plans.list(), catalog.plans.find("orders_lost")) == ([], None)
    assert catalog.plans.removed() == {"orders_lost"}
    assert ask("SELECT count(*) FROM disaster_recovery_plans") == [(0,)]
    assert catalog.plans.add([plan()]) == {"orders_lost": False}
    assert catalog.plans.list() == [plan()]
    assert catalog.plans.removed() == frozenset()


def test_what_a_removed_plan_did_stays_on_record(catalog: Catalog, ask: Ask) -> None:
    catalog.plans.put(plan())
    execute(ask, "orders_lost")
    assert catalog.plans.remove("orders_lost")
    assert (catalog.plans.list(), catalog.plans.find("orders_lost")) == ([], None)
    assert ask("SELECT plan_id FROM disaster_recovery_executions") == [("orders_lost",)]
    assert ask("SELECT enabled FROM disaster_recovery_plans") == [(False,)]
    assert ask("SELECT * FROM get_disaster_recovery_plans()") == []
    assert not catalog.plans.enable("orders_lost"), "nobody switches on what was removed"
    assert catalog.plans.add([plan()]) == {"orders_lost": False}
    assert catalog.plans.find("orders_lost") == plan()


def test_an_execution_gets_its_row_without_bringing_a_removed_plan_back(catalog: Catalog, ask: Ask) -> None:
    assert catalog.plans.ensure(plan(requiresApproval=True))
    assert not catalog.plans.ensure(plan(name="Other"))
    assert catalog.plans.find("orders_lost") == plan(requiresApproval=True)
    catalog.plans.remove("orders_lost")
    assert catalog.plans.ensure(plan())
    execute(ask, "orders_lost")
    assert catalog.plans.list() == []


def test_plans_are_added_all_or_none(catalog: Catalog) -> None:
    catalog.plans.put(plan("b"))
    with pytest.raises(RefusedError, match=r"plan b is there already.*--replace"):
        catalog.plans.add([plan("a"), plan("b")])
    assert [one.id for one in catalog.plans.list()] == ["b"]
    assert catalog.plans.add([plan("a"), plan("b", name="Newer")], replace=True) == {"a": False, "b": True}
    assert catalog.plans.find("b") == plan("b", name="Newer")


def test_two_who_add_the_same_plans_at_once_do_not_block_each_other(url: DatabaseUrl) -> None:
    names = ["a", "b", "c", "d"]

    def add(order: list[str]) -> dict[str, bool]:
        with Catalog(url) as catalog:
            return catalog.plans.add([plan(name) for name in order], replace=True)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(add, [names, names[::-1]] * 4))
    assert [set(one) for one in done] == [set(names)] * 8


def test_two_inits_at_once_make_each_plan_once(url: DatabaseUrl) -> None:
    def make(_: int) -> dict[str, str]:
        with Catalog(url) as catalog:
            return dict(make_defaults(catalog.plans))

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(make, range(4)))
    for plan_id in default_plans():
        assert sorted(one[plan_id] for one in done) == ["as it was"] * 3 + ["made"]


def test_an_older_test_that_is_noted_later_changes_nothing(catalog: Catalog) -> None:
    catalog.plans.put(plan())
    newer, older = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert catalog.plans.note_tested("orders_lost", newer)
    assert catalog.plans.note_tested("orders_lost", older)
    assert catalog.plans.kept()[0].last_tested == newer
    assert not catalog.plans.note_tested("nobodys", newer)


def test_a_row_that_somebody_wrote_by_hand_hinders_no_other_plan(
    catalog: Catalog, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    catalog.plans.put(plan())
    ask("INSERT INTO disaster_recovery_plans (plan_id, name, priority, steps, triggers) VALUES ('odd', 'Odd', 'low', '{}', NULL)")
    assert catalog.plans.list() == [plan()]
    assert "odd" in caplog.text
    with pytest.raises(PlanInvalidError, match="odd"):
        catalog.plans.find("odd")
    assert catalog.plans.remove("odd")


def test_a_plan_of_a_system_made_from_the_guide_is_taken_over(catalog: Catalog, ask: Ask) -> None:
    found = document()
    ask(
        """INSERT INTO disaster_recovery_plans (plan_id, name, description, priority, triggers, steps, estimated_recovery_time)
        VALUES ('orders_lost', 'Orders Lost', 'Tell the shop', 'high', '["orders_missing"]', %s, 20)""",
        json.dumps(found["steps"]),
    )
    assert catalog.plans.list() == [plan()]
    assert catalog.plans.make_default(plan(name="Newer")) == "changed by a person"
    assert catalog.plans.make_default(plan()) == "as it was"
    assert catalog.plans.make_default(plan(name="Newer")) == "renewed", "what is as the default is counts as the default"


def test_the_row_of_a_plan_that_is_about_to_be_executed_is_not_deleted_under_it(url: DatabaseUrl, catalog: Catalog) -> None:
    catalog.plans.put(plan())
    with ThreadPoolExecutor(1) as pool:
        with closing(connect(url, autocommit=False)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO disaster_recovery_executions (execution_id, plan_id, trigger, status) "
                "VALUES ('one', 'orders_lost', 'manual', 'running')"
            )
            removing = pool.submit(catalog.plans.remove, "orders_lost")
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            while not ask_once(url, waiting)[0][0]:
                assert not removing.done()
            connection.commit()
        assert removing.result()
    assert ask_once(url, "SELECT enabled FROM disaster_recovery_plans") == [(False,)]
