"""Default plans that would do each other harm wait for each other."""

from __future__ import annotations

from holdfast.recovery.defaults import default_plans
from holdfast.recovery.running import touched


def test_a_plan_that_restarts_services_waits_for_one_that_restores_the_database_for_its_server_is_one_of_them() -> None:
    plans = default_plans()
    assert set(touched(plans["config_corruption"])) & set(touched(plans["database_failure"]))


def test_plans_that_harm_each_other_in_nothing_run_side_by_side() -> None:
    plans = default_plans()
    assert not set(touched(plans["function_failure"])) & set(touched(plans["database_failure"]))
    assert not set(touched(plans["function_failure"])) & set(touched(plans["config_corruption"]))
