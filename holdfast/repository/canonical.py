"""The one way in which Holdfast writes JSON: the same value is always the same bytes, so that a digest stands for it.

Sorted keys, no spaces, UTF-8, no NaN; times as `2025-11-23T20:04:12.123456Z`. What is read must be in this form too:
a file that says the same in other bytes was changed by somebody.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

from holdfast.errors import WorkFailedError

Json = dict[str, Any]

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def to_bytes(value: Json) -> bytes:
    """Write a JSON object in its canonical form. Raises WorkFailedError for what JSON or UTF-8 can't say."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (ValueError, TypeError) as error:
        raise WorkFailedError("a record can't be written as JSON", reason=str(error)) from error


def from_bytes(data: bytes) -> Json:
    """Read a JSON object that must be in canonical form. Raises ValueError saying what is wrong."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({type(error).__name__})") from error
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  callers treat every defect alike
    try:
        canonical = to_bytes(value)
    except WorkFailedError as error:
        raise ValueError("it is not in canonical form") from error
    if canonical != data:
        raise ValueError("it is not in canonical form")
    return value


def checksum(value: Json) -> str:
    """Return the SHA-256 of the canonical form, in hex."""
    return hashlib.sha256(to_bytes(value)).hexdigest()


def with_checksum(value: Json) -> bytes:
    """Write an object with a field `checksum` over all its other fields."""
    return to_bytes({**value, "checksum": checksum(value)})


def from_bytes_with_checksum(data: bytes) -> Json:
    """Read what `with_checksum` wrote, without the checksum. Raises ValueError."""
    value = from_bytes(data)
    if value.pop("checksum", None) != checksum(value):
        raise ValueError("its checksum does not match its content")
    return value


def now() -> datetime:
    """Return the time by this host's clock, aware UTC."""
    return datetime.now(UTC)


def time_text(moment: datetime) -> str:
    """Write an aware time in UTC with microseconds."""
    if moment.tzinfo is None:
        raise WorkFailedError(f"the time {moment.isoformat()} has no time zone")
    return moment.astimezone(UTC).strftime(_TIME)


def time_from(text: str) -> datetime:
    """Read what `time_text` wrote. Raises ValueError."""
    if _WRITTEN.fullmatch(text):
        return datetime.fromisoformat(text)  # many times as fast, and there are many
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
