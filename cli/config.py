"""`holdfast config show|update`: the configuration in force. Secrets are neither shown nor stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output
from cli.app import Commands
from cli.session import settings
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

commands = Commands("The configuration in force.", no_args_is_help=True)


@commands.command()
def show() -> None:
    """Show every setting as it is in force.

    It comes from the environment, else from the catalog, else it is the default.
    """
    from holdfast.configuration import update_backup_config

    from holdfast.opening import open_catalog

    catalog = open_catalog(settings())
    try:
        found = update_backup_config(catalog=catalog)
    finally:
        catalog.close()
    output.result(found, lambda: _table(found))


@commands.command()
def update(
    changes: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE …", help="As databaseBackupInterval=12.", show_default=False)
    ],
) -> None:
    """Change settings, and keep them in the catalog.

    A variable that the environment sets stays stronger.
    """
    from holdfast.configuration import update_backup_config

    from holdfast.opening import open_catalog

    updates = dict(_change(text) for text in changes)
    catalog = open_catalog(settings())
    try:
        found = update_backup_config(catalog=catalog, **updates)
    finally:
        catalog.close()
    output.result(found, lambda: _table(found))


def _change(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE; the value is JSON where it can be read so (numbers, true, lists), else text."""
    key, separator, value = text.partition("=")
    if not (key and separator):
        raise SettingsError(f"{text!r} is not KEY=VALUE", next_step="Write it as databaseBackupInterval=12")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _table(found: dict[str, Any]) -> RenderableType:
    shown = output.table("Setting", "Value")
    for name, value in sorted(found.items()):
        shown.add_row(name, json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value)
    return shown
