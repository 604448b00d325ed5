"""The tokens of the HTTP API: named, with scopes and an end, kept as digests in a file that only its owner may write.

A token is random and 256 bits long, so that its plain SHA-256 tells nothing of it. They lie in a file and not in the catalog,
because they are needed most when that is gone. What can't be read for certain is an error, never "there are no tokens".
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from holdfast.errors import NotFoundError, RefusedError, SettingsError
from holdfast.private_file import write_private
from holdfast.private_folder import make_private_folder
from holdfast.repository import canonical

if TYPE_CHECKING:
    from holdfast.settings import Settings

Scope = Literal["read", "backup", "restore", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""read: look. backup: make and prove backups. restore: bring back, and carry out plans. admin: change plans and settings."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = "hf_"
_LONGEST = 512
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

_Mark = tuple[int, int, int, int, int, int]


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
    """The tokens in one file, which is read afresh whenever it has changed. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._mark: _Mark | None = None
        self._read: list[Token] = []

    @classmethod
    def of(cls, settings: Settings) -> Tokens:
        return cls(settings.api_tokens_file or settings.home.absolute() / "api" / "tokens.json")

    def all(self) -> list[Token]:
        """List them, also those that have expired. Raises SettingsError where it can't be known which there are."""
        with self._lock:
            mark = self._changed()
            if mark is not None:
                self._read = _read(self.path)
                self._mark = mark
            return list(self._read)

    def find(self, token: str, now: datetime | None = None) -> Token | None:
        """Find the token that this is and that is valid now. The time it takes says nothing of the tokens there are."""
        digest = _digest(token[:_LONGEST])
        found = None
        for one in self.all():
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found if found is not None and found.is_valid(now or datetime.now(UTC)) else None

    def create(self, name: str, scopes: Iterable[Scope], expires_at: datetime | None = None) -> str:
        """Make a token and return it: it is shown this once. Raises SettingsError, and RefusedError where the name is taken."""
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{name!r} is not a name for a token", reason="letters, digits and . _ @ - are, 64 at most")
        with self._alone():
            there = self.all()
            if any(one.name == name for one in there):
                raise RefusedError(f"there is a token {name} already", next_step="Give another name, or revoke that one first")
            token = _PREFIX + secrets.token_urlsafe(32)
            made = Token(name, frozenset(scopes), _digest(token), datetime.now(UTC).replace(microsecond=0), expires_at)
            self._write([*there, made])
        return token

    def revoke(self, name: str) -> Token:
        """Take a token away. Raises NotFoundError."""
        with self._alone():
            there = self.all()
            found = next((one for one in there if one.name == name), None)
            if found is None:
                raise NotFoundError(f"there is no token {name}", next_step="'holdfast tokens list' shows them")
            self._write([one for one in there if one.name != name])
        return found

    def _changed(self) -> _Mark | None:
        """Return what tells the file as it is now from what was read, None where it is the same, or was never there."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            if self._mark is not None:
                raise _unreadable(self.path, "it was there, and is gone") from None
            return None
        except OSError as error:
            raise _unreadable(self.path, str(error.strerror)) from error
        mark = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode)
        if mark == self._mark:
            return None
        _require_ours(self.path, found)
        return mark

    def _write(self, tokens: Iterable[Token]) -> None:
        said = {"tokens": [one.document() | {"digest": one.digest} for one in tokens]}
        try:
            write_private(self.path, json.dumps(said, indent=1, default=canonical.time_text).encode())
        except OSError as error:
            raise SettingsError(f"the tokens can't be written to {self.path}", reason=error.strerror) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Change the file alone, and tidy away what somebody who was killed while at it has left."""
        try:
            make_private_folder(self.path.parent)
            lock = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(f"the tokens can't be written to {self.path}", reason=error.strerror) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for half in self.path.parent.glob(f".{self.path.name}-*"):
                half.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _require_ours(path: Path, found: os.stat_result) -> None:
    """Raise SettingsError where somebody else could have written the file, and so let himself in."""
    if not stat.S_ISREG(found.st_mode):
        raise _unreadable(path, "it is not a file")
    if found.st_uid not in {0, os.geteuid()}:
        raise _unreadable(path, "it belongs to another user", f"Have it belong to you: chown {os.geteuid()} {path}")
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise _unreadable(path, "others may write it", f"Look at what is in it, then: chmod 600 {path}")


def _read(path: Path) -> list[Token]:
    try:
        found = [_token(one) for one in json.loads(path.read_text(encoding="utf-8"))["tokens"]]
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(
            path, "it is damaged", "Make the tokens anew: move the file away, then holdfast tokens create"
        ) from error
    if len({one.name for one in found}) < len(found):
        raise _unreadable(path, "it has a name twice")
    return found


def _token(said: dict[str, Any]) -> Token:
    if not (_NAME.fullmatch(said["name"]) and _DIGEST.fullmatch(said["digest"]) and set(said["scopes"]) <= set(SCOPES)):
        raise ValueError("a token is not as we write it")
    expires_at = said["expiresAt"]
    return Token(
        said["name"],
        frozenset(said["scopes"]),
        said["digest"],
        canonical.time_from(said["createdAt"]),
        None if expires_at is None else canonical.time_from(expires_at),
    )


def _unreadable(path: Path, reason: str, next_step: str | None = None) -> SettingsError:
    return SettingsError(f"the tokens in {path} can't be used", reason=reason, next_step=next_step)
