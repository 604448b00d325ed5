"""`python -m benchmarks.api_load`: the HTTP API under load, with a million jobs, beside a bare FastAPI route in the same run.

The API is a process of its own, and so is the bare route, served by the same uvicorn. The load comes from `wrk` (Debian's
package), which is no bottleneck: 50 connections that are kept, each asking again as soon as it has its answer. Rounds are
interleaved.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from holdfast.catalog import Catalog
from holdfast.postgres.connection import connect
from holdfast.postgres.embedded import EmbeddedServer

TOKEN_SCOPES = ("read",)
CONNECTIONS = 50
AIM = 10.0
BARE = "bare FastAPI route"
_STARTS_SECONDS = 60
_PAUSE_SECONDS = 2
"""What wrk leaves unanswered at its end is still worked at, and would count among the requests at once of the next round."""
_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)\s*$", re.MULTILINE)
_IN_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

# Backups for eight years, a third as many restores, and as much maintenance; the newest three at work, 2 in 100 failed.
_HISTORY = """
    INSERT INTO backup_jobs (job_id, type, status, started_at, completed_at, size_bytes, metadata)
    SELECT 'backup_' || n, (ARRAY['database', 'function', 'config', 'secrets'])[1 + n % 4],
           CASE WHEN n <= 3 THEN 'running' WHEN n % 50 = 8 THEN 'failed' ELSE 'completed' END,
           now() - n * (interval '2900 days' / {rows}),
           CASE WHEN n > 3 THEN now() - n * (interval '2900 days' / {rows}) + interval '1 minute' END,
           n, '{{"storedBytes": 10, "verifiedLevel": "read"}}'
    FROM generate_series(1, {rows}) AS n;
    INSERT INTO restore_jobs (job_id, backup_id, type, status, started_at, completed_at)
    SELECT 'restore_' || job_id, job_id, type, status, started_at, completed_at FROM backup_jobs WHERE size_bytes % 3 = 0;
    INSERT INTO maintenance_jobs (job_id, kind, type, status, started_at, completed_at, document)
    SELECT 'work_' || size_bytes, (ARRAY['verification', 'check', 'replication'])[1 + size_bytes % 3],
           type, status, started_at, completed_at, '{{"ok": true}}'
    FROM backup_jobs WHERE size_bytes % 3 = 1;
"""

_BARE = """
import socket, sys, uvicorn
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
def answer() -> dict[str, str | int | bool | None]:
    return {"jobId": "backup_1", "type": "database", "status": "completed", "sizeBytes": 12345, "proven": True, "error": None}

