"""Secrets' values in places where none may stand: files are searched as they are, block by block, and only names are told.

A value is looked for where it can be told from a word: long enough, no placeholder, and secret by its name or its form. What is
meant for everybody, such as a publishable key, may stand anywhere. What is packed or encoded otherwise than in a URL is not seen
through.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from holdfast.secret_texts import secret_parts
from holdfast.settings.placeholder import is_placeholder
from holdfast.sources.configuration.secretness import looks_secret
from holdfast.sources.secrets.contract import PLACEHOLDER

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline

_SHORTEST = 8
_SURELY_NO_WORD = 16
_BLOCK_BYTES = 1 << 20
_PUBLIC_NAME = re.compile(r"(?:^|_)(?:PUBLIC|PUBLISHABLE)(?:_|$)|(?:^|_)ANON_KEY$", re.IGNORECASE)
_PUBLIC_VALUE = re.compile(r"pk_(?:live|test)_|sb_publishable_")


@dataclass(frozen=True, slots=True)
class Needle:
    """What is searched for: one form of the value of a secret, which is called `provider/name`."""

    secret: str
    text: bytes = field(repr=False)


@dataclass(slots=True)
class Leaks:
    """Files by the secrets that were found in them; and what was not searched to its beginning, or not at all."""

    found: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    files: int = 0
    in_part: list[str] = field(default_factory=list)
    not_read: list[str] = field(default_factory=list)


def needles_of(secret: str, name: str, value: bytes, *, always_secret: bool) -> Iterator[Needle]:
    """Yield what to search for of a value; nothing where it is not secret, or can't be told from a word."""
    text = value.decode("utf-8", "surrogateescape")
    if _PUBLIC_NAME.search(name) or _PUBLIC_VALUE.match(text):
        return
    for part_name, whole in _parts(name, text):
        if not (looks_secret(part_name, whole) or (always_secret and whole == text)):
            continue
        for part in secret_parts(whole):
            if _can_be_told(part):
                yield from (Needle(secret, one) for one in {os.fsencode(part), quote(os.fsencode(part), safe="").encode()})


def search(paths: Iterable[tuple[Path, str]], needles: Iterable[Needle], deadline: Deadline, *, last_bytes: int | None) -> Leaks:
    """Search files, each with what it is called; of a longer one only its last bytes. Raises TimeLimitError."""
    leaks, searching = Leaks(), _Search(list(needles), deadline, last_bytes)
    for path, name in paths if searching.needles else ():
        try:
            hits, whole = searching.hits_in(path)
        except OSError:
            leaks.not_read.append(name)
            continue
        leaks.files += 1
        leaks.in_part += [] if whole else [name]
        for secret in sorted(hits):
            leaks.found[secret].append(name)
    return leaks


@dataclass(frozen=True, slots=True)
class _Search:
    """What is searched for, and how far."""

    needles: list[Needle]
    deadline: Deadline
    last_bytes: int | None

    def hits_in(self, path: Path) -> tuple[set[str], bool]:
        """Name the secrets that stand in a file; and tell whether all of it was searched."""
        hits: set[str] = set()
        overlap = max(len(one.text) for one in self.needles) - 1
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(handle, "rb", buffering=0) as file:
            before = 0 if self.last_bytes is None else max(0, os.fstat(file.fileno()).st_size - self.last_bytes)
            file.seek(before)
            kept = b""
            while block := file.read(_BLOCK_BYTES):
                self.deadline.require()
                window = kept + block
                hits |= {one.secret for one in self.needles if one.secret not in hits and one.text in window}
                kept = window[-overlap:]
        return hits, before == 0


def _parts(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield a value, or where it is JSON, the texts in it."""
    if text.lstrip()[:1] in {"{", "["}:
        try:
            yield from _texts(name, json.loads(text))
        except ValueError:
            yield name, text
    else:
        yield name, text


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(name, inner)
    elif isinstance(value, str):
        yield name, value


def _can_be_told(text: str) -> bool:
    if len(text) < _SHORTEST or text.startswith(PLACEHOLDER) or is_placeholder(text):
        return False
    kinds = (str.isalpha, str.isdigit, lambda one: not one.isalnum())
    return len(text) >= _SURELY_NO_WORD or sum(any(map(kind, text)) for kind in kinds) > 1
