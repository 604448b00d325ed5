"""The contract of every place that keeps secrets: what is known of each, and never its value.

What a source, a command and a recovery plan rely on:

- A value is read only to be digested, by the function that `read` is given, and is in no record, error, log or result. Where a
  provider itself tells a digest, that is digested again: a plain one can be guessed from.
- `read` lists every secret, sorted by name. One that can't be read is left out and named; a place that can't be read at all
  raises. A right that is lacking for the value alone costs the digest, not the record, and is said in `notes`.
- `rotate` puts a new random value in force and keeps the rest as it was. If it raises, the old value is still in force; only
  where a service did not answer it may be the new one, and rotating again settles it.
- `restore` recreates names that are missing, each with a placeholder as its value, and what belongs to them. A value that is
  there is never touched, whatever the backup says; doing it twice does nothing more.
- Errors are those of `holdfast.errors`, and name provider and secret.
"""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, Literal

from holdfast.errors import RefusedError
from holdfast.repository import canonical
from holdfast.sources.configuration.secretness import has_known_form
from holdfast.sources.contract import LeftOut

Json = dict[str, Any]
Digest = Callable[[bytes], str | None]
"""Digests a value under a key of the repository (`Repository.secret_digest`); None where the repository has none."""

PLACEHOLDER = "__holdfast_placeholder__"
_FORMS = {
    r"\A[A-Za-z][A-Za-z0-9+.-]*://": "an address",
    r"-----BEGIN ": "a key or certificate",
    r"\A\s*[{\[]": "JSON",
    r"\A(?i:true|false|yes|no|on|off|[0-9.,]{1,11})\Z": "a number or a switch",
}
_TIMES = ("created_at", "changed_at", "last_accessed_at")


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """What is known of one secret. None means that the provider doesn't tell.

    `readers` are those who may read the value and `used_in` the places that use it, as people know them. `attributes` are what
    only this provider has.
    """

    provider: str
    name: str
    digest: str | None = None
    version: str | None = None
    created_at: datetime | None = None
    changed_at: datetime | None = None
    last_accessed_at: datetime | None = None
    rotation: Json | None = None
    tags: dict[str, str] = field(default_factory=dict)
    readers: list[str] | None = None
    used_in: list[str] = field(default_factory=list)
    attributes: Json = field(default_factory=dict)

    def to_json(self) -> Json:
        value: Json = {field.name: getattr(self, field.name) for field in fields(self)}
        return value | {name: value[name] and canonical.time_text(value[name]) for name in _TIMES}

    @classmethod
    def from_json(cls, value: Json) -> SecretRecord:
        """Raises ValueError for what `to_json` did not write."""
        try:
            return cls(**value | {name: value[name] and canonical.time_from(value[name]) for name in _TIMES})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the record of a secret has a field that is missing or wrong ({type(error).__name__})") from error


@dataclass(slots=True)
class SecretsFound:
    """What a provider told. `notes` say what it could not tell of any secret, and why."""

    records: list[SecretRecord] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new value is in force; the value itself is nowhere but with the provider."""

    provider: str
    name: str
    rotated_at: datetime
    version: str | None = None


@dataclass(slots=True)
class RestoredSecrets:
    """What a restore did, or would do in a dry run: names of secrets.

    `created` have a placeholder now and wait for a value; `amended` were there and got back tags or rotation settings; `kept`
    were there and are as they were.
    """

    provider: str
    dry_run: bool
    created: list[str] = field(default_factory=list)
    amended: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


class SecretProvider(ABC):
    """A place that keeps secrets; `close` it after use."""

    kind: ClassVar[str]
    """What it is, such as `aws`; a record restored elsewhere goes to a provider of its kind."""
    can_rotate: ClassVar[bool] = False
    can_restore: ClassVar[bool] = False

    def __init__(self, name: str | None = None) -> None:
        self._name = name or self.kind

    @property
    def name(self) -> str:
        """What it is called: unique among the providers of a backup, and the same each time."""
        return self._name

    @property
    @abstractmethod
    def description(self) -> Json:
        """Say where the secrets are kept, for people: `kind`, `name` and the place; no secret, and the same each time."""

    @abstractmethod
    def read(self, digest: Digest) -> SecretsFound:
        """Tell what is known of every secret. Raises SourceDeniedError, AccessDeniedError, UnreachableError, NotFoundError."""

    def rotate(self, name: str) -> Rotation:
        """Put a new random value in force. Raises NotFoundError, RefusedError."""
        raise self._unable(f"rotate {name!r}")

    def restore(self, records: Iterable[SecretRecord], *, dry_run: bool = False) -> RestoredSecrets:
        """Recreate what is missing of these records of a provider of this kind, with placeholders for values."""
        raise self._unable("recreate secrets")

    def close(self) -> None:  # noqa: B027  most providers hold nothing open
        """Release what the provider holds open."""

    def _unable(self, doing: str) -> RefusedError:
        return RefusedError(
            f"{self.name} can't {doing}",
            reason=f"providers of kind {self.kind} don't offer that",
            next_step="Do it there by hand",
        )


State = Literal["value", "placeholder"]


def placeholder() -> str:
    """Make a value that stands for one that is not there yet: to be recognized, and never to be guessed."""
    return PLACEHOLDER + secrets.token_hex(16)


def new_value() -> str:
    """Make a new value: 256 random bits, of characters that need no quoting anywhere."""
    return secrets.token_hex(32)


def require_replaceable(name: str, value: str) -> None:
    """Refuse to put a random text where it would be none of what was there: nobody could bring the old value back.

    Raises RefusedError.
    """
    for form, what in _FORMS.items():
        if re.search(form, value):
            raise RefusedError(
                f"{name} was not rotated",
                reason=f"its value is {what}, and a random text is none",
                next_step="Change it by hand, where what it belongs to is changed",
            )
    if has_known_form(value):
        raise RefusedError(
            f"{name} was not rotated",
            reason="its value has the form of one that another service gives out, and a random text would open nothing there",
            next_step="Have that service give out another one, and set it by hand",
        )


def state_of(value: bytes) -> State:
    """Tell a placeholder from a value; it goes into a record's attributes, as `state`."""
    return "placeholder" if value.startswith(PLACEHOLDER.encode()) else "value"
