"""The tokens of the HTTP API: named, with scopes and an end, kept as digests in a file that only its owner may read.

A token is random and 256 bits long, so that its plain SHA-256 tells nothing of it. They lie in a file and not in the catalog,
because they are needed most when that is gone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from holdfast.errors import NotFoundError, RefusedError, SettingsError
from holdfast.private_file import write_private
from holdfast.repository import canonical

if TYPE_CHECKING:
    from holdfast.settings import Settings

Scope = Literal["read", "backup", "restore", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""read: look. backup: make and prove backups. restore: bring back, and carry out plans. admin: change plans and settings."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_PREFIX = "hf_"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token: everything but the token."""

    name: str
    scopes: frozenset[Scope]
    digest: str
    created_at: datetime
    expires_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at

    def document(self) -> dict[str, Any]:
        """Describe it, without its digest."""
        return {
            "name": self.name,
            "scopes": sorted(self.scopes, key=SCOPES.index),
            "createdAt": self.created_at,
            "expiresAt": self.expires_at,
        }


class Tokens:
    """The tokens in one file, which is read afresh whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, settings: Settings) -> Tokens:
        return cls(settings.api_tokens_file or settings.home.absolute() / "api" / "tokens.json")

    def all(self) -> list[Token]:
        """List them, also those that have expired. Raises SettingsError where the file can't be read."""
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
            return [_token(one) for one in said["tokens"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SettingsError(f"the tokens in {self._path} can't be read", reason=type(error).__name__) from error

    def find(self, token: str, now: datetime | None = None) -> Token | None:
        """Find the token that this is and that is valid now. The time it takes says nothing of the tokens there are."""
        digest = _digest(token)
        found = None
        for one in self.all():
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found if found is not None and found.is_valid(now or datetime.now(UTC)) else None

    def create(self, name: str, scopes: Iterable[Scope], expires_at: datetime | None = None) -> str:
        """Make a token and return it: it is shown this once. Raises SettingsError, and RefusedError where the name is taken."""
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{name!r} is not a name for a token", reason="letters, digits and . _ @ - are, 64 at most")
        there = self.all()
        if any(one.name == name for one in there):
            raise RefusedError(f"there is a token {name} already", next_step="Give another name, or revoke that one first")
        token = _PREFIX + secrets.token_urlsafe(32)
        self._write([*there, Token(name, frozenset(scopes), _digest(token), datetime.now(UTC), expires_at)])
        return token

    def revoke(self, name: str) -> Token:
        """Take a token away. Raises NotFoundError."""
        there = self.all()
        found = next((one for one in there if one.name == name), None)
        if found is None:
            raise NotFoundError(f"there is no token {name}", next_step="'holdfast tokens list' shows them")
        self._write([one for one in there if one.name != name])
        return found

    def _write(self, tokens: Iterable[Token]) -> None:
        said = {"tokens": [one.document() | {"digest": one.digest} for one in tokens]}
        write_private(self._path, json.dumps(said, indent=1, default=canonical.time_text).encode())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _token(said: dict[str, Any]) -> Token:
    expires_at = said["expiresAt"]
    return Token(
        said["name"],
        frozenset(said["scopes"]),
        said["digest"],
        canonical.time_from(said["createdAt"]),
        expires_at and canonical.time_from(expires_at),
    )
