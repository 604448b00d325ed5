"""Steps that restart services: real ones, one of which hangs; each is told of, and one that fails stops none of the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, ServiceFailedError, TimeLimitError
from holdfast.recovery.steps import step_types
from holdfast.recovery.verdict import Verdict
from tests.recovery.sample_service import lives
from tests.recovery.services import Sample, opened, sample_service
from tests.recovery.stepping import SteppingWorld, foreseen, problems, run, step_of, work_on

KIND = "service_restart"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Sample]:
    with sample_service(tmp_path / "web") as made:
        yield made


def test_all_services_are_restarted_in_order_and_one_that_can_not_be_asked_is_said_to_be_unknown(
    web: Sample, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    noting = {name: f"sh -c 'echo {name} >> {order}'" for name in ("first", "second")}
    unasked = [opened(name, kind="command", restart=line) for name, line in noting.items()]
    world, before = SteppingWorld(tmp_path, services=[unasked[0], opened("web", **web.described()), unasked[1]]), web.pid
    work = work_on(world, KIND, parameters={"services": ["second", "*"]})
    assert foreseen(work)[0].startswith("restart second by 'sh -c")
    assert web.pid == before
    done = run(work)
    assert order.read_text().split() == ["second", "first"]
    assert web.pid != before
    assert [(one["name"], one["health"]) for one in done.output["services"]] == [
        ("second", "unknown"),
        ("first", "unknown"),
        ("web", "well"),
    ]
    assert "nobody has said how to ask it" in done.notes[0]


def test_one_that_hangs_fails_the_step_after_the_others_were_restarted_and_force_kills_it(web: Sample, tmp_path: Path) -> None:
    with sample_service(tmp_path / "shop") as shop:
        services = [opened("web", **web.described(stop_seconds=0.5)), opened("shop", **shop.described())]
        world, before, other = SteppingWorld(tmp_path, services=services), web.pid, shop.pid
        web.hang()
        with pytest.raises(ServiceFailedError) as error:
            run(work_on(world, KIND, parameters={}))
        assert "1 of 2 services could not be restarted: web" in error.value.message
        assert "shop: done" in str(error.value.reason)
        assert shop.pid != other
        assert lives(before)

        done = run(work_on(world, KIND, parameters={"services": ["web"], "force": True}))
        assert not lives(before)
        assert "so it was killed" in done.output["services"][0]["did"][0]
        assert done.output["services"][0]["health"] == "well"


def test_when_the_time_is_up_what_was_not_tried_is_named(tmp_path: Path) -> None:
    services = [opened(name, kind="command", restart="sleep 60") for name in ("first", "second")]
    with pytest.raises(TimeLimitError, match="not tried: second"):
        run(work_on(SteppingWorld(tmp_path, services=services), KIND, seconds=0.3, parameters={}))


def test_only_what_an_assessment_found_in_trouble_is_restarted(web: Sample, tmp_path: Path) -> None:
    world = SteppingWorld(tmp_path, services=[opened("web", **web.described()), opened("shop", kind="command", restart="false")])
    verdict = Verdict("services", "failing", "web does not answer", affected=("web",))
    done = run(work_on(world, KIND, parameters={}, verdicts=[verdict]))
    assert [one["name"] for one in done.output["services"]] == ["web"]
    left = run(work_on(world, KIND, parameters={"services": ["shop"]}, verdicts=[verdict]))
    assert (left.needed, left.output["services"]) == (False, [])


def test_without_services_there_is_nothing_to_do_and_how_to_add_one_is_said(tmp_path: Path) -> None:
    done = run(work_on(SteppingWorld(tmp_path), KIND, parameters={"services": ["*"]}))
    assert not done.needed
    assert "holdfast services add" in done.notes[0]
    with pytest.raises(NotFoundError):
        run(work_on(SteppingWorld(tmp_path), KIND, parameters={"services": ["web"]}))


def test_a_drill_asks_a_service_and_leaves_it_running(web: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    world, before = SteppingWorld(tmp_path, services=[opened("web", **web.described())]), web.pid
    done = run(work_on(world, KIND, parameters={}, mode="drill"))
    assert (web.pid, done.output["services"][0]["health"]) == (before, "well")
    lacking = SteppingWorld(tmp_path, services=[opened("unit", kind="systemd", unit="web.service")])
    with pytest.raises(ServiceFailedError, match="is not here"):
        run(work_on(lacking, KIND, parameters={}, mode="drill"))


def test_two_plans_that_restart_services_never_do_so_at_once() -> None:
    every, one = (step_of(KIND, services=names) for names in (["*"], ["web"]))
    update = step_of("config_update", configKey="environment:LEVEL", configValue="x", restartRequired=True)
    kinds = step_types()
    touched = [kinds[step.type].touches(kinds[step.type].read(step)) for step in (every, one, update)]
    assert frozenset.intersection(*touched)


def test_a_step_with_wrong_parameters_or_timeout_is_told_of() -> None:
    assert problems(step_of(KIND, services=["*"], force=True, waitForHealth=False)) == []
    assert problems(step_of(KIND, services="web", now=True)) != []
    assert "5 to 15" in problems(step_of(KIND, timeout=60))[0]
