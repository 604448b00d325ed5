"""`holdfast demo`: the main job on real parts, from an empty folder to a system that comes back, by hand and then by itself.

Each step is a command that a person could type, run as its own process; the demo only adds what a disaster adds: it builds a
sample system, loses it, and compares what came back with what was there. It keeps to a folder of its own and leaves nothing
running.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.demo_home import DemoHome
from cli.demo_report import Figures, report
from cli.demo_sample import DATABASE, Sample, Sight, set_up
from cli.game_day import GameDay
from cli.witness import files_that_hold
from examples.content_pipeline.fault import Fault
from examples.content_pipeline.faults import faults
from holdfast.errors import NotProvenError, WorkFailedError
from holdfast.opening import open_catalog
from holdfast.settings import load_settings

TYPES = ("database", "function", "config", "secrets")


class Demo:
    """One run of the story."""

    def __init__(self, home: DemoHome, sample: Sample, console: Console) -> None:
        self.home = home
        self.sample = sample
        self.console = console
        self.figures = Figures()

    def run(self, megabytes: int) -> Sight:
        """Tell the story; return what there was, and is again. Raises NotProvenError where it is not."""
        self._step(
            "build",
            f"A content pipeline ({megabytes} MB of rows, Edge Functions on Deno, settings, .env), and 'holdfast init'",
            lambda: set_up(self.home, self.sample, megabytes, lambda: self.sample.recovering),
        )
        before: Sight = self._step("look", "Every row counted and hashed, every function called", self.sample.look)
        self._back_up()
        self._verify()
        self._step("lose", f"DROP DATABASE {DATABASE}; functions, settings and .env deleted: all is gone", self._lose)
        self._restore()
        after = self._step("look", "Every row, definition, file and mode compared, every function called", self.sample.look)
        if before != after:
            raise NotProvenError("What was restored differs from what was lost", next_step=f"Look at {self.home.folder}")
        if kept := self.sample.names_without_placeholder():
            raise NotProvenError("Secrets came back with a value", reason=f"{', '.join(kept)} hold no placeholder")
        self._step(
            "search",
            "Each secret's name is back, with a placeholder; its value is in no file and no backup",
            self._search,
        )
        self._come_back_by_itself()
        return before

    def _step(self, name: str, told: str, work: Callable[[], Any]) -> Any:
        """Do one step of the story, time it, and tell it in one line."""
        began = time.monotonic()
        with self.console.status(told):
            result = work()
        seconds = time.monotonic() - began
        self.figures.seconds[name] += seconds
        self.console.print(f"[green]✓[/] {escape(told)} [dim]{seconds:.1f} s[/]", soft_wrap=True)
        return result

    def _command(self, *arguments: str, **more: str) -> Any:
        """Do a step that is one command; paths are told without the demo's own folder."""
        told = " ".join(("holdfast", *arguments)).replace(f"{self.home.folder}/", "")
        return self._step(arguments[0], told, lambda: self.home.holdfast(*arguments, **more))

    def _back_up(self) -> None:
        self.figures.backups = {job["type"]: job for job in self._command("backup", "all")}

    def _verify(self) -> None:
        for kind in TYPES:
            found = self._command("verify", "latest", "--type", kind, "--level", "proven")
            self.figures.levels[kind] = found["level"]

    def _lose(self) -> None:
        self.sample.lose()
        answering = [answer.slug for answer in self.sample.call_functions(0) if answer.outcome != "does not answer"]
        if answering:
            raise WorkFailedError(f"The functions {', '.join(answering)} are lost, and answer all the same")

    def _restore(self) -> None:
        """Bring each type back where it was; the functions' restore calls them by itself, too."""
        self._command("restore", "latest", "--target", str(self.sample.url.without_password()))
        self._command("restore", "latest", "--type", "function", "--target", "live", **self.sample.calling)
        self._command("restore", "latest", "--type", "config", "--target", "live", "--mode", "in_place")
        self._command("restore", "latest", "--type", "secrets", "--target", "live")

    def _come_back_by_itself(self) -> None:
        """Lose the database once more, with nobody there but an event: the recovery plan that listens for it does the rest."""
        told = "'holdfast serve': a worker, schedules, and a recovery plan for each of the guide's events"
        self.figures.ready = self._step("serve", told, self._serve)
        fault = faults()["database-dropped"]
        emit = f"holdfast emit {fault.trigger}"
        told = f"Work goes on after a backup; DROP DATABASE {DATABASE}; {emit}; and it comes back by its recovery plan"
        with self.home.in_force(), closing(open_catalog(load_settings())) as catalog:
            day = GameDay(self.home, self.sample, catalog, lambda _: None)
            (found,) = self._step("recover", told, lambda: day.meet(fault, begin=self._emit))
        if not found.ok:
            raise WorkFailedError("The database did not come back by itself", reason=found.why_not)
        self.figures.recovery = found

    def _serve(self) -> str:
        self.sample.add_service(self.home)
        return self.home.serve()

    def _emit(self, fault: Fault) -> None:
        self.home.holdfast("emit", fault.trigger)

    def _search(self) -> None:
        """Look for the secrets' values in every file, in what the backups hold, too, opened with the key."""
        opened = self.home.folder / "opened"
        opened.mkdir()
        for kind in ("config", "secrets"):
            self.home.holdfast("repo", "restore", "latest", "--type", kind, "--target", str(opened / kind))
        found = [str(path) for path in files_that_hold(self.sample.secret_values, self.home.folder)]
        if found:
            raise NotProvenError("A secret's value was kept", reason=f"it is in {', '.join(found)}")


def demo(keep: bool, megabytes: int) -> None:
    """Run the story in `<home>/demo`, print the report, and stop everything unless `keep`."""
    home = DemoHome(Path(os.environ.get("HOLDFAST_HOME") or ".holdfast").absolute() / "demo")
    console = Console()
    ready = None
    try:
        home.prepare()
        with Sample(home.folder / "content-pipeline", home=home.home) as sample:
            story = Demo(home, sample, console)
            sight = story.run(megabytes)
        if keep:
            ready = story.figures.ready
        console.print(report(home, story.figures, sight, ready))
    finally:
        if ready is None and home.is_ours:
            home.stop()
