"""The text of an `.env` file, taken apart so that values can be read and replaced while every other byte stays.

It is read as python-dotenv reads it, by which the settings are, and `backticks` quote, too, as they do where functions are
served. A value is written so that python-dotenv and shells agree on it wherever they can. They can't on a value with `$` beside
`'` or `\\`, which is written for python-dotenv; and that puts variables into `${NAME}` whatever the quotes.
A line that is none of an `.env` file is named by its number alone: it may be a piece of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from holdfast.errors import RefusedError
from holdfast.sources.contract import LeftOut

_MARK = "\ufeff"  # some editors begin a file with it
_CAREFUL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ANY_NAME = re.compile(r"[^=#\s'\"]+")
_LEAD = re.compile(r"[^\S\r\n]*(?:export[^\S\r\n]+(?=[^\s=]))?")
_SIGN = re.compile(r"[^\S\r\n]*=[^\S\r\n]*")
_NOTHING = re.compile(r"[^\S\r\n]*(?:#[^\r\n]*)?(?:\r\n|\n|\r)?\Z")
_COMMENT = re.compile(r"[^\S\r\n]#")
_NEWLINE = re.compile(r"\r\n|\n|\r")
_QUOTES = "\"'`"
_PADDING = f"={_QUOTES} \t\r\n"
_QUOTED = {
    '"': re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL),
    "'": re.compile(r"'(?:[^'\\]|\\.)*+'", re.DOTALL),
    "`": re.compile(r"`[^`]*+`"),
}
_ESCAPE = {'"': re.compile(r"\\([\\'\"$`abfnrtv])"), "'": re.compile(r"\\([\\'])")}
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]*")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `NAME=value`: its line, and where in the text it begins and the value lies, quotes included."""

    name: str
    value: str = field(repr=False)
    line: int
    begin: int
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Bare:
    """A name alone in its line, without a value, and where it lies."""

    name: str = field(repr=False)
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that can't be understood, and the name that it seems to give a value; sure only where `shown`."""

    line: int
    reason: str
    name: str | None = field(default=None, repr=False)
    shown: bool = False
    bare: Bare | None = None

    def left_out(self) -> LeftOut:
        """Say that it is, and where."""
        if self.name and self.shown:
            return LeftOut(self.name, f"line {self.line}: {self.reason}")
        return LeftOut(f"line {self.line}", self.reason)


@dataclass(slots=True)
class Dotenv:
    """An `.env` file's text, its assignments in order, and the lines that are none."""

    text: str = field(repr=False)
    assignments: list[Assignment] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    ends_early: bool = False
    """Whether a quote is never closed, so that what follows it is not known."""

    @classmethod
    def parse(cls, text: str, *, any_name: bool = False) -> Dotenv:
        """Take it apart; never raises, for what can't be understood is in `broken`.

        With `any_name` every name counts that python-dotenv takes, also what may be the end of a broken key.
        """
        found, reader = cls(text), _Reader(text, any_name=any_name)
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

    def variables(self) -> dict[str, str]:
        """Return the value that counts of each name."""
        return {one.name: one.value for one in self.assignments}

    def names(self) -> set[str]:
        """Return every name that has a value, also where it can't be understood."""
        return {one.name for one in self.assignments} | {one.name for one in self.broken if one.name}

    def with_value(self, name: str, value: str) -> str:
        """Return the text with a new value, of characters that need no quoting, wherever the name is given one."""
        there = (one for one in self.assignments if one.name == name)
        return self._spliced((one.start, one.end, f"{one.quote}{value}{one.quote}") for one in there)

    def with_variables(self, variables: Mapping[str, str], *, place: str) -> str:
        """Return the text with these values, in the lines that count and, for names that it has not, at its end.

        Raises RefusedError for a name that no such file can hold, or whose line can't be understood.
        """
        there: dict[str, Assignment | Bare] = dict(self.values())
        for bare in (one.bare for one in self.broken if one.bare):
            if bare.name not in there or there[bare.name].begin < bare.begin:
                there[bare.name] = bare
        for name in variables:
            self.require_clear(name, place)
            if name not in there:
                self.require_whole(place)
        replaced = [
            (one.begin, one.end, _assignment(name, variables[name]) + self._gap(one.end))
            for name, one in there.items()
            if name in variables
        ]
        added = [_assignment(name, value) for name, value in variables.items() if name not in there]
        return self._with_lines(self._spliced(sorted(replaced)), added)

    def with_added(self, values: Mapping[str, str]) -> str:
        """Return the text with these names, which it has not, at its end."""
        return self._with_lines(self.text, [_assignment(name, value) for name, value in values.items()])

    def without(self, name: str) -> str:
        """Return the text without the lines that give this name a value."""
        gone = [one for one in self.assignments if one.name == name]
        return self._spliced((self._line_start(one.begin), self._line_end(one.end), "") for one in gone)

    def require_clear(self, name: str, place: str) -> None:
        """Raises RefusedError where this name's line can't be understood."""
        for one in self.broken:
            if one.name == name:
                raise RefusedError(f"{name} was not changed", reason=f"line {one.line} of {place} is broken: {one.reason}")

    def require_whole(self, place: str) -> None:
        """Raises RefusedError where a name may be there that can't be seen: adding it would take its value out of force."""
        if self.ends_early:
            raise RefusedError(
                f"nothing was added to {place}",
                reason="a quote in it is never closed, so what follows that can't be read",
                next_step=f"Close the quote that begins in line {self.broken[-1].line}",
            )

    def _line_start(self, at: int) -> int:
        return max(self.text.rfind("\n", 0, at), self.text.rfind("\r", 0, at)) + 1

    def _line_end(self, at: int) -> int:
        found = _NEWLINE.search(self.text, at)
        return found.end() if found else len(self.text)

    def _gap(self, at: int) -> str:
        """Keep a comment from becoming part of a value without quotes."""
        return " " if self.text.startswith("#", at) else ""

    def _spliced(self, replaced: Iterable[tuple[int, int, str]]) -> str:
        pieces, at = [], 0
        for start, end, new in replaced:
            pieces += [self.text[at:start], new]
            at = end
        return "".join([*pieces, self.text[at:]])

    def _with_lines(self, text: str, lines: list[str]) -> str:
        newline = "\r\n" if "\r\n" in self.text else "\n"
        if lines and text.strip(_MARK) and not text.endswith(("\n", "\r")):
            text += newline
        return text + "".join(f"{line}{newline}" for line in lines)


