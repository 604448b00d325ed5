"""Managed services: stopped, started, killed only where it was asked, and asked whether they are well.

Real processes, and stand-ins for the tools that need a whole system behind them.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydantic import ValidationError

from holdfast.errors import ServiceFailedError, TimeLimitError
from holdfast.recovery.services.description import ServiceDescription
from tests.postgres.servers import server_folder
from tests.receivers import http_receiver
from tests.recovery.sample_service import lives
from tests.recovery.services import DOCKER, KUBECTL, SYSTEMCTL, Sample, StandIn, opened, sample_service, soon, stand_in

CANARY = "canary-4tz9-of-a-service"


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    with sample_service(tmp_path / "web") as made:
        yield made


def python(code: str) -> str:
    return shlex.join([sys.executable, "-I", "-S", "-c", code])


def test_a_service_that_stops_well_is_another_process_afterwards_and_answers(sample: Sample) -> None:
    service, before = opened(**sample.described()), sample.pid
    assert service.health(soon()).ok is True
    done = service.restart(soon(), force=True)
    assert service.wait_for_health(soon()).ok is True
    assert sample.pid != before
    assert not lives(before)
    assert not any("killed" in sentence for sentence in done)


def test_a_service_that_hangs_is_killed_only_by_force(sample: Sample) -> None:
    service, before = opened(**sample.described(stop_seconds=0.5)), sample.pid
    sample.hang()
    assert service.health(soon()).ok is False
    with pytest.raises(ServiceFailedError, match=r"did not end within 0.5 seconds.*services restart web --force"):
        service.restart(soon())
    assert lives(before)

    done = service.restart(soon(), force=True)
    assert "so it was killed" in done[0]
    assert service.wait_for_health(soon()).ok is True
    assert not lives(before)


def test_a_service_that_is_gone_is_started_by_a_restart_and_one_that_is_well_is_left_by_a_start(sample: Sample) -> None:
    service = opened(**sample.described())
    before = sample.pid
    assert "not started" in service.start(soon())[0]
    assert sample.pid == before
    os.kill(before, 9)
    while lives(before):
        pass
    done = service.restart(soon())
    assert "ended with exit code" in done[0]
    assert service.wait_for_health(soon()).ok is True


def test_a_service_that_does_not_become_well_is_an_error_with_its_last_answer(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        service = opened(kind="command", restart=python(""), health_address=address, grace_seconds=0.1, interval_seconds=0.05)
        with pytest.raises(ServiceFailedError, match=f"did not become well within 0.1 seconds: {address} takes no connection"):
            service.wait_for_health(soon())
        with pytest.raises(TimeLimitError):
            opened(kind="command", restart="true", health_address=address).wait_for_health(soon(0))
        nobody.listen()
        assert service.health(soon()).ok is True


def test_a_service_that_nobody_can_ask_is_unknown_and_not_waited_for() -> None:
    found = opened(kind="systemd", unit="web.service").wait_for_health(soon())
    assert (found.ok, "nobody has said how to ask it" in found.reason) == (None, True)


def test_an_address_that_answers_otherwise_is_not_well_and_its_secrets_are_not_told() -> None:
    with http_receiver(status=503) as receiver:
        url = receiver.url.replace("://", f"://ops:{CANARY}@") + f"/ready?token={CANARY}"
        found = opened(kind="command", restart="true", health_url=url).health(soon())
        assert found.ok is False
        assert "answers 501" in found.reason  # the receiver takes no GET
        assert opened(kind="command", restart="true", health_url=url, health_status=501).health(soon()).ok is True
    gone = opened(kind="command", restart="true", health_url=url).health(soon())
    assert gone.ok is False
    assert CANARY not in found.reason + gone.reason


def test_a_commands_secrets_come_by_its_environment_and_are_masked_in_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_ENCRYPTION_KEY", "ours-alone")
    said = python("import os, sys; print(os.environ['PASS'], os.environ.get('BACKUP_ENCRYPTION_KEY')); sys.exit(3)")
    service = opened(kind="command", restart=said, environment={"PASS": CANARY})
    with pytest.raises(ServiceFailedError) as error:
        service.restart(soon())
    assert "ended with exit code 3" in str(error.value)
    assert "******** None" in str(error.value)
    assert CANARY not in str(error.value)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = f"import time, os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    both = python(f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {child!r}])")
    with pytest.raises(TimeLimitError):
        opened(kind="command", restart=both).restart(soon(0.5))
    pid = int((tmp_path / "pid").read_text())
    ends_at = time.monotonic() + 5
    while lives(pid):
        assert time.monotonic() < ends_at


def test_what_a_start_command_leaves_running_holds_nobody_up(tmp_path: Path) -> None:
    """Its grandchild has its output for as long as it lives."""
    file = str(tmp_path / "pid")
    leaving = python(f"import os; pid = os.fork(); pid or os.execlp('sleep', 'sleep', '60'); open({file!r}, 'w').write(str(pid))")
    begun = time.monotonic()
    opened(kind="command", stop="true", start=leaving).start(soon())
    pid = int(Path(file).read_text())
    try:
        assert time.monotonic() - begun < 20
        assert lives(pid)
    finally:
        os.kill(pid, 9)


def test_a_unit_of_systemd_is_restarted_and_by_force_killed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = _alone(tmp_path, "systemctl", SYSTEMCTL, monkeypatch)
    described = {"kind": "systemd", "unit": "web.service", "host": "ops@web1"}
    service, hasty = opened(**described), opened(**described, stop_seconds=0.5)
    service.restart(soon(), force=True)
    assert tool.calls == ["systemctl --host ops@web1 --no-ask-password restart web.service"]

    tool.become("hung")
    with pytest.raises(ServiceFailedError, match=r"did not end within 0.5 seconds"):
        hasty.restart(soon())
    assert tool.state == "hung"
    tool.become("hung")
    hasty.restart(soon(), force=True)
    assert tool.state == "running"
    verbs = [call.removeprefix("systemctl --host ops@web1 --no-ask-password ") for call in tool.calls]
    assert verbs == ["restart web.service", "kill --signal KILL web.service", "reset-failed web.service", "restart web.service"]

    tool.become("broken")
    with pytest.raises(ServiceFailedError, match="the control process exited with error code"):
        service.restart(soon())
    with pytest.raises(ServiceFailedError, match="Unit not found"):
        opened(kind="systemd", unit="other.service").start(soon())


def test_a_container_of_docker_is_restarted_and_by_force_killed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = _alone(tmp_path, "docker", DOCKER, monkeypatch)
    described = {"kind": "docker", "unit": "web", "context": "prod"}
    opened(**described).restart(soon())
    assert tool.calls == ["docker --context prod restart web"]
    tool.become("hung")
    opened(**described, stop_seconds=0.5).restart(soon(), force=True)
    assert tool.calls == [f"docker --context prod {verb} web" for verb in ("restart", "kill", "start")]
    assert tool.state == "running"


def test_a_deployment_of_kubernetes_rolls_out_and_by_force_loses_its_own_pods_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = _alone(tmp_path, "kubectl", KUBECTL, monkeypatch)
    service = opened(kind="kubernetes", unit="web", namespace="shop")
    service.restart(soon())
    assert tool.state == "rolled out"
    assert tool.calls[0] == "kubectl --namespace shop rollout restart deployment/web"

    tool.become("hung")
    with pytest.raises(ServiceFailedError, match="timed out waiting for the condition"):
        service.restart(soon())
    service.restart(soon(), force=True)
    assert tool.state == "deleted"

    tool.become("scaled down")
    service.start(soon())
    assert tool.state == "scaled up"

    (tmp_path / "selector").write_text(
        '{"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}'
    )
    tool.become("hung")
    with pytest.raises(ServiceFailedError, match="not of labels alone"):
        service.restart(soon(), force=True)
    assert not any("delete" in call for call in tool.calls)


def test_a_drill_looks_for_the_tool_and_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = _alone(tmp_path, "docker", DOCKER, monkeypatch)
    assert "docker is here" in opened(kind="docker", unit="web").rehearse(soon())[0]
    assert tool.calls == []
    with pytest.raises(ServiceFailedError, match="systemctl, by which the service web is managed, is not here"):
        opened(kind="systemd", unit="web.service").rehearse(soon())
    scratch = python(f"open({str(tmp_path / 'scratch')!r}, 'w')")
    opened(kind="command", restart=scratch, drill=scratch).rehearse(soon())
    assert (tmp_path / "scratch").exists()


SUPERVISOR = """
[supervisord]
logfile={folder}/log
pidfile={folder}/pid
[unix_http_server]
file={folder}/socket
[supervisorctl]
serverurl=unix://{folder}/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:web]
command={command}
startsecs=0
stopwaitsecs=60
"""


def test_a_program_of_a_real_supervisor_is_restarted_and_by_force_killed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    serving = "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.{}); "
    serving += "open('{}/ours', 'a').write(str(os.getpid()) + chr(10)); time.sleep(600)"
    with server_folder() as folder:
        place, mood = str(folder), folder / "mood"
        mood.write_text("SIG_DFL")
        command = python(f"mood = open({str(mood)!r}).read(); exec({serving!r}.format(mood, {place!r}))")
        (folder / "conf").write_text(SUPERVISOR.format(folder=place, command=command.replace("%", "%%")))
        with _supervisord(folder / "conf"):
            described = {"kind": "supervisor", "unit": "web", "config_file": str(folder / "conf")}
            service, first = opened(**described), _nth_pid(1, folder)
            assert len(service.restart(soon())) == 2
            second = _nth_pid(2, folder)
            assert second != first
            mood.write_text("SIG_IGN")
            service.restart(soon())  # from here on it does not stop when told to
            third = _nth_pid(3, folder)
            done = opened(**described, stop_seconds=1).restart(soon(), force=True)
            assert "did not end within 1 seconds" in done[0]
            assert not lives(third)
            assert _nth_pid(4, folder) != third


@pytest.mark.parametrize(
    ("described", "why"),
    [
        ({"kind": "systemd"}, "needs its unit"),
        ({"kind": "systemd", "unit": "--force"}, "does not begin with '-'"),
        ({"kind": "docker", "unit": "web", "namespace": "shop"}, "namespace is for kubernetes"),
        ({"kind": "docker", "unit": "web", "start": "true"}, "start is for command"),
        ({"kind": "command", "stop": "true"}, "needs start and stop, or restart"),
        ({"kind": "command", "restart": "sh -c 'exit"}, "never closed"),
        ({"kind": "command", "restart": f"tool --password={CANARY}"}, "looks like a secret"),
        ({"kind": "command", "restart": f"tool --token {CANARY}"}, "looks like a secret"),
        ({"kind": "supervisor", "unit": "web", "host": f"http://a:{CANARY}@host"}, "holds a password"),
        ({"kind": "command", "restart": "true", "health_url": f"ftp://a:{CANARY}@host"}, "no http"),
        ({"kind": "command", "restart": "true", "health_address": "host"}, "not host:port"),
        ({"kind": "command", "restart": "true", "health_address": "h:1", "health_command": "true"}, "asked in one way"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_description_that_can_not_work_or_would_show_a_secret_is_refused(described: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError) as error:
        ServiceDescription.model_validate(described)
    assert why in str(error.value)
    assert CANARY not in str(error.value)


@contextmanager
def _supervisord(conf: Path) -> Iterator[None]:
    process = subprocess.Popen([Path(sys.executable).with_name("supervisord"), "-n", "-c", conf], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()
        with suppress(OSError, ValueError):
            os.kill(int((conf.parent / "ours").read_text().splitlines()[-1]), 9)


def _nth_pid(number: int, folder: Path) -> int:
    """Wait for the line that the program writes when it is started for the n-th time."""
    file, ends_at = folder / "ours", time.monotonic() + 20
    while not file.exists() or file.read_text().count("\n") < number:
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    return int(file.read_text().splitlines()[-1])


def _alone(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Have a stand-in as the only program of the PATH: the real ones may be on this machine."""
    monkeypatch.setenv("PATH", str(folder))
    return stand_in(folder, name, script)
