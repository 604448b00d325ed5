"""`holdfast test`: try out everything that backups need, and change nothing. What is tried is `orchestration.trying`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from cli import figures, jobs, output, replicas
from cli.app import Commands
from cli.session import settings
from holdfast import patience
from holdfast.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

commands = Commands("")

Report = dict[str, Any]


@commands.command("test", rich_help_panel="Look")
def test() -> None:
    """Try out storage, key, catalog, Prefect, sources and tools; nothing is changed or started."""
    from orchestration.trying.running import self_test

    report = self_test(settings(), replicas.find_running)
    output.result(report, lambda: lines(report))
    code = ExitCode.DONE if report["ok"] else ExitCode.WORK_FAILED
    patience.leave(code)
    raise typer.Exit(code)


def lines(report: Report) -> Iterator[RenderableType]:
    """Tell a self-test: what failed with its reason and what to do, what is well with what was found."""
    for one in report["tests"]:
        if one["ok"]:
            yield jobs.headline(one["name"], ", ".join(_facts(one["found"])) or "well", good=True)
        else:
            yield jobs.headline(one["name"], f"{one['error']} ({one['code']})", good=False)
            yield output.facts(("  Why", one["reason"]), ("  Next", one["nextStep"]))
    failed = sum(not one["ok"] for one in report["tests"])
    yield ""
    yield f"{failed} of {len(report['tests'])} failed" if failed else f"All {len(report['tests'])} are well; nothing was changed"


def _facts(found: Report) -> Iterator[str]:
    """Tell what was found in plain words: `backups 3`, `pg_dump 16.4`."""
    for name, value in found.items():
        if isinstance(value, dict):
            said = [value["version"]] if "version" in value else [f"{one} {number}" for one, number in value.items()]
            yield f"{_words(name)} {', '.join(said)}"
        elif isinstance(value, bool):
            yield name if value else f"not {name}"
        elif isinstance(value, datetime):
            yield f"{_words(name)} {figures.minute(value)} UTC"
        elif value is not None:
            yield f"{_words(name)} {value}"


def _words(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f" {letter[0].lower()}", name)
