"""The key that a person keeps: 32 random bytes, or a passphrase. It wraps the master key and does nothing else.

Its bytes are never shown: not in repr or str, not in an error, and it can't be pickled into a record of Prefect's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import unicodedata
from typing import Literal

from pydantic import SecretStr

from holdfast.errors import KeyMissingError, SettingsError

KEY_BYTES = 32
PASSPHRASE_CHARACTERS_MIN = 12

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")

KeyKind = Literal["raw", "passphrase"]


class UserKey:
    """A key as a user gives it."""

    __slots__ = ("_kind", "_secret")

    def __init__(self, kind: KeyKind, secret: bytes) -> None:
        self._kind: KeyKind = kind
        self._secret = secret

    @classmethod
    def parse(cls, text: str | SecretStr) -> UserKey:
        """Read 32 bytes in base64 or hex as a raw key, and anything else of 12 characters or more as a passphrase."""
        given = (text.get_secret_value() if isinstance(text, SecretStr) else text).strip()
        if not given:
            raise KeyMissingError("the encryption key is empty", next_step="'holdfast keys generate' makes one")
        if _HEX.fullmatch(given):
            return cls("raw", bytes.fromhex(given))
        if _BASE64.fullmatch(given):
            try:
                raw = base64.urlsafe_b64decode(given.rstrip("=").replace("+", "-").replace("/", "_") + "=")
            except binascii.Error:
                raw = b""
            if len(raw) == KEY_BYTES:
                return cls("raw", raw)
        if len(given) < PASSPHRASE_CHARACTERS_MIN:
            raise SettingsError(
                "the encryption key can't be used",
                reason=f"it is neither 32 bytes in base64 or hex nor a passphrase of {PASSPHRASE_CHARACTERS_MIN} characters",
                next_step="'holdfast keys generate' makes a good one",
            )
        return cls("passphrase", unicodedata.normalize("NFC", given).encode("utf-8"))

    @classmethod
    def generate(cls) -> tuple[UserKey, str]:
        """Make a random raw key; return it and its base64 text, to be shown once."""
        raw = secrets.token_bytes(KEY_BYTES)
        return cls("raw", raw), base64.b64encode(raw).decode("ascii")

    @property
    def kind(self) -> KeyKind:
        return self._kind

    @property
    def secret(self) -> bytes:
        """The key's bytes: for deriving a key file's wrapping key, and nothing else."""
        return self._secret

    @property
    def fingerprint(self) -> str:
        """Name a raw key without telling it: 16 hex digits of a digest. A passphrase has none (it could be guessed)."""
        if self._kind == "passphrase":
            return "passphrase"
        return hashlib.sha256(b"holdfast/1/fingerprint" + self._secret).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"UserKey({self.fingerprint})"

    def __reduce__(self) -> str:
        raise TypeError("a key can't be pickled")
