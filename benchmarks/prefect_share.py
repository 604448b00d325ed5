"""What Prefect and the command cost: backups of a database with nothing in it, and where their time goes, by Prefect's own clock.

A command is measured from the start of its process to its end, a run that a worker carries out from being asked for to its end.
Both, and the engine alone, take turns, while `holdfast serve` runs, as it does for a user.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.contenders.holdfast import engine_command
from benchmarks.figures import megabytes, seconds, spread
from benchmarks.measure import Cost, cpu_of_home, measured
from benchmarks.section import Section, Table, Target
from benchmarks.stage import HOLDFAST, SOURCE, Stage, open_stage
from holdfast.jobs import new_job_id
from orchestration.local_server import opener_to
from orchestration.next_runs import over_http
from orchestration.submitting import Order, submit

ROUNDS = 5
AIM_SECONDS = 5.0
COMMAND, WORKER, ENGINE = "holdfast backup database", "a run that a worker carries out", "the engine alone"
BEGINS, TAKEN = "its process begins: Python, imports, settings, blocks", "a worker takes it, which looks every two seconds"
STARTED = "Prefect starts it"
READY = "row, lease, dead work, connection and snapshot"
READ = "reading: two of PostgreSQL's programs, and the truth"
COMMITTED = "commit: all is made durable"
TOLD = "row and artifacts, and one look at how things stand"
ENDED = "what waits is sent, and the process ends"
PARTS = (TAKEN, BEGINS, STARTED, READY, READ, COMMITTED, TOLD, ENDED)
_COMMIT, _TRUTH = "commit", "note the truth"
_REPOSITORY = "empty"
_PATIENCE_SECONDS = 60.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One backup, and what its seconds are made of; of the engine alone nothing is known but its cost."""

    kind: str
    round: int
    wall_seconds: float
    cpu_seconds: float | None
    home_cpu_seconds: float
    peak_bytes: int | None
    parts: dict[str, float]


