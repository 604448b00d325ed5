"""Tools as children: none outlives us, none is stuck, and none passes a half for a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from holdfast.errors import DatabaseUnreachableError, TableLockedError, TimeLimitError, ToolFailedError
from holdfast.postgres import supervise
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.process import run_tool
from holdfast.postgres.tools import Tool, find_tool

RunSql = Callable[..., list[tuple[object, ...]]]

PSQL = ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"]

# A parent that runs one tool until it is killed; its arguments: the URL, the tool, the tool's arguments.
PARENT = """
import sys
from holdfast.postgres.connection import DatabaseUrl
from holdfast.postgres.process import run_tool
from holdfast.postgres import supervise
from holdfast.postgres.tools import find_tool
url, name, *arguments = sys.argv[1:]
with run_tool(find_tool(name, at_least_major=18), arguments, url=DatabaseUrl.parse(url), stdout="pipe") as child:
    while child.stdout.read(1 << 20):
        pass
"""


def tool(name: str) -> Tool:
    return find_tool(name, at_least_major=18)  # type: ignore[arg-type]


def script(text: str) -> Tool:
    """A stand-in for a tool that does what no real one does on demand."""
    path = Path(sys.executable)
    return Tool("script", path, 18, text)


@contextmanager
def locked(url: DatabaseUrl, *tables: str) -> Iterator[None]:
    """Hold tables so that nobody can read them."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"BEGIN; LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        yield
        cursor.execute("ROLLBACK")


def until(condition: Callable[[], object]) -> None:
    """Wait for something that is sure to come; pytest's own time limit ends a test in which it does not."""
    while not condition():
        time.sleep(0.02)


def sessions(run_sql: RunSql, what: str = "true") -> int:
    (count,) = run_sql(
        "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
        f" AND pid <> pg_backend_pid() AND {what}"
    )[0]
    assert isinstance(count, int)
    return count


def test_a_tool_interrupts_nobody_for_each_small_piece_and_keeps_a_humbler_policy_that_we_were_given() -> None:
    show = ["-c", "import os, sys; sys.stdout.write(str(os.sched_getscheduler(0)))"]
    with run_tool(script("python"), show, stdout="pipe") as child:
        assert child.stdout.readall() == str(os.SCHED_BATCH).encode()
    us = os.sched_getscheduler(0)
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        child = run_tool(script("python"), show, stdout="pipe")
    finally:
        os.sched_setscheduler(0, us, os.sched_param(0))
    with child:
        assert child.stdout.readall() == str(os.SCHED_IDLE).encode()


def test_a_host_that_forbids_to_ask_for_the_policy_lets_the_tool_run_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(process: int) -> int:
        raise PermissionError(process)

    policy = os.sched_getscheduler(0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_getscheduler", forbidden)
        supervise._be_patient()
    assert os.sched_getscheduler(0) == policy


@pytest.mark.parametrize("name", ["pg_dump", "psql", "pg_restore"])
def test_kill_9_of_the_parent_leaves_no_child_and_no_session(
    name: str, database: DatabaseUrl, run_sql: RunSql, tmp_path: Path
) -> None:
    run_sql("CREATE TABLE a AS SELECT generate_series(1, 1000) AS i; CREATE TABLE b AS TABLE a")
    archive = tmp_path / "archive"
    with archive.open("wb") as file, run_tool(tool("pg_dump"), ["-Fc", "--data-only"], url=database, stdout=file):
        pass
    arguments = {
        "pg_dump": [],
        "psql": [*PSQL, "-c", "COPY a TO STDOUT"],
        "pg_restore": ["-j", "2", "-d", database.database, str(archive)],
    }[name]
    with locked(database, "a", "b"):
        parent = subprocess.Popen([sys.executable, "-c", PARENT, database.without_password(), name, *arguments])
        until(lambda: sessions(run_sql, "wait_event_type = 'Lock'") == (2 if name == "pg_restore" else 1))
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) >= (4 if name == "pg_restore" else 2)
        parent.kill()
        parent.wait()
        assert not psutil.wait_procs(family, timeout=60)[1]
    # The server was told to cancel; a session that the telling did not reach in time ends when the lock does.
    until(lambda: sessions(run_sql) == 0)


def test_a_killed_supervisor_takes_the_tool_along(database: DatabaseUrl, run_sql: RunSql) -> None:
    with run_tool(tool("psql"), [*PSQL, "-c", "SELECT pg_sleep(600)"], url=database) as child:
        until(lambda: sessions(run_sql) == 1)
        family = psutil.Process(child.pid).children(recursive=True)
        os.kill(child.pid, signal.SIGKILL)
        assert not psutil.wait_procs(family)[1]
        child.stop()


