"""A look into a configuration file: whether it is well formed, and what in it looks like a secret.

A file is kept byte for byte or not at all: a secret can't be cut out of it. Files of formats that are understood are looked at
value by value; all are looked at as text, for lines that give a name a value, and for what can only be a secret. What is
packed or enciphered is not seen through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from holdfast.sources.configuration.formats import Pair, Parsed, format_of, parse
from holdfast.sources.configuration.never import NeverKept
from holdfast.sources.configuration.secretness import has_known_form, looks_secret, name_looks_secret, shown_name

_OF_SECRETS = re.compile(
    r"(?:id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|\.pgpass|[._]netrc|\.htpasswd|\.git-credentials|.*\.(?:p12|pfx|jks|keystore|kdbx|ppk))"
)
_NAME = r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{0,100})"
_QUOTED = re.compile(_NAME + r"""["']?[ \t]{0,9}(?:=>?|:=?)[ \t]{0,9}(?P<quote>["'])(?P<value>[^"'\n]+)(?P=quote)""")
_LINE = re.compile(
    r"^[ \t]{0,200}(?P<comment>[#;]+|//|--)?[ \t]{0,9}(?:export[ \t]+)?"
    + _NAME
    + r"[ \t]{0,9}(?P<sign>=|:)?[ \t]{0,9}(?P<value>\S.*)$",
    re.MULTILINE,
)
_ELEMENT = re.compile(r"<(?P<name>[A-Za-z_][\w.-]{0,100})>(?P<value>[^<\n]+)</")


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found; `secret` are keys, or lines where there is no key, and `never` those that are kept for nobody."""

    invalid: str | None = None
    secret: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)


def inspect(path: str, data: bytes, never: NeverKept) -> Inspection:
    """Look into a file of this name."""
    kind = format_of(path)
    parsed = parse(kind, data) if kind else Parsed()
    text = _text_of(data)
    pairs = [*parsed.pairs, *_labelled(parsed.pairs), *_assignments(text, comments_only=kind is not None and not parsed.invalid)]
    held = [name for name, value in pairs if never.has(name.rpartition(".")[2], value)]
    if never.in_text(text) and not held:
        held = ["the key that opens the backups"]
    secret = [name for name, value in pairs if looks_secret(name, value)]
    secret += [f"line {number}" for number in _lines_of_known_form(text)] if not secret else []
    if _is_a_secret(path.rpartition("/")[2], text, is_structured=kind is not None):
        secret.append("the file itself")
    return Inspection(parsed.invalid, _names(secret), _names(held))


def _labelled(pairs: list[Pair]) -> Iterator[Pair]:
    """Yield values under the names that the value before gives them: `{name: X, value: …}`, and options of a command."""
    for (before, label), (path, value) in pairwise(pairs):
        parent, _, leaf = path.rpartition(".")
        is_named = leaf == "value" and before in (f"{parent}.name", f"{parent}.key")
        if is_named or (label.startswith("-") and not value.startswith("-")):
            yield f"{path}.{label.lstrip('-')}", value


def _is_a_secret(name: str, text: str, *, is_structured: bool) -> bool:
    """Whether a file is kept for the sake of one secret: a key, a store of passwords, a line that is a token."""
    if _OF_SECRETS.fullmatch(name):
        return True
    line = text.strip()
    if is_structured or len(line.split()) != 1:
        return False
    return looks_secret(name.partition(".")[0] or name, line)


def _names(found: list[str]) -> list[str]:
    """Each name once; a name that could itself be a secret is not told."""
    return list(dict.fromkeys(shown_name(name) for name in found))


def _text_of(data: bytes) -> str:
    """Read any file as text: plain letters, of which a token is made, are the same in all encodings but for zero bytes."""
    return data.decode("utf-8-sig", "replace").replace("\0", "")


def _assignments(text: str, *, comments_only: bool) -> Iterator[Pair]:
    for found in _LINE.finditer(text):
        name, value = found["name"], found["value"].rstrip(" \t\r;,").strip("\"'")
        if found["comment"] or not found["sign"]:
            plain = " " not in value and (found["sign"] or name_looks_secret(name))
            if plain and (found["comment"] or not comments_only):
                yield name, value
        elif not comments_only:
            yield name, value
    for pattern in () if comments_only else (_QUOTED, _ELEMENT):
        yield from ((found["name"], found["value"]) for found in pattern.finditer(text))


def _lines_of_known_form(text: str) -> list[int]:
    if not has_known_form(text):
        return []
    return [number for number, line in enumerate(text.splitlines(), 1) if has_known_form(line)] or [1]
