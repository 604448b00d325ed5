"""What the Management API says of functions and secrets, as typed values; an answer of another form is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from holdfast.errors import SourceFailedError, UnsafePathError

Json = dict[str, Any]
_YEAR_10000 = 253_402_300_800_000
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_OF_A_SWITCH = (
    "id", "slug", "name", "status", "version", "created_at", "verify_jwt", "import_map", "entrypoint_path", "import_map_path",
    "ezbr_sha256",
)  # fmt: skip


class SecretDigest(TypedDict):
    """A secret as the API shows it: `value` is a SHA-256 of the value, never the value itself."""

    name: str
    value: str
    updated_at: str | None


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """What is known of a deployed function; times are milliseconds since 1970. Paths are the service's: see `deployed`."""

    id: str
    slug: str
    name: str
    status: str
    version: int
    created_at: int | None
    updated_at: int | None
    verify_jwt: bool
    import_map: bool
    entrypoint_path: str | None
    import_map_path: str | None
    ezbr_sha256: str | None

    @property
    def modified_ns(self) -> int:
        """When it was changed last, for the files of a backup."""
        return (self.updated_at or self.created_at or 0) * 1_000_000

    def to_json(self) -> Json:
        """Write all that is known."""
        return asdict(self)

    def for_switch(self) -> Json:
        """Write what the update of a whole set takes: what is unknown is left away, as the API has no null there."""
        value = self.to_json()
        return {key: value[key] for key in _OF_A_SWITCH if value[key] is not None}

    @classmethod
    def from_json(cls, value: Any, what: str) -> FunctionInfo:
        """Read one; `what` says what was asked. Raises SourceFailedError, UnsafePathError."""
        try:
            return cls(
                id=str(value["id"]),
                slug=slug(value["slug"]),
                name=str(value.get("name") or value["slug"]),
                status=str(value.get("status") or "ACTIVE"),
                version=int(value["version"]),
                created_at=_milliseconds(value.get("created_at")),
                updated_at=_milliseconds(value.get("updated_at")),
                verify_jwt=value.get("verify_jwt") is not False,  # the service's own default, and the safe side
                import_map=value.get("import_map") is True,
                entrypoint_path=_text(value, "entrypoint_path"),
                import_map_path=_text(value, "import_map_path"),
                ezbr_sha256=_text(value, "ezbr_sha256"),
            )
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise _nonsense(what, "a function in its answer lacks a field, or has a wrong one") from error


def secret_digest(value: Any, what: str) -> SecretDigest:
    """Read one secret of a list. Raises SourceFailedError, whose chain holds nothing of the answer."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str) or not isinstance(value.get("value"), str):
        raise _nonsense(what, "a secret in its answer has no name, or no digest")
    return SecretDigest(name=value["name"], value=value["value"], updated_at=_text(value, "updated_at"))


def items(value: Any, what: str) -> list[Any]:
    """Take an answer that must be a list. Raises SourceFailedError."""
    if not isinstance(value, list):
        raise _nonsense(what, "its answer is no list")
    return value


def slug(text: Any) -> str:
    """Return the name of a function, which becomes a folder. Raises UnsafePathError."""
    if not isinstance(text, str) or not _SLUG.fullmatch(text):
        raise UnsafePathError(
            f"{str(text)[:128]!r} can't be the slug of a function", reason="it has letters, digits, '-' and '_' only"
        )
    return text


def _text(value: Mapping[str, Any], key: str) -> str | None:
    found = value.get(key)
    return str(found) if found else None


def _milliseconds(value: Any) -> int | None:
    """The API gives numbers; some of its documents show times as text."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        value = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if value is None or (isinstance(value, int) and 0 <= value < _YEAR_10000):
        return value
    raise ValueError("it is no time")


def _nonsense(what: str, reason: str) -> SourceFailedError:
    return SourceFailedError(f"could not {what}", reason=reason, next_step="Check BACKUP_SUPABASE_API_URL")