@dataclass(frozen=True)
class Asked:
    """The Prefect server, asked over its HTTP API: what it has noted of runs."""

    url: str

    def get(self, path: str) -> Any:
        return self._answer(urllib.request.Request(f"{self.url}{path}"))

    def post(self, path: str, body: Json) -> Any:
        headers = {"Content-Type": "application/json"}
        return self._answer(urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers))

    def _answer(self, request: urllib.request.Request) -> Any:
        with opener_to(self.url).open(request, timeout=_PATIENCE_SECONDS) as response:
            return json.load(response)

    def run_of(self, job_id: str) -> str:
        """Find the flow run of a job, whose name ends with the job's id."""
        (found,) = self.post("/flow_runs/filter", {"flow_runs": {"name": {"like_": job_id}}})
        return str(found["id"])

    def moments(self, run_id: str) -> dict[str, float]:
        """When a run came into each state, first for the first time, and when its tasks began and ended, once it has ended."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            states = self.get(f"/flow_run_states/?flow_run_id={run_id}")
            tasks = self.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}, "limit": 200})
            known = {one["name"]: one for one in tasks if one["end_time"]}
            newest_first = sorted(states, key=lambda one: str(one["timestamp"]), reverse=True)
            at = {state["type"]: _clock(state["timestamp"]) for state in newest_first}
            if "COMPLETED" in at and {_COMMIT, _TRUTH} <= known.keys():
                first = min(_clock(one["start_time"]) for one in known.values())
                return at | {
                    "first": first,
                    "read": _clock(known[_TRUTH]["end_time"]),
                    "kept": _clock(known[_COMMIT]["end_time"]),
                }
            if {"FAILED", "CRASHED", "CANCELLED"} & at.keys():
                raise RuntimeError(f"the run {run_id} ended as {', '.join(at)}")
            time.sleep(0.2)
        raise RuntimeError(f"Prefect does not know how the run {run_id} ended")


def section(folder: Path, rounds: int = ROUNDS) -> Section:
    """Measure, in rounds."""
    with open_stage(folder) as stage:
        stage.server.create_database(SOURCE)
        stage.new_repository(_REPOSITORY)
        with _served(stage) as asked:
            for warm in (_command, _worker):
                warm(stage, asked, 0)
            runs = [of(stage, asked, number) for number in range(1, rounds + 1) for of in (_command, _worker, _engine)]
    return as_section(runs)


def as_section(runs: Sequence[Run]) -> Section:
    """Tables, targets and notes of what was found."""
    by_kind = {kind: [run for run in runs if run.kind == kind] for kind in (COMMAND, WORKER, ENGINE)}
    walls = {kind: [run.wall_seconds - run.parts.get(TAKEN, 0.0) for run in found] for kind, found in by_kind.items()}
    targets = [
        Target(
            f"a backup of an empty database: {what}",
            statistics.median(walls[kind]),
            "s",
            AIM_SECONDS,
            spread(walls[kind], seconds),
        )
        for kind, what in ((COMMAND, COMMAND), (WORKER, f"{WORKER}, once it is taken"))
    ]
    notes = [
        f"{len(walls[COMMAND])} rounds, in turn; medians, with the least and the most: those of the parts need not add up.",
        "A command is measured from the start of its process to its end, a worker's run from being asked for to its last state.",
        "Moments are those that Prefect has noted of the run's states and tasks. The home's CPU is that of Prefect's server, the "
        "worker and the catalog; for a worker's run also the run's own.",
    ]
    return Section("A backup that has nothing to back up", [_parts(by_kind), _costs(by_kind)], targets, notes, _figures(runs))


def _parts(by_kind: Mapping[str, Sequence[Run]]) -> Table:
    rows = []
    for part in PARTS:
        known = [[run.parts[part] for run in by_kind[kind] if part in run.parts] for kind in (COMMAND, WORKER)]
        rows.append([part, *(spread(values, seconds) if values else "" for values in known)])
    return Table("What the seconds are made of", ["part", COMMAND, WORKER], rows)


def _costs(by_kind: Mapping[str, Sequence[Run]]) -> Table:
    rows = []
    for kind, runs in by_kind.items():
        own = [run.cpu_seconds for run in runs if run.cpu_seconds is not None]
        peaks = [run.peak_bytes for run in runs if run.peak_bytes is not None]
        rows.append(
            [
                kind,
                spread([run.wall_seconds for run in runs], seconds),
                spread(own, seconds) if own else "",
                spread([run.home_cpu_seconds for run in runs], seconds),
                megabytes(max(peaks)) if peaks else "",
            ]
        )
    return Table("What each costs", ["who", "wall", "CPU", "home's CPU", "memory"], rows)


def _figures(runs: Sequence[Run]) -> dict[str, Any]:
    return {"runs": [asdict(run) for run in runs]}


@contextmanager
def _served(stage: Stage) -> Iterator[Asked]:
    """Run `holdfast serve` inside the block."""
    log = stage.folder / "serve.log"
    with log.open("wb") as written:
        serving = subprocess.Popen(
            [HOLDFAST, "serve"],
            env=stage.environment(_REPOSITORY),
            cwd=stage.folder,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    try:
        yield Asked(_ready(serving, log) + "/api")
    finally:
        serving.terminate()
        serving.wait()


def _ready(serving: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 2 * _PATIENCE_SECONDS
    while time.monotonic() < until and serving.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("ready prefect="):
                return line.split()[1].removeprefix("prefect=")
        time.sleep(0.2)
    raise RuntimeError(f"'holdfast serve' does not answer: {log.read_text()[-2000:]}")


def _command(stage: Stage, asked: Asked, number: int) -> Run:
    said = stage.folder / "said.json"
    stage.settle()
    home, began = cpu_of_home(stage.home), time.time()
    cost = _measured(stage, [HOLDFAST, "backup", "database", "--json"], said)
    home = cpu_of_home(stage.home) - home
    at = asked.moments(asked.run_of(json.loads(said.read_text())["jobId"]))
    ended = began + cost.wall_seconds
    around = {BEGINS: at["PENDING"] - began, STARTED: at["RUNNING"] - at["PENDING"], ENDED: ended - at["COMPLETED"]}
    parts = _in_the_run(at) | around
    return Run(COMMAND, number, cost.wall_seconds, cost.cpu_seconds, home, cost.own_bytes, parts)


def _worker(stage: Stage, asked: Asked, number: int) -> Run:
    stage.settle()
    home, began = cpu_of_home(stage.home), time.time()
    order = Order("database-backup", "backup", "database", {"job_id": new_job_id("backup")})
    run_id = submit(over_http(asked.url), None, order, asked_by="benchmark").flow_run_id
    at = asked.moments(run_id)
    home = cpu_of_home(stage.home) - home
    parts = _in_the_run(at) | {TAKEN: at["PENDING"] - began, BEGINS: at["RUNNING"] - at["PENDING"]}
    return Run(WORKER, number, at["COMPLETED"] - began, None, home, None, parts)


def _engine(stage: Stage, asked: Asked, number: int) -> Run:
    del asked
    stage.settle()
    home = cpu_of_home(stage.home)
    cost = _measured(stage, engine_command("backup"))
    return Run(ENGINE, number, cost.wall_seconds, cost.cpu_seconds, cpu_of_home(stage.home) - home, cost.own_bytes, {})


def _measured(stage: Stage, command: Sequence[str], said: Path | None = None) -> Cost:
    return measured(command, environment=stage.environment(_REPOSITORY), folder=stage.folder, stdout=said)


def _in_the_run(at: Mapping[str, float]) -> dict[str, float]:
    return {
        READY: at["first"] - at["RUNNING"],
        READ: at["read"] - at["first"],
        COMMITTED: at["kept"] - at["read"],
        TOLD: at["COMPLETED"] - at["kept"],
    }


def _clock(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
