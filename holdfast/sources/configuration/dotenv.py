"""Variables in an `.env` file: written so that they are read back as they were, and changed without touching any other line.

A value is quoted so that python-dotenv and shells agree on it wherever they can. They can't on a value with `$` beside
`'` or `\\`, which is written for python-dotenv; and that puts variables into `${NAME}` whatever the quotes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

from dotenv.parser import Binding, parse_stream

from holdfast.errors import RefusedError

_MARK = "\ufeff"  # some editors begin a file with it
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]*")
_NAME = re.compile(r"[^=#\s'\"]+")
_LINE = re.compile(
    r"""(?P<lead>\s*(?:export[^\S\r\n]+)?)
        (?:'[^']+'|[^=\#\s]+) [^\S\r\n]* (?:=[^\S\r\n]* (?:'(?:\\'|[^'])*' | "(?:\\"|[^"])*" | [^\r\n]*?) )?
        (?P<rest>(?:[^\S\r\n]+\#[^\r\n]*)?[^\S\r\n]*(?:\r\n|\n|\r)?)""",
    re.VERBOSE,
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}


def document(variables: Mapping[str, str]) -> bytes:
    """Write variables as an `.env` file."""
    return "".join(f"{_assignment(name, value)}\n" for name, value in sorted(variables.items())).encode()


def holds(name: str) -> bool:
    """Tell whether an `.env` file can hold a variable of this name."""
    return _NAME.fullmatch(name) is not None


def read(text: str) -> dict[str, str]:
    """Read the variables of an `.env` file as they stand there; the last of a name counts."""
    found = parse_stream(io.StringIO(text.removeprefix(_MARK)))
    return {binding.key: binding.value or "" for binding in found if binding.key is not None}


def with_variables(text: str, variables: Mapping[str, str]) -> str:
    """Return an `.env` file's text with these values. Raises RefusedError for a name that no such file can hold."""
    mark = _MARK if text.startswith(_MARK) else ""
    bindings = list(parse_stream(io.StringIO(text.removeprefix(_MARK))))
    lines = [binding.original.string for binding in bindings]
    last = {binding.key: number for number, binding in enumerate(bindings) if binding.key is not None}
    newline = "\r\n" if "\r\n" in text else "\n"
    for name, value in variables.items():
        if name in last:
            lines[last[name]] = _changed(bindings[last[name]], _assignment(name, value), newline)
        else:
            if lines and not lines[-1].endswith(("\n", "\r")):
                lines[-1] += newline
            lines.append(_assignment(name, value) + newline)
    return mark + "".join(lines)


def _changed(binding: Binding, assignment: str, newline: str) -> str:
    found = _LINE.fullmatch(binding.original.string)
    return f"{found['lead']}{assignment}{found['rest']}" if found else assignment + newline


def _assignment(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise RefusedError(f"the variable {name!r} can't be kept in an .env file", reason="no such file has such a name")
    return f"{name}={_quoted(value)}"


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if not any(character in value for character in "'\\\r"):
        return f"'{value}'"
    if "\r" in value or not any(character in value for character in "$`"):
        return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