def document(variables: Mapping[str, str]) -> bytes:
    """Write variables as an `.env` file. Raises RefusedError for a name that no such file can hold."""
    return "".join(f"{_assignment(name, value)}\n" for name, value in sorted(variables.items())).encode()


def holds(name: str) -> bool:
    """Tell whether an `.env` file can hold a variable of this name."""
    return _ANY_NAME.fullmatch(name) is not None


def is_name(text: str) -> bool:
    """Tell whether this is a name of letters, digits, `_`, `.` and `-`, which no piece of a key is taken for."""
    return _CAREFUL_NAME.fullmatch(text) is not None


class _Reader:
    """Goes through the text once."""

    def __init__(self, text: str, *, any_name: bool) -> None:
        self._text = text
        self._at = 1 if text.startswith(_MARK) else 0
        self._line = 1
        self._name = _ANY_NAME if any_name else _CAREFUL_NAME
        self._may_be_of_a_key = not any_name
        self.ends_early = False

    def read(self) -> Iterator[Assignment | Broken]:
        found: Assignment | Broken | None = None
        while self._at < len(self._text):
            found = self._next(after_broken=isinstance(found, Broken))
            if found is not None:
                yield found

    def _next(self, *, after_broken: bool) -> Assignment | Broken | None:
        line, start, end = self._line, self._at, self._end_of_line(self._at)
        if _NOTHING.match(self._text[start:end]):
            self._go_to(end)
            return None
        lead = _LEAD.match(self._text, start, end)
        name = self._name.match(self._text, lead.end() if lead else start, end)
        sign = name and _SIGN.match(self._text, name.end(), end)
        if name is None or sign is None:
            self._go_to(end)
            is_bare = name is not None and _NOTHING.match(self._text[name.end() : end])
            return Broken(line, "it is not NAME=value", bare=Bare(name[0], *name.span()) if name and is_bare else None)
        begin = sign.end()
        if after_broken and self._may_be_of_a_key and not self._text[begin:end].strip(_PADDING):
            self._go_to(end)  # such a text must not become a name
            return Broken(line, "it looks like the end of something in base64", name[0])
        if begin < end and self._text[begin] in _QUOTES:
            return self._quoted(name, line, begin, shown=not after_broken)
        self._go_to(end)
        sign_end = self._text.index("=", name.end()) + 1
        comment = _COMMENT.search(self._text, sign_end, end)
        value = self._text[sign_end : comment.start() if comment else end].strip()
        begin = begin if value else sign_end
        return Assignment(name[0], value, line, name.start(), begin, begin + len(value), "")

    def _quoted(self, name: re.Match[str], line: int, begin: int, *, shown: bool) -> Assignment | Broken:
        quote = self._text[begin]
        whole = _QUOTED[quote].match(self._text, begin)
        if whole is None:
            self._go_to(len(self._text))  # what follows may be the inside of a key: none of it can be told apart
            self.ends_early = True
            return Broken(line, "its quote is never closed, so nothing after it can be read", name[0], shown)
        end = self._end_of_line(whole.end())
        self._go_to(end)
        if not _NOTHING.match(self._text[whole.end() : end]):
            return Broken(line, "something follows its closing quote", name[0], shown)
        value = _NEWLINE.sub("\n", whole[0][1:-1])
        if quote in _ESCAPE:
            value = _ESCAPE[quote].sub(lambda found: _ESCAPED.get(found[1], found[1]), value)
        return Assignment(name[0], value, line, name.start(), begin, whole.end(), quote)

    def _end_of_line(self, at: int) -> int:
        found = _NEWLINE.search(self._text, at)
        return found.end() if found else len(self._text)

    def _go_to(self, at: int) -> None:
        self._line += len(_NEWLINE.findall(self._text, self._at, at))
        self._at = at


def _assignment(name: str, value: str) -> str:
    if not holds(name):
        raise RefusedError(f"the variable {name!r} can't be kept in an .env file", reason="no such file has such a name")
    return f"{name}={_quoted(value)}"


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if not any(character in value for character in "'\\\r"):
        return f"'{value}'"
    if "\r" in value or not any(character in value for character in "$`"):
        return f'"{value.translate(_ESCAPES)}"'
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
