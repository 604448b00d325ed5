"""A chain of lines: each is an entry with its place and the digest of the line before, so that no line can change unseen.

A digest is the SHA-256 of the line's canonical form. Whoever knows the digest of the last line knows all lines before it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from holdfast.audit.entry import Entry
from holdfast.repository import canonical

Json = dict[str, Any]

BEFORE_THE_FIRST = "0" * 64
"""What the first line of a chain says of the one before it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of a chain; sequence 0 where it has none yet."""

    chain: str
    sequence: int = 0
    digest: str = BEFORE_THE_FIRST


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is kept: `text` is its canonical form, and `digest` is what was kept as its digest."""

    chain: str
    sequence: int
    digest: str
    text: str

    @property
    def head(self) -> Head:
        return Head(self.chain, self.sequence, self.digest)

    def content(self) -> Json:
        """Read what it says. Raises ValueError where it is not in canonical form."""
        return _read_fast(self.text) or canonical.from_bytes(self.text.encode())

    def document(self) -> Json:
        """Describe it as answers and `--json` do. Raises ValueError."""
        content = self.content()
        place = {"chain": self.chain, "sequence": self.sequence, "digest": self.digest}
        return {**place, **{name: one for name, one in Entry.of(content).document().items() if name != "schema"}}


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a chain is not what it was: the first such line, and what is wrong with it."""

    chain: str
    sequence: int
    what: str

    def __str__(self) -> str:
        return f"line {self.sequence} of the chain {self.chain}: {self.what}"

    def document(self) -> Json:
        return {"chain": self.chain, "sequence": self.sequence, "what": self.what}


def _read_fast(text: str) -> Json | None:
    """Read a line that is surely in canonical form; None where that takes a slower look. A log has a hundred thousand lines."""
    try:
        content: Json = orjson.loads(text)
        return content if orjson.dumps(content, option=orjson.OPT_SORT_KEYS) == text.encode() else None
    except (ValueError, TypeError):
        return None


def new_chain() -> str:
    """Make the id of a chain."""
    return secrets.token_hex(16)


def line_after(head: Head, record: Json) -> Line:
    """Put an entry's record at the end of a chain."""
    sequence = head.sequence + 1
    content = {**record, "chain": head.chain, "sequence": sequence, "previous": head.digest}
    return line_of(head.chain, sequence, content)


def line_of(chain: str, sequence: int, content: Json) -> Line:
    """Make the line of what it says."""
    text = canonical.to_bytes(content)
    return Line(chain, sequence, hashlib.sha256(text).hexdigest(), text.decode())


def follow(chain: str, lines: Iterable[Line], found: Head | None = None) -> Iterator[Line | Fault]:
    """Yield the lines as far as each fits the one before it, then what is wrong with the first that does not, and end."""
    head = found or Head(chain)
    for line in lines:
        what = fault_of(head, line)
        if what is not None:
            yield Fault(chain, min(line.sequence, head.sequence + 1), what)
            return
        yield line
        head = line.head


def fault_of(head: Head, line: Line) -> str | None:
    """Tell what is wrong with a line that is to follow this one; None where nothing is."""
    what = _misplaced(head, line)
    if what is not None:
        return what
    if hashlib.sha256(line.text.encode()).hexdigest() != line.digest:
        return "it was changed: its digest is not that of what it says"
    try:
        content = line.content()
    except ValueError as error:
        return f"it was changed: {error}"
    return content_fault(head, line, content)


def content_fault(head: Head, line: Line, content: Json) -> str | None:
    """Tell what is wrong with what a line says, whose digest is right; None where nothing is."""
    what = _misplaced(head, line)
    if what is not None:
        return what
    try:
        Entry.of(content)
    except ValueError as error:
        return f"it was changed: {error}"
    if (content.get("chain"), content.get("sequence")) != (line.chain, line.sequence):
        return f"it was put here: it says that it is line {content.get('sequence')} of the chain {content.get('chain')}"
    if content.get("previous") != head.digest:
        return "it was put in, or the line before it was changed: it does not follow that"
    return None


def _misplaced(head: Head, line: Line) -> str | None:
    expected = head.sequence + 1
    if line.sequence > expected:
        return "it is missing" if line.sequence == expected + 1 else f"it is missing, and so are all up to {line.sequence - 1}"
    if line.sequence < expected:
        return "it is there twice"
    return None
