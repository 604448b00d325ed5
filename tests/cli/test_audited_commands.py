"""Each command that changes something says so in the audit log: whoever adds a command has to say here which line it leaves."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.main import app

CHANGES = {
    "init": "installation.init",
    "deploy": "installation.deploy",
    "roll-back": "restore.roll_back",
    "recover": "recovery.approve",
    "emit": "event.emit",
    "pin": "backup.pin",
    "unpin": "backup.unpin",
    "plans add": "plan.add",
    "plans remove": "plan.remove",
    "plans enable": "plan.enable",
    "plans disable": "plan.disable",
    "services add": "service.add",
    "services remove": "service.remove",
    "services restart": "service.restart",
    "repo init": "repository.init",
    "repo check": "repository.repair",
    "repo repair": "repository.repair",
    "repo restore": "restore.by_hand",
    "repo replicate": "replication.by_hand",
    "repo forget": "backup.forget",
    "repo prune": "repository.prune",
    "storage add": "storage.add",
    "keys generate": "key.generate",
    "keys add": "key.add",
    "keys rotate": "key.rotate",
    "keys remove": "key.remove",
    "tokens create": "token.create",
    "tokens revoke": "token.revoke",
    "secrets rotate": "secret.rotate",
    "config update": "configuration.update",
}
AUDIT_PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
RUNS = {"backup", "verify", "drill", "restore", "cleanup", "report"}
"""Jobs, whose beginning and end their runs write."""
ADOPTS = {"repo rebuild-catalog"}
"""It makes no line but where it takes a former chain over."""
LOOKS = {
    *("list", "show", "status", "test", "serve", "down", "api", "demo", "alarm-drill"),
    *("plans list", "plans show", "plans validate", "plans export", "services list", "services show", "services check"),
    *("repo list", "storage test", "storage list", "keys list", "tokens list", "audit list", "audit verify"),
    *("secrets diff", "secrets list", "config diff", "config show", "notify test"),
}


def test_every_command_is_known_here_by_what_it_changes() -> None:
    assert {name for name, _ in commands(typer.main.get_command(app))} == {*CHANGES, *RUNS, *ADOPTS, *LOOKS}


@pytest.mark.parametrize(("name", "action"), CHANGES.items())
def test_what_a_command_changes_is_written_down_and_explained(name: str, action: str) -> None:
    module = dict(commands(typer.main.get_command(app)))[name]
    assert f'"{action}"' in inspect.getsource(sys.modules[module])
    noun, _, verb = action.partition(".")
    listed = AUDIT_PAGE.read_text().split("## Where it is")[0]
    assert f"`{noun}." in listed
    assert f".{verb}`" in listed


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield each command by its words, with the module that it is in."""
    if hasattr(group, "commands"):
        for name, inner in group.commands.items():
            yield from commands(inner, (*path, name))
    else:
        yield " ".join(path), group.callback.__module__
