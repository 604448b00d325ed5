"""The text of a `.env` file, taken apart so that one value can be replaced and every other byte stays.

A line that is none of a `.env` file is named by its number alone: it may be a piece of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from holdfast.sources.contract import LeftOut

_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_QUOTES = "\"'`"
_PADDING = f"={_QUOTES} \t\r\n"
_COMMENT = re.compile(r"[ \t]#")
_SPACE = re.compile(r"[ \t]*")
_AFTER_QUOTE = re.compile(r"[ \t]*(?:#.*)?\r?\n?\Z")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `NAME=value`: its line, and where in the text the value lies, quotes included."""

    name: str
    value: str = field(repr=False)
    line: int
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that can't be understood, and the name that it seems to give a value; sure only where `shown`."""

    line: int
    reason: str
    name: str | None = field(default=None, repr=False)
    shown: bool = False

    def left_out(self) -> LeftOut:
        """Say that it is, and where."""
        if self.name and self.shown:
            return LeftOut(self.name, f"line {self.line}: {self.reason}")
        return LeftOut(f"line {self.line}", self.reason)


@dataclass(slots=True)
class Dotenv:
    """A `.env` file's text, its assignments in order, and the lines that are none."""

    text: str = field(repr=False)
    assignments: list[Assignment] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    ends_early: bool = False
    """Whether a quote is never closed, so that what follows it is not known."""

    @classmethod
    def parse(cls, text: str) -> Dotenv:
        """Take it apart; never raises, for what can't be understood is in `broken`."""
        found, reader = cls(text), _Reader(text)
        for one in reader.read():
            if isinstance(one, Assignment):
                found.assignments.append(one)
            else:
                found.broken.append(one)
        found.ends_early = reader.ends_early
        return found

    def values(self) -> dict[str, Assignment]:
        """Return the assignment that counts of each name: the last."""
        return {one.name: one for one in self.assignments}

    def names(self) -> set[str]:
        """Return every name that has a value, also where it can't be understood."""
        return {one.name for one in self.assignments} | {one.name for one in self.broken if one.name}

    def with_value(self, name: str, value: str) -> str:
        """Return the text with a new value, of characters that need no quoting, wherever the name is given one."""
        pieces, at = [], 0
        for one in self.assignments:
            if one.name == name:
                pieces += [self.text[at : one.start], one.quote, value, one.quote]
                at = one.end
        return "".join([*pieces, self.text[at:]])

    def with_added(self, values: dict[str, str]) -> str:
        """Return the text with these names, which it has not, at its end."""
        newline = "\r\n" if "\r\n" in self.text else "\n"
        text = self.text
        if text.strip("\ufeff") and not text.endswith("\n"):
            text += newline
        return text + "".join(f"{name}={value}{newline}" for name, value in values.items())


def is_name(text: str) -> bool:
    """Tell whether this can be a name in a `.env` file."""
    found = _NAME.match(f"{text}=")
    return found is not None and found[1] == text


class _Reader:
    """Goes through the text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 1 if text.startswith("\ufeff") else 0
        self._line = 1
        self.ends_early = False

    def read(self) -> Iterator[Assignment | Broken]:
        found: Assignment | Broken | None = None
        while self._at < len(self._text):
            found = self._next(after_broken=isinstance(found, Broken))
            if found is not None:
                yield found

    def _next(self, *, after_broken: bool) -> Assignment | Broken | None:
        line, start, end = self._line, self._at, self._end_of_line(self._at)
        whole = self._text[start:end].strip()
        name = _NAME.match(self._text, start, end)
        if not whole or whole.startswith("#"):
            self._go_to(end)
            return None
        if name is None:
            self._go_to(end)
            return Broken(line, "it is not NAME=value")
        begin = _SPACE.match(self._text, name.end(), end).end()  # type: ignore[union-attr]
        if after_broken and not self._text[begin:end].strip(_PADDING):
            self._go_to(end)  # such a text must not become a name
            return Broken(line, "it looks like the end of something in base64", name[1])
        if begin < end and self._text[begin] in _QUOTES:
            return self._quoted(name[1], line, begin, shown=not after_broken)
        comment = _COMMENT.search(self._text, name.end(), end)
        value = self._text[name.end() : comment.start() if comment else end].strip()
        self._go_to(end)
        begin = begin if value else name.end()
        return Assignment(name[1], value, line, begin, begin + len(value), "")

    def _quoted(self, name: str, line: int, begin: int, *, shown: bool) -> Assignment | Broken:
        quote = self._text[begin]
        close = self._closing(quote, begin + 1)
        if close is None:
            self._go_to(len(self._text))  # what follows may be the inside of a key: none of it can be told apart
            self.ends_early = True
            return Broken(line, "its quote is never closed, so nothing after it can be read", name, shown)
        end = self._end_of_line(close)
        rest = self._text[close + 1 : end]
        self._go_to(end)
        if not _AFTER_QUOTE.match(rest):
            return Broken(line, "something follows its closing quote", name, shown)
        value = self._text[begin + 1 : close].replace("\r\n", "\n")
        if quote == '"':
            value = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), value)
        return Assignment(name, value, line, begin, close + 1, quote)

    def _closing(self, quote: str, at: int) -> int | None:
        pattern = re.compile(r'(?:[^"\\]|\\.)*+"' if quote == '"' else f"[^{quote}]*+{quote}", re.DOTALL)
        found = pattern.match(self._text, at)
        return None if found is None else found.end() - 1

    def _end_of_line(self, at: int) -> int:
        found = self._text.find("\n", at)
        return len(self._text) if found < 0 else found + 1

    def _go_to(self, at: int) -> None:
        self._line += self._text.count("\n", self._at, at)
        self._at = at
