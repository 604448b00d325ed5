"""Steps that tell people, by real HTTP: who was told, what they read, and that a text reaches nothing but what is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import NotifyingFailedError
from holdfast.recovery.verdict import Verdict
from tests.receivers import http_receiver
from tests.recovery.stepping import SteppingWorld, foreseen, problems, run, step_of, work_on

KIND = "notification"
CANARY = "ghp_canary0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5"
TEXT = "{plan} began after {trigger}: {found} It was seen by {facts.host}, {facts.nobody}; {{this}} stays."


def test_people_read_what_is_known_of_the_execution(tmp_path: Path) -> None:
    verdict = Verdict("database", "slow", "The database takes 7 s for a small query")
    with http_receiver() as receiver:
        world = SteppingWorld(tmp_path, channels={"webhook": receiver.url})
        given = {"facts": {"host": "db1"}, "trigger": "database_performance_degraded", "verdicts": [verdict]}
        work = work_on(world, KIND, parameters={"message": TEXT, "priority": "critical"}, **given)
        assert foreseen(work)[0].startswith("tell all channels: My own plan began after")
        assert receiver.got == []
        done = run(work)
        ((_, said),) = receiver.got
    assert done.output == {"channels": ["webhook"], "failed": {}}
    assert said["subject"].startswith("[Holdfast] Critical: My own plan: My own plan began after")
    assert said["mood"] == "failure"
    begun = "My own plan began after database_performance_degraded: The database takes 7 s for a small query."
    assert said["body"].startswith(f"{begun} It was seen by db1, –; {{this}} stays.")
    assert "Execution: exec-1" in said["body"]


def test_a_channel_that_fails_is_named_and_only_where_none_takes_it_the_step_fails(tmp_path: Path) -> None:
    with http_receiver() as good, http_receiver(status=404) as bad:
        world = SteppingWorld(tmp_path, channels={"good": good.url, "bad": bad.url})
        done = run(work_on(world, KIND, parameters={"message": "hello", "channels": ["good", "bad", "none"]}))
        assert done.output["channels"] == ["good"]
        assert sorted(done.notes) == ["bad took no message: it answers 404", "none took no message: it is not set up"]
        with pytest.raises(NotifyingFailedError, match="bad took no message: it answers 404"):
            run(work_on(world, KIND, parameters={"message": "hello", "channels": ["bad"]}))


def test_where_no_channel_is_set_up_or_notifications_are_off_nothing_is_needed(tmp_path: Path) -> None:
    done = run(work_on(SteppingWorld(tmp_path), KIND, parameters={"message": "hello"}))
    assert (done.needed, "no channel is set up" in done.summary) == (False, True)
    with http_receiver() as receiver:
        world = SteppingWorld(tmp_path, channels={"webhook": receiver.url}, BACKUP_ENABLE_NOTIFICATIONS=False)
        assert run(work_on(world, KIND, parameters={"message": "hello"})).needed is False
        assert receiver.got == []


def test_a_drill_says_that_it_is_one_in_the_subject(tmp_path: Path) -> None:
    with http_receiver() as receiver:
        world = SteppingWorld(tmp_path, channels={"webhook": receiver.url})
        run(work_on(world, KIND, parameters={"message": "hello", "priority": "high"}, mode="drill"))
        ((_, said),) = receiver.got
    assert said["subject"] == "[Holdfast] Drill, nothing is wrong: High: My own plan: hello"
    assert said["mood"] == "info"
    assert said["body"].startswith("This is a drill.")


def test_a_fact_that_looks_like_a_secret_is_not_told(tmp_path: Path) -> None:
    with http_receiver() as receiver:
        world = SteppingWorld(tmp_path, channels={"webhook": receiver.url})
        parameters = {"message": "{facts.seen} {facts.password} {facts.list}"}
        run(work_on(world, KIND, parameters=parameters, facts={"seen": CANARY, "password": "tr0ub4dor", "list": ["a", "b"]}))
        assert "******** ******** a, b" in receiver.texts[0]


@pytest.mark.parametrize(
    "text", ["{plan.__class__}", "{facts.__init__.__globals__[x]}", "{0}", "{}", "{plan!r}", "{plan:>9}", "a } b"]
)
def test_a_text_with_what_stands_for_nothing_is_refused_before(text: str) -> None:
    found = problems(step_of(KIND, message=text))
    assert len(found) >= 1
    assert found[0].startswith("parameters.message: ")


def test_a_plan_is_told_what_is_wrong_with_the_rest() -> None:
    assert problems(step_of(KIND, message="hello", channels=["slack"], priority="low")) == []
    assert problems(step_of(KIND, priority="urgent")) != []
    assert "1 to 5" in problems(step_of(KIND, message="hello", timeout=15))[0]