def test_an_exception_in_the_reader_ends_the_tool(database: DatabaseUrl, run_sql: RunSql) -> None:
    with (  # noqa: PT012
        pytest.raises(ZeroDivisionError),
        run_tool(tool("psql"), [*PSQL, "-c", "SELECT pg_sleep(600)"], url=database, stdout="pipe") as child,
    ):
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
        _ = 1 / 0
    assert not any(process.is_running() for process in family)
    until(lambda: sessions(run_sql) == 0)


def test_the_time_limit_stops_the_tool_and_its_query(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t (i int)")
    with locked(database, "t"):
        with (
            pytest.raises(TimeLimitError, match=r"pg_dump did not end within 0\.5 seconds") as caught,
            run_tool(tool("pg_dump"), [], url=database, stdout="pipe", time_limit_seconds=0.5) as child,
        ):
            child.stdout.readall()
        assert isinstance(caught.value, TimeoutError)
        until(lambda: sessions(run_sql) == 1)


def test_the_time_limit_holds_for_a_tool_that_ignores_signals_and_for_its_children() -> None:
    stubborn = (
        "import os, signal, time\n"
        "for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n"
        "os.fork()\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(600)\n"
    )
    with (  # noqa: PT012
        pytest.raises(TimeLimitError),
        run_tool(script(""), ["-c", stubborn], stdout="pipe", time_limit_seconds=1) as child,
    ):
        pids: list[int] = []
        while True:
            part = child.stdout.read(100)
            if not part:
                break
            pids += [int(line) for line in part.split()]
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_tool_that_is_cut_off_from_the_server_is_no_whole_output(database: DatabaseUrl, run_sql: RunSql) -> None:
    statement = "COPY (SELECT i, repeat('x', 1000) FROM generate_series(1, 100000) AS i) TO STDOUT"
    with (  # noqa: PT012
        pytest.raises(DatabaseUnreachableError) as caught,
        run_tool(tool("psql"), [*PSQL, "-c", statement], url=database, stdout="pipe") as child,
    ):
        assert child.stdout.read(1000)
        run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%'")
        child.stdout.readall()
    assert caught.value.retryable


def test_a_lock_that_is_not_had_in_time_is_said_to_be_one(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t (i int)")
    with (
        locked(database, "t"),
        pytest.raises(TableLockedError) as caught,
        run_tool(tool("pg_dump"), ["--lock-wait-timeout=100"], url=database, stdout="pipe") as child,
    ):
        child.stdout.readall()
    assert "public.t" in str(caught.value)


def test_a_tool_that_reads_less_than_it_is_given_says_why(database: DatabaseUrl) -> None:
    with (  # noqa: PT012
        pytest.raises(ToolFailedError, match='relation "nowhere" does not exist'),
        run_tool(tool("psql"), [*PSQL, "-c", "COPY nowhere FROM STDIN"], url=database, stdin="pipe") as child,
    ):
        for _ in range(10_000):
            child.stdin.write(b"x" * 10_000 + b"\n")


def test_what_is_written_arrives_whole(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE TABLE t (line text)")
    with run_tool(tool("psql"), [*PSQL, "-c", "COPY t FROM STDIN"], url=database, stdin="pipe") as child:
        for number in range(5000):
            child.stdin.write(f"{number}".encode() + b"x" * 1000 + b"\n")
    assert run_sql("SELECT count(*), sum(length(line)) FROM t") == [(5000, 5000 * 1000 + 10 + 180 + 2700 + 16000)]


def test_more_errors_than_any_pipe_holds_neither_block_the_tool_nor_fill_memory() -> None:
    noisy = "import sys\nfor i in range(300000): print('line', i, file=sys.stderr)\nsys.exit(3)"
    with pytest.raises(ToolFailedError) as caught, run_tool(script(""), ["-c", noisy], stdout="pipe") as child:
        child.stdout.readall()
    assert "line 299999" in str(caught.value)
    assert len(child.stderr_text) <= 64 << 10
    assert len(str(caught.value)) < 1000


def test_a_tool_killed_by_a_signal_has_failed() -> None:
    with (
        pytest.raises(ToolFailedError, match="killed by signal 11"),
        run_tool(script(""), ["-c", "import os; os.kill(os.getpid(), 11)"]) as child,
    ):
        child.wait()


def test_a_program_that_can_t_be_started_has_failed() -> None:
    with (
        pytest.raises(ToolFailedError, match="can't be started"),
        run_tool(Tool("pg_dump", Path("/nonexistent/pg_dump"), 18, ""), []) as child,
    ):
        child.wait()


def test_nothing_of_a_child_stays_open(database: DatabaseUrl) -> None:
    def run() -> None:
        with run_tool(tool("psql"), [*PSQL, "-c", "SELECT 1"], url=database, stdin=b"", stdout="pipe") as child:
            assert child.stdout.readall() == b"1\n"

    run()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
