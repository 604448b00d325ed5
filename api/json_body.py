"""What a body of JSON may be: sent as JSON, in UTF-8, with no name twice, not too deep, and of text that every part can keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from holdfast.errors import RequestInvalidError

DEEPEST = 32
JSON = "application/json"
_LONGEST_TOLD = 100
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")


def require_json(body: bytes) -> None:
    """Raise RequestInvalidError, which says what of it is wrong and shows nothing of it."""
    try:
        said = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise RequestInvalidError("the body is not UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        where = f"at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else None
        raise RequestInvalidError("the body is no JSON", reason=where) from None
    _require_plain(said)


def require_json_type(content_type: str, encoding: str) -> None:
    """Raise RequestInvalidError where a body says that it is anything else: a page of another site can't send JSON unasked."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != JSON or ("charset" in rest.lower() and "utf-8" not in rest.lower()):
        raise RequestInvalidError("the body has to be JSON", next_step=f"Send it with 'Content-Type: {JSON}'")
    if encoding.strip().lower() not in {"", "identity"}:
        raise RequestInvalidError("the body is compressed, which is not understood here", next_step="Send it as it is")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) < len(pairs):
        twice = _told(_first_twice(name for name, _ in pairs))
        raise RequestInvalidError(f"the body has the name {twice!r} twice", fields={twice: "stands there twice"})
    return said


def _first_twice(names: Iterable[str]) -> str:
    """Find a name that stands there twice, seeing each once: anybody may send a hundred thousand of them."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name stands there twice")


def _told(name: str) -> str:
    """Return a name as an answer can hold it: nobody has looked yet at what it is of."""
    return _UNKEEPABLE.sub("?", name[:_LONGEST_TOLD])


def _no_number(name: str) -> Any:
    raise RequestInvalidError(f"the body holds {name}, which is no JSON")


def _require_plain(said: Any) -> None:
    """Look at every value once, and at none from within another: a hostile body must not use up the stack."""
    level: list[Any] = [said]
    for _ in range(DEEPEST + 1):
        if not level:
            return
        level = [inner for one in level for inner in _within(one)]
    if level:
        raise _too_deep()


def _within(value: Any) -> list[Any]:
    if isinstance(value, str):
        if not is_plain(value):
            raise RequestInvalidError("the body holds text with characters that can't be kept (NUL, or half of a pair)")
        return []
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def is_plain(text: str) -> bool:
    """Tell whether PostgreSQL and UTF-8 can hold a text."""
    return _UNKEEPABLE.search(text) is None


def _too_deep() -> RequestInvalidError:
    return RequestInvalidError(f"the body is nested deeper than {DEEPEST} levels")
