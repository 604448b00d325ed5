"""`holdfast demo`: the main job on real parts, from an empty folder to a proven, restored database.

Each step is a command that a person could type, run as its own process; the demo only adds what a disaster adds: it builds
a sample database, loses it, and compares what came back with what was there. It keeps to a home of its own and leaves
nothing running.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from cli.witness import witness
from examples.content_pipeline.generate import build
from holdfast.errors import NotProvenError, RefusedError, WorkFailedError
from holdfast.postgres.connection import DatabaseUrl, connect, quote_identifier
from holdfast.postgres.embedded import EmbeddedServer

DATABASE = "content_pipeline"
MARK = ".holdfast-demo"
MEBIBYTE = 1 << 20


@dataclass
class Figures:
    """What the report is made of; times in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    tables: int = 0
    backup: dict[str, Any] = field(default_factory=dict)
    verification: dict[str, Any] = field(default_factory=dict)


class Demo:
    """One run of the story in one home; `close` stops what it started."""

    def __init__(self, home: Path, console: Console) -> None:
        self.home = home
        self.console = console
        self.figures = Figures()
        self.server = EmbeddedServer(home / "pipeline")
        self.environment = {
            "HOLDFAST_HOME": str(home),
            "BACKUP_ENCRYPTION_KEY_FILE": str(home / "key"),
            "BACKUP_COMPRESSION_ALGORITHM": "zstd",
        }

    def prepare(self) -> None:
        """Empty the demo's own home. Raises RefusedError where the folder is not the demo's."""
        if self.home.exists() and any(self.home.iterdir()) and not (self.home / MARK).exists():
            raise RefusedError(
                f"{self.home} holds something that is not from an earlier demo",
                next_step="Choose another HOLDFAST_HOME, or move that folder away",
            )
        if self.home.exists():
            self.stop_everything()
            shutil.rmtree(self.home)
        self.home.mkdir(parents=True)
        (self.home / MARK).write_text("This folder belongs to 'holdfast demo' and is emptied by its next run.\n")

    def holdfast(self, *arguments: str) -> Any:
        """Run one `holdfast` command with --json and return what it printed. Raises WorkFailedError."""
        command = [str(Path(sys.executable).with_name("holdfast")), *arguments, "--json"]
        done = subprocess.run(command, cwd=self.home, env=self._child_environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise WorkFailedError(
                f"'holdfast {' '.join(arguments)}' ended with exit code {done.returncode}",
                reason=(done.stdout.strip() or done.stderr.strip())[-2000:],
                next_step=f"Logs are in {self.home}",
            )
        return json.loads(done.stdout)

    def _child_environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_", "PREFECT_", "PG"))}
        return inherited | self.environment

    def step(self, name: str, told: str, work: Callable[[], Any]) -> Any:
        """Do one step of the story, time it, and tell it in one line."""
        began = time.monotonic()
        with self.console.status(told):
            result = work()
        self.figures.seconds[name] = time.monotonic() - began
        self.console.print(f"[green]✓[/] {told} [dim]{self.figures.seconds[name]:.1f} s[/]")
        return result

    @property
    def url(self) -> DatabaseUrl:
        """The sample database."""
        return self.server.url(DATABASE)

    def build_sample(self, megabytes: int) -> None:
        """Make the sample database while `holdfast init` starts the local Prefect server."""
        self.server.start()
        self.server.create_database(DATABASE)
        self.environment["BACKUP_DATABASE_URL"] = str(self.url.without_password())
        self.holdfast("keys", "generate", "--file", str(self.home / "key"))
        self._write_environment()
        command = [str(Path(sys.executable).with_name("holdfast")), "init", "--json"]
        with (self.home / "init.log").open("wb") as log:
            init = subprocess.Popen(command, cwd=self.home, env=self._child_environment(), stdout=log, stderr=log)
            try:
                build(self.url.without_password(), megabytes=megabytes)
            finally:
                code = init.wait(timeout=180)
        if code != 0:
            raise WorkFailedError("'holdfast init' failed", reason=(self.home / "init.log").read_text()[-2000:])

    def _write_environment(self) -> None:
        lines = [f"export {name}='{value}'" for name, value in self.environment.items()]
        (self.home / "env").write_text("# The demo's settings; read them with: . env\n" + "\n".join(lines) + "\n")

    def lose(self) -> None:
        """Drop the sample database, for real."""
        with closing(connect(self.url.maintenance())) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {quote_identifier(DATABASE)} WITH (FORCE)")

    def run(self, megabytes: int) -> None:
        """The story."""
        self.prepare()
        self.step(
            "build",
            f"A content pipeline's database, {megabytes} MB of rows, and 'holdfast init'",
            lambda: self.build_sample(megabytes),
        )
        before = witness(self.url)
        self.figures.tables, self.figures.rows = len(before.tables), before.rows
        self.figures.backup = self.step("backup", "holdfast backup database", lambda: self.holdfast("backup", "database"))
        self.figures.verification = self.step(
            "verify", "holdfast verify latest --level proven", lambda: self.holdfast("verify", "latest", "--level", "proven")
        )
        self.step("lose", f"DROP DATABASE {DATABASE}: it is gone", self.lose)
        target = str(self.url.without_password())
        self.step(
            "restore",
            "holdfast restore latest --mode new",
            lambda: self.holdfast("restore", "latest", "--mode", "new", "--target", target),
        )
        after = self.step("compare", "Every row and every definition compared", lambda: witness(self.url))
        if before != after:
            raise NotProvenError("The restored database differs from the one that was lost", next_step=f"Look at {self.home}")

    def stop_everything(self) -> None:
        """Stop whatever runs for the demo's home, the sample database's server too."""
        subprocess.run(
            [str(Path(sys.executable).with_name("holdfast")), "down"],
            cwd=self.home,
            env=self._child_environment(),
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def serve(self) -> str:
        """Leave the Prefect server, worker and deployments running; return the line that names the addresses."""
        log_path = self.home / "serve.log"
        with log_path.open("wb") as log:
            serving = subprocess.Popen(
                [str(Path(sys.executable).with_name("holdfast")), "serve"],
                cwd=self.home,
                env=self._child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + 120
        while time.monotonic() < end and serving.poll() is None:
            ready = [line for line in log_path.read_text().splitlines() if line.startswith("ready")]
            if ready:
                return ready[0]
            time.sleep(0.3)
        serving.send_signal(signal.SIGTERM)
        raise WorkFailedError("'holdfast serve' did not become ready", reason=log_path.read_text()[-1000:])


def report(demo: Demo, ready: str | None) -> Panel:
    """Tell the story's figures, and how to go on."""
    figures, backup = demo.figures, demo.figures.backup
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    read, kept = backup["sizeBytes"], backup["storedBytes"]
    for name, value in (
        ("Database", f"{figures.tables} tables, {figures.rows:,} rows"),
        (
            "Backup",
            f"{read / MEBIBYTE:.1f} MiB read, {kept / MEBIBYTE:.1f} MiB kept (1 : {read / kept:.1f}), "
            f"{figures.seconds['backup']:.1f} s",
        ),
        ("Checksum", str(backup["checksum"])),
        ("Proof", f"{figures.verification['level']}: restored and equal to the source, {figures.seconds['verify']:.1f} s"),
        ("Lost", f"DROP DATABASE {DATABASE}"),
        (
            "Restored",
            f"{figures.seconds['restore']:.1f} s; {figures.tables} tables, {figures.rows:,} rows and every definition "
            "are the same",
        ),
        ("Kept in", str(backup["location"])),
        ("Prefect UI", ready.rpartition("=")[2] if ready else "stopped again; 'make demo KEEP=1' leaves it up"),
    ):
        table.add_row(f"[bold]{name}[/]", value)
    table.add_row("", "")
    for number, line in enumerate(go_on(demo, ready)):
        table.add_row("" if number else "[bold]Go on[/]", line)
    return Panel(table, title="Backed up, proven, lost, restored, equal", border_style="green", expand=False)


def go_on(demo: Demo, ready: str | None) -> list[str]:
    """Tell what to type next."""
    command = os.path.relpath(Path(sys.executable).with_name("holdfast"))
    settings = f". {os.path.relpath(demo.home)}/env"
    if ready is None:
        return [f"{settings} && {command} repo list", "or your own database: see README.md"]
    return [f"{settings} && {command} status", f"{command} down   # stops all of it"]


def demo(keep: bool, megabytes: int) -> None:
    """Run the story in `<home>/demo`, print the report, and stop everything unless `keep`."""
    base = Path(os.environ.get("HOLDFAST_HOME") or ".holdfast").absolute()
    console = Console()
    story = Demo(base / "demo", console)
    ready = None
    try:
        story.run(megabytes)
        if keep:
            ready = story.serve()
        console.print(report(story, ready))
    finally:
        if ready is None and (story.home / MARK).exists():
            story.stop_everything()
