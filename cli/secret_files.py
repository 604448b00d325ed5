"""Secrets as commands take them: from a file, from standard input, or typed without being shown; never from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from pydantic import SecretStr

from cli import output
from holdfast.errors import NotFoundError, SettingsError

_LONGEST_BYTES = 65536
_ASK = Path("-")


def secret(file: Path | None, what: str, *, wanted: bool = False) -> SecretStr | None:
    """Read a secret from its file, or ask for it where the file is `-` or there is none and it is wanted.

    Raises NotFoundError, SettingsError.
    """
    if file is None and not wanted:
        return None
    text = (_asked(what) if file is None or file == _ASK else _read(file, what)).strip()
    if not text:
        raise SettingsError(f"{what}: nothing was given", next_step="Give a file that holds it, or type it when asked")
    output.keep_secret(text)
    return SecretStr(text)


def _read(file: Path, what: str) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"{what}: there is no file {file}") from None
    except OSError as error:
        raise SettingsError(f"{what}: the file {file} can't be read", reason=error.strerror) from error
    except UnicodeDecodeError:
        raise SettingsError(f"{what}: the file {file} holds no text") from None


def _asked(what: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    return str(typer.prompt(what, hide_input=True, err=True))
