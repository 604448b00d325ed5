"""`holdfast plans`: what a person types to see, check and change plans, and what a script gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import KEY, Home
from tests.postgres.servers import server_folder
from tests.recovery.sample_plans import document, step


@pytest.fixture(scope="module")
def plans() -> Iterator[Home]:
    """A home whose catalog runs, and no Prefect."""
    with server_folder() as root:
        home = Home(root / "home", {"BACKUP_ENCRYPTION_KEY": KEY})
        try:
            yield home
        finally:
            home.json("down")


def test_plans_are_listed_by_urgency_for_people_and_for_scripts(plans: Home) -> None:
    listed = plans.json("plans", "list")
    assert [one["id"] for one in listed] == ["database_failure", "secrets_compromise", "function_failure", "config_corruption"]
    assert all((one["untested"], one["lastTested"], one["origin"]) == (False, None, "catalog") for one in listed)
    shown = plans.run("plans", "list").out
    for word in ("database_failure", "critical", "never", "database_unavailable"):
        assert word in shown
    steps = plans.run("plans", "show", "secrets_compromise").out
    for word in ("rotate_secrets", "assess_breach", "60 minutes", "nobody is asked"):
        assert word in steps


def test_a_plan_is_added_changed_switched_exported_and_removed(plans: Home, tmp_path: Path) -> None:
    file, said = tmp_path / "plan.json", "x" * 500
    file.write_text(json.dumps(document("mine", description=said)))
    assert plans.json("plans", "add", str(file)) == {"added": ["mine"], "replaced": [], "deployments": None}
    refused = plans.error(4, "plans", "add", str(file))
    assert (refused["code"], "--replace" in refused["nextStep"]) == ("HF-400", True)
    changed = json.dumps(document("mine", description=said, requiresApproval=True))
    assert plans.json("plans", "add", "-", "--replace", stdin=changed)["replaced"] == ["mine"]
    told = plans.run("plans", "disable", "mine").out
    assert "mine is off" in told
    assert "No Prefect server answers" in told
    exported = plans.run("plans", "export", "mine").out
    assert said in exported, "a long line is not broken"
    assert plans.json("plans", "remove", "mine") == {"removed": "mine", "deployments": None}
    plans.json("plans", "add", "-", stdin=exported)
    shown = plans.json("plans", "show", "mine")
    assert (shown["description"], shown["enabled"], shown["requiresApproval"]) == (said, False, True)


def test_plans_are_checked_without_a_catalog_and_without_a_home(home: Home) -> None:
    found = home.json("plans", "validate", "-", stdin=json.dumps([document("a"), document("b")]))
    assert (found["valid"], [one["id"] for one in found["plans"]]) == (True, ["a", "b"])
    bad = home.error(2, "plans", "validate", "-", stdin=json.dumps(document(steps=[step(timeout=99), step(type="hope")])))
    assert bad["code"] == "HF-206"
    assert len(bad["reason"].splitlines()) == 3
    assert "line 2" in home.error(2, "plans", "validate", "-", stdin="id: a\nid: b")["reason"]
    assert not home.path.exists()


def test_a_catalog_that_does_not_answer_is_told_and_the_plans_are_shown_all_the_same(home: Home) -> None:
    away = "postgresql://nobody@127.0.0.1:1/catalog"
    ran = home.run("plans", "show", "database_failure", "--json", BACKUP_CATALOG_URL=away)
    assert (ran.code, ran.document["origin"]) == (0, "default")
    assert "can't be asked for plans" in ran.err
    assert home.error(7, "plans", "disable", "database_failure", BACKUP_CATALOG_URL=away)["code"] == "HF-702"
