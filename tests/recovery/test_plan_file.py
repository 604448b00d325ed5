"""Plans as YAML: what is exported reads as the same plan, and what could be meant otherwise is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import PlanInvalidError
from holdfast.recovery.defaults import default_plans
from holdfast.recovery.plan_file import read_plans, write_plans
from tests.recovery.sample_plans import document, plan, step
from tests.recovery.scripting import scripted_types

TEXTS = st.text(max_size=40).filter(str.strip)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def refused(text: str) -> str:
    with pytest.raises(PlanInvalidError) as caught:
        read_plans(text, "plan.yaml")
    return caught.value.what_and_why


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.sampled_from(["2026-01-02T03:04:05Z", None]), st.booleans())
def test_what_is_exported_reads_as_the_same_plan(name: str, said: str, reason: str, tested: str | None, enabled: bool) -> None:
    steps = [step("one", timeout=7.5, timeoutReason=reason, description=said), step("two", dependencies=["one"])]
    one = plan(name=name[:200], description=said, lastTested=tested, enabled=enabled, requiresApproval=not enabled, steps=steps)
    assert read_plans(write_plans([one]), "plan.yaml") == [one]
    both = [one, plan("other")]
    assert read_plans(write_plans(both), "plan.yaml") == both


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_any_value_of_a_parameter_comes_back_as_it_was(value: dict[str, Any]) -> None:
    with scripted_types(Path(__file__).parent / "open_types"):
        one = plan(steps=[step(type="anything", parameters=value)])
        assert read_plans(write_plans([one]), "plan.yaml") == [one]


def test_the_default_plans_can_be_exported_and_added() -> None:
    defaults = list(default_plans().values())
    assert read_plans(write_plans(defaults), "plan.yaml") == defaults


def test_json_is_read_as_well() -> None:
    assert read_plans(json.dumps(document()), "plan.json") == [plan()]
    assert read_plans(json.dumps([document("a"), document("b")], indent=1), "plan.json") == [plan("a"), plan("b")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id: a\nname: [", "line 2, column 8: expected the node content"),
        ("id: a\nname: b\nid: c", "line 3, column 1: 'id' is there twice"),
        ("- &one {id: a}\n- *one", "line 2, column 3: an alias"),
        ("id: a\nsteps:\n- parameters: {on: 1}", "line 3, column 16: the key 'on' is no text: quote it"),
        ("id: a\n---\nid: b", "line 2, column 1: but found another document"),
        ("!!python/object/apply:os.getcwd []", "line 1, column 1: could not determine a constructor"),
        ("[" * 1000, "it is nested too deeply"),
        ("estimatedRecoveryTime: " + "9" * 5000, "a number has too many digits"),
        ("estimatedRecoveryTime: !!int soon", "a value is not what its tag says"),
        ("enabled: !!bool maybe", "a value is not what its tag says"),
        ("\0", "special characters are not allowed"),
        ("", "it holds no plan"),
        ("just text", "it is no mapping of names to values"),
        ("#" * (1 << 20) + "\nid: a", "it is longer than 1 MiB"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_with_its_place(text: str, told: str) -> None:
    assert told in refused(text)


def test_nothing_is_taken_for_a_date() -> None:
    assert read_plans(write_plans([plan()]).replace("Orders Lost", "2026-01-02"), "plan.yaml") == [plan(name="2026-01-02")]


def test_all_plans_of_a_file_are_checked_before_any_is_used() -> None:
    told = refused(json.dumps([document("a", priority="asap"), document("b", steps=[]), document("c"), document("c")]))
    for problem in ("plan a", "priority", "plan b", "steps: there is none", "plan c", "twice"):
        assert problem in told
