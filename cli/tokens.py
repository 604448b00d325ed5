"""`holdfast tokens`: make the tokens that the HTTP API asks for, show which there are, and take them away.

A token is printed once, on stdout and nowhere else. It works at once, and a revoked one works no more: the API reads the file
of the tokens whenever it has changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from cli import figures, output
from cli.app import Commands
from cli.audited import audited
from cli.session import repository_settings
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings
    from holdfast.tokens import Scope, Token, Tokens

commands = Commands("Make and revoke the tokens of the HTTP API.", no_args_is_help=True)

SOON = timedelta(days=14)
_MOST_DAYS = 36_500

Name = Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.", show_default=False)]
Scopes = Annotated[
    str, typer.Option(metavar="SCOPE,…", help="What it allows: read, backup, restore, admin. None of them implies another.")
]
Expires = Annotated[
    str | None,
    typer.Option(metavar="DAYS|DATE", help="When it ends: after so many days, or on a day (2027-01-31).", show_default=False),
]


@commands.command()
def create(name: Name, scopes: Scopes = "read", expires: Expires = None) -> None:
    """Make a token and print it.

    It can't be shown again: only its digest is kept.
    """
    loaded = repository_settings()
    tokens, wanted, ends_at = _tokens(loaded), _scopes(scopes), _end(expires, datetime.now(UTC))
    with audited("token.create", loaded, name, scopes=", ".join(wanted), expiresAt=ends_at.isoformat() if ends_at else None):
        token = tokens.create(name, wanted, ends_at)
    made = next(one for one in tokens.all() if one.name == name)
    output.note(f"It allows {', '.join(wanted)}, {f'until {figures.moment(ends_at)} UTC' if ends_at else 'and never ends'}.")
    output.note(f"Keep it where only {name} finds it: it can't be shown again. It goes into 'Authorization: Bearer TOKEN'.")
    output.result(made.document() | {"token": token}, lambda: token)


@commands.command("list")
def list_tokens() -> None:
    """List the tokens with what they allow, and those that have ended."""
    found, now = _tokens(repository_settings()).all(), datetime.now(UTC)
    output.result({"tokens": [_document(one, now) for one in found]}, lambda: _table(found, now))


@commands.command()
def revoke(name: Name) -> None:
    """Take a token away.

    It works no more from the next request on, and whoever has logged in with it is logged out.
    """
    loaded = repository_settings()
    tokens = _tokens(loaded)
    with audited("token.revoke", loaded, name):
        gone = tokens.revoke(name)
    if not tokens.all():
        output.warn("That was the last token: without one the HTTP API answers this machine only, and asks nobody for a token")
    output.result(gone.document() | {"state": "revoked"}, lambda: f"The token {name} is revoked.")


def _tokens(loaded: Settings) -> Tokens:
    """The tokens, which must work whatever else is set than what the repository needs."""
    from holdfast.tokens import Tokens

    return Tokens.of(loaded)


def _scopes(text: str) -> list[Scope]:
    from holdfast.tokens import Scope

    names = [name for name in (part.strip() for part in text.split(",")) if name]
    known: dict[str, Scope] = {scope: scope for scope in get_args(Scope)}
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise SettingsError(
            f"{wrong[0]!r} is not a scope" if wrong else "a token needs a scope", reason=f"the scopes are {', '.join(known)}"
        )
    return [known[name] for name in dict.fromkeys(names)]


def _end(text: str | None, now: datetime) -> datetime | None:
    """Read a number of days, or a day of the calendar, at whose beginning in UTC the token ends."""
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= _MOST_DAYS:
        return now.replace(microsecond=0) + timedelta(days=int(text))
    try:
        ends_at = datetime.combine(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC), time(tzinfo=UTC))
    except ValueError:
        raise SettingsError(
            f"{text!r} is no end for a token", reason=f"a number of days (1 to {_MOST_DAYS}) or a day such as 2027-01-31 is"
        ) from None
    if ends_at <= now:
        raise SettingsError(f"{text} is over, so that the token would never work", next_step="Give a later day")
    return ends_at


def _state(token: Token, now: datetime) -> str:
    if not token.is_valid(now):
        return "expired"
    return "expiresSoon" if token.expires_at is not None and token.expires_at - now < SOON else "valid"


def _document(token: Token, now: datetime) -> dict[str, Any]:
    return token.document() | {"state": _state(token, now)}


def _table(tokens: list[Token], now: datetime) -> Iterator[RenderableType]:
    if not tokens:
        yield "There is no token: the HTTP API answers this machine only. Make one with: holdfast tokens create NAME"
        return
    said = {"expired": "expired", "expiresSoon": "expires soon", "valid": ""}
    table = output.table("Token", "Scopes", "Made (UTC)", "Ends (UTC)", "", whole=("Token",))
    for one in tokens:
        ends = figures.moment(one.expires_at) if one.expires_at else "never"
        scopes = ", ".join(one.document()["scopes"])
        table.add_row(one.name, scopes, figures.moment(one.created_at), ends, said[_state(one, now)])
    yield table