uvicorn.run(app, fd=int(sys.argv[1]), log_level="warning", access_log=False)
"""

_LUA = """
local paths = {{ {paths} }}
local at = 0
request = function()
  at = at + 1
  return wrk.format("GET", paths[(at - 1) % #paths + 1])
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("ERRORS %d\\n", errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Run:
    """One round of one kind of request."""

    kind: str
    round: int
    requests_per_second: float
    p50_seconds: float
    p99_seconds: float
    errors: int


@dataclass(frozen=True)
class Asked:
    """One kind of request: what is asked in turn, and of whom."""

    kind: str
    base: str
    paths: list[str]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and write it and every round."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    if shutil.which("wrk") is None:
        print("This takes wrk. Debian: apt-get install wrk", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=options.folder))
    folder.chmod(0o755)
    try:
        runs = _measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = as_markdown(runs, options.rows, options.seconds)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".md").write_text(table)
    options.out.with_suffix(".json").write_text(json.dumps([asdict(run) for run in runs], indent=1))
    print(table)
    return 0 if not any(run.errors for run in runs) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api_load", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of backup_jobs (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=10, help="seconds of load a round (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="work under this folder (default: the system's temporary one)")
    parser.add_argument("--out", type=Path, default=Path("bench-results/api_load"), help="write NAME.md and NAME.json")
    return parser


def _measure(folder: Path, options: argparse.Namespace) -> list[Run]:
    with ExitStack() as held:
        server = EmbeddedServer(folder / "postgres")
        server.start()
        held.callback(server.stop)
        _tell(f"{options.rows:,} rows: building")
        url = server.create_database("catalog")
        fill(url, options.rows)
        api, token = held.enter_context(running_api(folder, url.without_password()))
        bare = held.enter_context(_bare(folder))
        guide = "/functions/v1/backup?action=jobs"
        kinds = [
            Asked(BARE, bare, ["/"]),
            Asked("status", api, ["/v1/status"]),
            Asked("jobs, varied", api, _paths(api, token)),
            Asked("the guide's jobs", api, [guide, f"{guide}&type=database"]),
        ]
        for asked in kinds:
            _load(folder, asked, token, 2, 0)  # warm
        runs = []
        for number in range(1, options.rounds + 1):
            for asked in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
                _tell(f"round {number}: {asked.kind}")
                runs.append(_load(folder, asked, token, options.seconds, number))
    return runs


def fill(url: Any, rows: int) -> None:
    """Make a catalog with so many backups, and restores and maintenance beside them."""
    with Catalog(url) as catalog:
        catalog.migrate()
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_HISTORY.format(rows=rows))
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def running_api(folder: Path, catalog_url: str) -> Iterator[tuple[str, str]]:
    """Run `holdfast api` with a repository, a token and this catalog; yield its address and the token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_", "HOLDFAST_", "PREFECT_", "PG"))}
    environment = kept | {
        "HOLDFAST_HOME": str(folder / "home"),
        "HOLDFAST_WORKING_DIRECTORY": str(folder),
        "BACKUP_CATALOG_URL": catalog_url,
        "BACKUP_ENCRYPTION_KEY": "22" * 32,
        "BACKUP_CONFIG_FILES": str(folder / "settings.txt"),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
    }
    (folder / "settings.txt").write_text("a setting\n")
    holdfast = str(Path(sys.executable).with_name("holdfast"))
    made = [holdfast, "tokens", "create", "load", "--scopes", ",".join(TOKEN_SCOPES)]
    token = subprocess.run(made, env=environment, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    making = "from holdfast.opening import open_or_create_repository; from holdfast.settings import load_settings"
    subprocess.run(
        [sys.executable, "-c", f"{making}; open_or_create_repository(load_settings())[0].close()"],
        env=environment, cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    with _process([holdfast, "api"], environment, folder, folder / "api.log") as log:
        yield _until(lambda: re.search(r"ready api=(\S+)\n", log.read_text()), log)[1], token


@contextmanager
def _bare(folder: Path) -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port, number = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, "-c", _BARE, str(number)]
        with _process(command, dict(os.environ), folder, folder / "bare.log", number) as log:
            _until(lambda: _answers(f"http://127.0.0.1:{port}/"), log)
            yield f"http://127.0.0.1:{port}/"


@contextmanager
def _process(command: list[str], environment: dict[str, str], folder: Path, log: Path, *kept: int) -> Iterator[Path]:
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=written, stderr=written, pass_fds=kept
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait()


def _until(condition: Any, log: Path) -> Any:
    end = time.monotonic() + _STARTS_SECONDS
    while not (found := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f"it does not answer: {log.read_text()[-2000:]}")
        time.sleep(0.1)
    return found


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _paths(api: str, token: str) -> list[str]:
    """Ask for pages as people and dashboards do: all, of one kind or type or state, since a while ago, and pages far back."""
    since = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    queries = ["", "type=database", "kind=backup", "kind=restore", "status=failed", "kind=backup&type=secrets&status=failed"]
    queries += ["since=24h", f"since={since}&type=config", "kind=verification", "limit=200", "status=running"]
    with httpx.Client(base_url=api, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False) as client:
        paged = []
        for query in queries:
            cursor = client.get(f"/v1/jobs?{query}").raise_for_status().json()["nextCursor"]
            if cursor:
                paged.append(f"{query}&cursor={cursor}".lstrip("&"))
    return [f"/v1/jobs?{query}" for query in [*queries, *paged]]


def _load(folder: Path, asked: Asked, token: str, seconds: int, number: int) -> Run:
    time.sleep(_PAUSE_SECONDS)
    script = folder / "paths.lua"
    script.write_text(_LUA.format(paths=", ".join(json.dumps(path) for path in asked.paths)))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "30s", "-s", str(script)]
    command += ["-H", f"Authorization: Bearer {token}", asked.base]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    latency = {name: float(value) * _IN_SECONDS[unit] for name, value, unit in _LATENCY.findall(said)}
    per_second = re.search(r"Requests/sec:\s+([\d.]+)", said)
    errors = re.search(r"ERRORS (\d+)", said)
    if per_second is None or errors is None or len(latency) != 2:
        raise RuntimeError(f"wrk said something else than it was asked for: {said}")
    return Run(asked.kind, number, float(per_second[1]), latency["50"], latency["99"], int(errors[1]))


def as_markdown(runs: list[Run], rows: int, seconds: int) -> str:
    """Make the table: the median of the rounds, with the least and the most; ratios are taken within a round."""
    kinds = list(dict.fromkeys(run.kind for run in sorted(runs, key=lambda run: run.kind != BARE)))
    bare = {run.round: run for run in runs if run.kind == kinds[0]}
    lines = [
        f"### {rows:,} backups, {CONNECTIONS} clients, {len(bare)} rounds of {seconds} s each",
        "",
        "|  | requests/s | p50 ms | p99 ms | p99 to the bare route's | errors |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind in kinds:
        own = [run for run in runs if run.kind == kind]
        cells = [
            _spread([run.requests_per_second for run in own], 0),
            _spread([run.p50_seconds * 1e3 for run in own]),
            _spread([run.p99_seconds * 1e3 for run in own]),
            "" if kind == BARE else _spread([run.p99_seconds / bare[run.round].p99_seconds for run in own]),
            str(sum(run.errors for run in own)),
        ]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Aim: at most {AIM:.0f}.", ""])


def _spread(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
