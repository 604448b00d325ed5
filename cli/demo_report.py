"""What `holdfast demo` tells at its end: what was lost, what came back, how long it took, and how to go on."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from rich.panel import Panel
from rich.table import Table

from cli.demo_home import HOLDFAST, DemoHome
from cli.demo_sample import DATABASE, Sight
from cli.fault_recovery import Recovery
from cli.figures import duration

MEBIBYTE = 1 << 20


@dataclass
class Figures:
    """What the report is made of: times in seconds, and documents of commands by the type of backup."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    backups: dict[str, dict[str, Any]] = field(default_factory=dict)
    levels: dict[str, str] = field(default_factory=dict)
    ready: str | None = None
    """The line of 'holdfast serve' that names its addresses."""
    recovery: Recovery | None = None
    """How the database came back by itself in the end."""


def report(home: DemoHome, figures: Figures, sight: Sight, ready: str | None) -> Panel:
    """Tell the story's figures, and how to go on; `ready` is the line of a server that was left running."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (*_facts(figures, sight), ("Prefect UI", _ui(ready)), ("", "")):
        table.add_row(f"[bold]{name}[/]", value)
    for number, line in enumerate(_go_on(home, ready)):
        table.add_row("" if number else "[bold]Go on[/]", line)
    return Panel(table, title="Backed up, proven, lost, restored, equal; and then by itself", border_style="green", expand=False)


def _facts(figures: Figures, sight: Sight) -> list[tuple[str, str]]:
    seconds = figures.seconds
    tables, files, settings = len(sight.database.tables), len(sight.functions), len(sight.settings)
    read = sum(job["sizeBytes"] for job in figures.backups.values())
    kept = sum(job["storedBytes"] for job in figures.backups.values())
    levels = ", ".join(f"{kind} {level}" for kind, level in figures.levels.items())
    return [
        ("Database", f"{tables} tables, {sight.database.rows:,} rows"),
        ("Functions", f"{len(sight.answers)} on Deno, of {files} files and folders"),
        ("Configuration", f"{settings} files"),
        ("Secrets", f"{len(sight.secret_names)} names; no value is kept"),
        ("Backups", f"{read / MEBIBYTE:.1f} MiB read, {kept / MEBIBYTE:.1f} MiB kept; {seconds['backup']:.1f} s"),
        ("Checksum", f"{figures.backups['database']['checksum']} (database)"),
        ("Proofs", f"{levels}; {seconds['verify']:.1f} s"),
        ("Lost", f"DROP DATABASE {DATABASE}; functions, settings and .env deleted"),
        ("Restored", f"{seconds['restore']:.1f} s; every row, definition, file and mode is the same; every function answers"),
        ("By itself", _by_itself(figures.recovery)),
        ("Backups in", str(figures.backups["database"]["location"])),
    ]


def _by_itself(found: Recovery | None) -> str:
    if found is None:
        return "not tried"
    times = f"changed after {duration(found.decided_seconds)}, all back {duration(found.recovered_seconds)} after the loss"
    lost = f"{found.returned.lost_rows:,} rows are lost, those written after the backup"
    return f"{found.done}; 'holdfast emit {found.fault.trigger}': {times}; {lost}"


def _ui(ready: str | None) -> str:
    if ready is None:
        return "stopped again; 'make demo KEEP=1' leaves it up"
    return next(word.removeprefix("prefect=") for word in ready.split() if word.startswith("prefect="))


def _go_on(home: DemoHome, ready: str | None) -> list[str]:
    """Tell what to type next."""
    command, settings = os.path.relpath(HOLDFAST), f". {os.path.relpath(home.folder)}/env"
    if ready is None:
        return [f"{settings} && {command} repo list", "or your own database: see README.md"]
    return [f"{settings} && {command} status", f"{command} down   # stops all of it"]
