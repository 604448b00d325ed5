"""Where a restore goes: a URL from the command line, the environment or standard input.

What a flow is told of it holds no secret.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from holdfast.postgres.connection import DatabaseUrl

VARIABLE = "BACKUP_TARGET_URL"

Target = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar=VARIABLE,
        show_envvar=True,
        show_default=False,
        help="The database to make, or for promote and in_place the live one. '-' reads the URL from standard input. "
        "A password is better given so, or by the variable: every process of the machine can read a command line.",
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
