"""`holdfast keys`: make user keys, and say which of them open the repository.

A key is never taken from the command line, where every process of the machine could read it: it comes from a file, an environment
variable or standard input. A key file is made readable by its owner only and is never written over.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import figures, output
from cli.app import Commands
from cli.audited import audited, note_if_set_up
from cli.session import repository, settings
from holdfast.errors import NotFoundError, RefusedError, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.repository import KeyInfo, UserKey

commands = Commands("Make keys, and say which of them open the repository.", no_args_is_help=True)

Label = Annotated[str, typer.Option(help="A name to know the key by later.")]
NewKeyFile = Annotated[Path | None, typer.Option("--new-key-file", help="File that holds the new key.", show_default=False)]
NewKeyEnv = Annotated[
    str | None, typer.Option("--new-key-env", help="Environment variable that holds the new key.", show_default=False)
]


@commands.command()
def generate(
    file: Annotated[
        Path | None, typer.Option(help="Write the key here (mode 0600) and print nothing secret.", show_default=False)
    ] = None,
) -> None:
    """Make a new random key: 32 bytes as base64.

    Nothing else knows it. Keep a copy where one fire can't reach both.
    """
    from holdfast.repository import UserKey

    key, text = UserKey.generate()
    if file is None:
        output.note("Keep this key safe: without it the backups can't be read. Set it as BACKUP_ENCRYPTION_KEY.")
        output.result({"key": text, "fingerprint": key.fingerprint}, lambda: text)
        return
    _write_new(file, text)
    note_if_set_up("key.generate", key.fingerprint, file=str(file.absolute()))
    output.result(
        {"file": str(file), "fingerprint": key.fingerprint},
        lambda: f"A new key is in {file}. Use it with: export BACKUP_ENCRYPTION_KEY_FILE={file.absolute()}",
    )


@commands.command("list")
def list_keys() -> None:
    """List the keys of the repository, removed ones too."""
    found = repository(settings()).keys.list()
    output.result([_document(key) for key in found], lambda: _table(found))


@commands.command()
def add(label: Label = "", new_key_file: NewKeyFile = None, new_key_env: NewKeyEnv = None) -> None:
    """Let one more key open the repository; the keys that it has stay."""
    loaded = settings()
    with audited("key.add", loaded, label=label or None) as doing:
        added = repository(loaded).keys.add(_new_key(new_key_file, new_key_env), label)
        doing.subject = added.id
    output.result(_document(added), lambda: f"Key {added.id} now opens the repository too.")


@commands.command()
def rotate(label: Label = "", new_key_file: NewKeyFile = None, new_key_env: NewKeyEnv = None) -> None:
    """Add a new key and remove the one in use.

    No backup is written anew.
    """
    loaded = settings()
    with audited("key.rotate", loaded, label=label or None) as doing:
        added = repository(loaded).keys.rotate(_new_key(new_key_file, new_key_env), label)
        doing.subject = added.id
    output.result(
        _document(added),
        lambda: [
            f"Key {added.id} took the place of the one that was in use.",
            "Set BACKUP_ENCRYPTION_KEY (or the key file) to the new key now.",
        ],
    )


@commands.command()
def remove(key_id: Annotated[str, typer.Argument(help="As 'holdfast keys list' shows it.", show_default=False)]) -> None:
    """Let a key open the repository no more.

    The last usable key can't be removed.
    """
    loaded = settings()
    with audited("key.remove", loaded, key_id):
        repository(loaded).keys.remove(key_id)
    output.result({"keyId": key_id, "state": "removed"}, lambda: f"Key {key_id} opens the repository no more.")


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise RefusedError(
            f"{path} exists, and a key is never written over",
            reason="whatever it locked could never be read again",
            next_step="Choose another file name",
        ) from None
    except OSError as error:
        raise SettingsError(f"The key can't be written to {path}", reason=error.strerror) from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _new_key(file: Path | None, variable: str | None) -> UserKey:
    from holdfast.repository import UserKey

    if file is not None and variable is not None:
        raise SettingsError("Give the new key by --new-key-file or by --new-key-env, not by both")
    if file is not None:
        text = _read_key_file(file)
    elif variable is not None:
        text = os.environ.get(variable, "")
        if not text:
            raise SettingsError(f"The environment variable {variable} holds no key")
    else:
        text = _ask()
    output.keep_secret(text.strip())
    return UserKey.parse(text.strip())


def _read_key_file(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no key file {path}", next_step=f"Make one with: holdfast keys generate --file {path}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The key file {path} can't be read", reason=str(getattr(error, "strerror", None) or "it is not text")
        ) from error


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    return str(typer.prompt("New key", hide_input=True, confirmation_prompt="The same key again", err=True))


def _document(key: KeyInfo) -> dict[str, object]:
    return {
        "keyId": key.id,
        "label": key.label,
        "kind": key.kind,
        "createdAt": key.created_at,
        "state": key.state,
        "inUse": key.usable_with_current,
    }


def _table(keys: list[KeyInfo]) -> Iterator[RenderableType]:
    table = output.table("Key", "Label", "Kind", "Made", "State", "", whole=("Key",))
    for key in keys:
        table.add_row(
            key.id, key.label, key.kind, figures.moment(key.created_at), key.state, "in use" if key.usable_with_current else ""
        )
    yield table
