"""`holdfast config show|update`: the configuration in force. Secrets are neither shown nor stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import logs, output
from cli.app import Commands
from cli.audited import audited
from cli.config_diff import diff
from cli.session import settings
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings

RESCHEDULED = "rescheduled"
"""Where a changed configuration names the live schedules that changed with it."""

commands = Commands("The configuration in force.", no_args_is_help=True)
commands.command()(diff)


@commands.command()
def show() -> None:
    """Show every setting as it is in force.

    It comes from the environment, else from the catalog, else it is the default.
    """
    from holdfast.configuration import effective_configuration
    from holdfast.opening import open_catalog

    with open_catalog(settings()) as catalog:
        found = effective_configuration(catalog)
    output.result(found, lambda: _table(_rows(found)))


@commands.command()
def update(
    changes: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE …", help="As databaseBackupInterval=12.", show_default=False)
    ],
) -> None:
    """Change settings, and keep them in the catalog.

    A variable that the environment sets stays stronger. Live schedules follow at once where the Prefect server answers.
    """
    from holdfast.configuration import effective_configuration, update_backup_config
    from holdfast.opening import open_catalog

    updates = dict(_change(text) for text in changes)
    loaded = settings()
    changed = ", ".join(sorted(updates))
    with audited("configuration.update", loaded, changed), open_catalog(loaded) as catalog:
        before = effective_configuration(catalog)
        found = update_backup_config(catalog=catalog, **updates)
    rescheduled = _reschedule(loaded)
    document = found | ({RESCHEDULED: rescheduled} if rescheduled else {})
    output.result(document, lambda: _changed_text(before, found, rescheduled))


def _reschedule(loaded: Settings) -> list[str]:
    """Have the live schedules follow; where no server answers, the next 'serve' or 'deploy' does it."""
    logs.keep_prefect_quiet()
    from orchestration.following import follow_configuration

    followed = follow_configuration(loaded)
    if followed.problem:
        output.warn(f"the configuration is kept, but the live schedules could not be changed: {followed.problem}")
    return followed.changes or []


def _change(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE: text as a variable would hold it, `null` for the default, or a JSON object or list."""
    key, separator, value = text.partition("=")
    if not (key and separator) or key == "catalog":
        raise SettingsError(f"{text!r} is not KEY=VALUE", next_step="Write it as databaseBackupInterval=12")
    if value != "null" and not value.startswith(("{", "[")):
        return key, value
    try:
        return key, json.loads(value)
    except ValueError as error:
        raise SettingsError(f"the value of {key} is not JSON", reason=str(error)) from None


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Lay the configuration flat, as text."""
    rows = []
    for name, value in sorted(found.items()):
        inner = value if isinstance(value, dict) else {"": value}
        rows += [(f"{name}.{part}" if part else name, _value(one)) for part, one in inner.items()]
    return rows


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(rows: list[tuple[str, str]]) -> RenderableType:
    shown = output.table("Setting", "Value", whole=("Setting",))
    for row in rows:
        shown.add_row(*row)
    return shown


def _changed_text(before: dict[str, Any], after: dict[str, Any], rescheduled: list[str]) -> Iterator[RenderableType]:
    yield _changes(before, after)
    yield from (f"Schedule changed: {one}" for one in rescheduled)


def _changes(before: dict[str, Any], after: dict[str, Any]) -> RenderableType:
    changed = [row for row in _rows(after) if row not in _rows(before)]
    return _table(changed) if changed else "Nothing changed."
