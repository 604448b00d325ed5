"""Services for tests: one of real processes, and tools that stand for systemctl, docker and kubectl, alone on the PATH.

A stand-in checks its arguments against what the real tool takes, keeps one service's state in a file, and notes each call.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.recovery.deadline import Deadline
from holdfast.recovery.service import Service
from holdfast.recovery.services import open_service
from holdfast.recovery.services.description import ServiceDescription

SAMPLE = Path(__file__).with_name("sample_service.py")


def soon(seconds: float = 30) -> Deadline:
    return Deadline(seconds, "the test")


def opened(name: str = "web", **described: Any) -> Service:
    return open_service(name, ServiceDescription(**described))


@dataclass
class Sample:
    """A service of real processes and its folder."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def command(self, deed: str) -> str:
        return f"{sys.executable} -I -S {SAMPLE} {deed} {self.folder}"

    def described(self, **others: Any) -> dict[str, Any]:
        deeds = {deed: self.command(deed) for deed in ("start", "stop", "kill")}
        quick = {"interval_seconds": 0.02, "health_seconds": 0.3, "grace_seconds": 20, "stop_seconds": 20}
        return {"kind": "command", "health_url": self.url, **deeds, **quick, **others}

    def hang(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)
        while not (self.folder / "hung").exists():
            pass
        (self.folder / "hung").unlink()


@contextmanager
def sample_service(folder: Path, *, running: bool = True) -> Iterator[Sample]:
    """Make one, and see to it that nothing of it is left."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    (folder / "port").write_text(str(port))
    sample = Sample(folder, port)
    try:
        if running:
            opened(**sample.described()).start(soon())
        yield sample
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.kill(sample.pid, signal.SIGKILL)


_STAND_IN = """#!{python} -IS
import json, sys
from pathlib import Path
folder, words = Path({folder!r}), sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([{name!r}, *words]) + "\\n")
def state():
    return (folder / "state").read_text()
def become(new):
    (folder / "state").write_text(new)
def refuse(why, code=1):
    sys.exit(print(why, file=sys.stderr) or code)
{script}
"""

SYSTEMCTL = """
while words and words[0].startswith("--"):
    option = words.pop(0)
    if option == "--host": words.pop(0)
    elif option != "--no-ask-password": refuse(f"systemctl: unrecognized option '{option}'")
verb, *rest = words
if verb == "kill":
    if rest[:2] != ["--signal", "KILL"]: refuse("what signal?")
    rest = rest[2:]
if rest != ["web.service"]: refuse(f"Failed to {verb} {rest}: Unit not found.", 5)
if verb == "kill":
    if state() == "dead": refuse("Failed to kill unit web.service: No process to kill.")
    become("killed")
elif verb == "reset-failed": pass
elif verb in ("restart", "start"):
    if state() == "hung": import time; time.sleep(60)
    if state() == "broken": refuse("Job for web.service failed because the control process exited with error code.")
    become("running")
else: refuse(f"Unknown command verb {verb}.")
"""

DOCKER = """
while words and words[0].startswith("--"):
    if words.pop(0) not in ("--host", "--context"): refuse("unknown flag")
    words.pop(0)
verb, *rest = words
if rest != ["web"]: refuse(f"Error response from daemon: No such container: {rest}")
if verb == "kill":
    if state() == "dead": refuse("Error response from daemon: cannot kill container: web: container is not running")
    become("dead")
elif verb in ("restart", "start"):
    if state() == "hung": import time; time.sleep(60)
    become("running")
else: refuse(f"docker: '{verb}' is not a docker command.")
"""

KUBECTL = """
where = {}
while words and words[0] in ("--kubeconfig", "--context", "--namespace"):
    option = words.pop(0)
    where[option] = words.pop(0)
if where.get("--namespace") != "shop": refuse('Error from server (NotFound): deployments.apps "web" not found')
verb, *rest = words
replicas = 0 if state() == "scaled down" else 2
if verb == "get" and rest == ["deployment/web", "--output", "json"]:
    selector = json.loads((folder / "selector").read_text())
    print(json.dumps({"kind": "Deployment", "spec": {"replicas": replicas, "selector": selector}}))
elif verb == "rollout" and rest == ["restart", "deployment/web"]:
    if state() == "hung": pass
    else: become("rolled out")
elif verb == "rollout" and rest[:2] == ["status", "deployment/web"]:
    if not rest[2].startswith("--timeout=") or not rest[2].endswith("s"): refuse("invalid argument")
    if state() == "hung": refuse("error: timed out waiting for the condition")
elif verb == "delete":
    if rest != ["pod", "--selector", "app=web,tier=front", "--force", "--grace-period=0", "--wait=false"]: refuse("unknown flag")
    become("deleted")
elif verb == "scale" and rest == ["deployment/web", "--replicas=1"]: become("scaled up")
else: refuse(f"error: unknown command {verb} {rest}")
"""


@dataclass
class StandIn:
    """A tool that stands for a real one."""

    folder: Path

    @property
    def state(self) -> str:
        return (self.folder / "state").read_text()

    @property
    def calls(self) -> list[str]:
        return [" ".join(json.loads(line)) for line in (self.folder / "calls").read_text().splitlines()]

    def become(self, state: str) -> None:
        (self.folder / "state").write_text(state)
        (self.folder / "calls").write_text("")


def stand_in(folder: Path, name: str, script: str, state: str = "running") -> StandIn:
    """Write the tool into a folder, which is to be the only one of the PATH."""
    made = StandIn(folder)
    made.become(state)
    (folder / "selector").write_text('{"matchLabels": {"tier": "front", "app": "web"}}')
    file = folder / name
    file.write_text(_STAND_IN.format(python=sys.executable, folder=str(folder), name=name, script=script))
    file.chmod(0o755)
    return made
