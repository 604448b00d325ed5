"""The folder that `holdfast demo` or a game day works in: a home of Holdfast, its settings, and the commands that are run there.

The folder carries a mark, and without it nothing in it is ever emptied. Every command is a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from examples.content_pipeline.fault import MARK
from holdfast.errors import RefusedError, WorkFailedError

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
_REASON_CHARACTERS = 2000
_READY_SECONDS = 120


class DemoHome:
    """One run's folder; `settings` are the variables that every command sees and that `write_settings` leaves for a person."""

    def __init__(self, folder: Path, command: str = "demo") -> None:
        self.folder = folder
        self.command = command
        self._serving: subprocess.Popen[bytes] | None = None
        self.home = folder / "home"
        self.settings = {
            "HOLDFAST_HOME": str(self.home),
            "HOLDFAST_WORKING_DIRECTORY": str(folder),  # so that a person's own .env, where the demo is looked at, has no say
            "BACKUP_ENCRYPTION_KEY_FILE": str(folder / "key"),
            "BACKUP_COMPRESSION_ALGORITHM": "zstd",
        }

    @property
    def is_ours(self) -> bool:
        """Tell whether an earlier run, or this one, made the folder."""
        return (self.folder / MARK).exists()

    def prepare(self) -> None:
        """Empty the folder. Raises RefusedError where it is not one of ours."""
        if self.folder.exists() and any(self.folder.iterdir()) and not self.is_ours:
            raise RefusedError(
                f"{self.folder} holds something that no earlier 'holdfast {self.command}' has made",
                next_step="Choose another HOLDFAST_HOME, or move that folder away",
            )
        if self.folder.exists():
            self.stop()
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        told = f"This folder is a sample of 'holdfast {self.command}', which empties it when it runs again.\n"
        (self.folder / MARK).write_text(told)

    def write_settings(self) -> None:
        """Leave the settings for whoever wants to look around after the demo."""
        lines = [f"export {name}='{value}'" for name, value in self.settings.items()]
        (self.folder / "env").write_text("# The demo's settings; read them with: . env\n" + "\n".join(lines) + "\n")

    def holdfast(self, *arguments: str, **more: str) -> Any:
        """Run one `holdfast` command with --json and return what it printed; `more` are variables. Raises WorkFailedError."""
        done = subprocess.run(
            [HOLDFAST, *arguments, "--json"],
            cwd=self.folder,
            env=self._environment() | more,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise WorkFailedError(
                f"'holdfast {' '.join(arguments)}' ended with exit code {done.returncode}",
                reason=(done.stdout.strip() or done.stderr.strip())[-_REASON_CHARACTERS:],
                next_step=f"Logs are in {self.home}",
            )
        return json.loads(done.stdout)

    def start(self, *arguments: str, log: Path, **more: Any) -> subprocess.Popen[bytes]:
        """Start a `holdfast` command that says all that it says into a log."""
        with log.open("wb") as file:
            return subprocess.Popen(
                [HOLDFAST, *arguments], cwd=self.folder, env=self._environment(), stdout=file, stderr=file, **more
            )

    def serve(self) -> str:
        """Leave the Prefect server, worker and deployments running; return the line that names the addresses."""
        log = self.folder / "serve.log"
        self._serving = serving = self.start("serve", log=log, stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end and serving.poll() is None:
            ready = [line for line in log.read_text().splitlines() if line.startswith("ready")]
            if ready:
                return ready[0]
            time.sleep(0.3)
        serving.send_signal(signal.SIGTERM)
        raise WorkFailedError("'holdfast serve' did not become ready", reason=log.read_text()[-_REASON_CHARACTERS:])

    def stop(self) -> None:
        """Stop whatever runs for the home, the sample's database server too."""
        subprocess.run([HOLDFAST, "down"], cwd=self.folder, env=self._environment(), stdout=subprocess.DEVNULL, check=True)
        if self._serving is not None:
            self._serving.wait(_READY_SECONDS)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let the settings of this home, and no others, hold in this process."""
        before = os.environ.copy()
        os.environ.clear()
        os.environ.update(self._environment())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BACKUP_", "PREFECT_", "PG"))}
        return inherited | self.settings
