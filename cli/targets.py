"""Where a restore goes: a database's URL from the command line, the environment or standard input; a folder; or what is live.

What a flow is told of it holds no secret.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from holdfast.postgres.connection import DatabaseUrl

VARIABLE = "BACKUP_TARGET_URL"
LIVE = "live"

Target = Annotated[
    str | None,
    typer.Option(
        metavar="URL|FOLDER|live",
        envvar=VARIABLE,
        show_envvar=True,
        show_default=False,
        help="A database's URL: the one to make, or for promote and in_place the live one. '-' reads it from standard input. "
        "A password is better given so, or by the variable: every process of the machine can read a command line. "
        "For other types the folder to make, or 'live': the place that was backed up, as the settings name it.",
    ),
]


def target_url(given: str | None) -> DatabaseUrl:
    """Read the target's URL. Raises SettingsError where none was given."""
    from holdfast.postgres.connection import DatabaseUrl

    if not given:
        raise SettingsError(
            "A restore needs a target",
            reason="it never lands on a database that was not named",
            next_step=f"Add --target postgresql://USER@HOST/NEW_DATABASE, or set {VARIABLE}",
        )
    on_command_line = given in sys.argv or f"--target={given}" in sys.argv
    text = sys.stdin.readline().strip() if given == "-" else given
    output.keep_password(text)
    url = DatabaseUrl.parse(text)
    if url.password is not None:
        output.keep_secret(url.password.get_secret_value())
        if on_command_line and given != "-":
            output.warn(
                f"the password in --target shows in the process list; give the URL by {VARIABLE}, or by '--target -' on stdin"
            )
    return url


def source_target(given: str | None) -> str:
    """Read the target of a restore of files: an absolute path, or `live`. Raises SettingsError where none was given."""
    if not given:
        raise SettingsError(
            "A restore needs a target",
            reason="it never lands on anything that was not named",
            next_step="Add --target FOLDER, or --target live for the place that was backed up",
        )
    if given == LIVE:
        return LIVE
    return str(Path(given.removeprefix("file://")).expanduser().absolute())


def folder_target(given: str | None) -> Path:
    """Read the target of a restore by the engine alone, which knows no live place. Raises SettingsError."""
    target = source_target(given)
    if target == LIVE:
        raise SettingsError(
            "the engine alone can't restore to 'live'",
            reason="what is live is known to the settings and to Prefect, and this command asks neither",
            next_step="Use 'holdfast restore --target live', or name a folder; ./live is one of that name",
        )
    return Path(target)


@contextlib.contextmanager
def as_flow_parameter(url: DatabaseUrl) -> Iterator[str]:
    """Yield what a flow may be told: the URL when it holds no password, else the name of a block that is there for so long."""
    if url.password is None:
        yield url.without_password()
        return
    from blocks import DatabaseTarget

    name = f"holdfast-target-{secrets.token_hex(4)}"
    DatabaseTarget(url=url.with_password()).save(name)
    try:
        yield name
    finally:
        DatabaseTarget.delete(name)
