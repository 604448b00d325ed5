"""Where a user key comes from: its text, or a file that holds it. Used by the settings and by the EncryptionKey block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from holdfast.errors import KeyMissingError, SettingsError
from holdfast.settings.placeholder import is_placeholder

if TYPE_CHECKING:
    from holdfast.repository import UserKey

_LONGEST_BYTES = 4096
_NEXT_STEP = "'holdfast keys generate' makes a key"


def read_user_key(key: SecretStr | None, key_file: Path | None, *, key_name: str, file_name: str) -> UserKey | None:
    """Read the key, else the file's; None where neither is given. The names are what errors call the two.

    Raises KeyMissingError (no such file, an empty one), SettingsError.
    """
    if key is not None and key.get_secret_value().strip():
        return _parsed(key, key_name)
    if key_file is not None:
        return _parsed(_content(key_file, file_name), f"{file_name} ({key_file})")
    return None


def _parsed(text: SecretStr, name: str) -> UserKey:
    from holdfast.repository.userkey import UserKey

    if is_placeholder(text):
        raise SettingsError(f"{name} holds an example, not a key", reason="anybody can read it", next_step=_NEXT_STEP)
    try:
        return UserKey.parse(text)
    except SettingsError as error:
        raise type(error)(f"{name} can't be used", reason=error.reason or error.message, next_step=_NEXT_STEP) from None


def _content(path: Path, name: str) -> SecretStr:
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_BYTES + 1)
    except FileNotFoundError:
        raise KeyMissingError(
            f"{name} names a file that is not there: {path}",
            next_step="Bring the key file back: what is stored opens with no key made anew. "
            f"Where nothing is stored yet, make one: holdfast keys generate --file {path}",
        ) from None
    except OSError as error:
        raise SettingsError(f"{name} names a file that can't be read: {path}", reason=error.strerror or str(error)) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{name} names a file that holds no key: {path}", reason="it is not text") from None
    if len(data) > _LONGEST_BYTES:
        raise SettingsError(f"{name} names a file that holds no key: {path}", reason=f"it is longer than {_LONGEST_BYTES} bytes")
    return SecretStr(text)
