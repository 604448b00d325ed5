"""The formats of configuration files that are understood: what they hold, as dotted paths and texts, and whether they are well
formed.

What is wrong with a file is told by its place alone and never quoted, for it may be a secret.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from holdfast.sources.dotenv import Dotenv

Format = Literal["TOML", "YAML", "JSON", "INI", ".env"]
Pair = tuple[str, str]

_SUFFIXES: dict[str, Format] = {".toml": "TOML", ".yaml": "YAML", ".yml": "YAML", ".json": "JSON", ".ini": "INI", ".env": ".env"}
_DEEPEST = 100
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WITH_LINE = (configparser.MissingSectionHeaderError, configparser.DuplicateOptionError, configparser.DuplicateSectionError)
_PLACE = re.compile(r"\(at (line \d+, column \d+|end of document)\)\Z")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds: every value with its path, in order, one path as often as the file has it; or why that is not known."""

    pairs: list[Pair] = field(default_factory=list)
    invalid: str | None = None

    @property
    def values(self) -> dict[str, str]:
        return dict(self.pairs)


def format_of(path: str) -> Format | None:
    """Tell the format by the name: its ending, or `.env` and `.env.anything`."""
    name = path.rpartition("/")[2]
    if name == ".env" or name.startswith(".env."):
        return ".env"
    return _SUFFIXES.get(f".{name.rpartition('.')[2].lower()}") if "." in name else None


def parse(kind: Format, data: bytes) -> Parsed:
    """Read a file's content; one that is not well formed is a finding, and raises nothing."""
    try:
        return Parsed(_PARSERS[kind](data.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        return Parsed(invalid=f"it is no {kind}: byte {error.start} is not UTF-8")
    except RecursionError:
        return Parsed(invalid=f"it is no {kind} that can be read: it is nested too deeply")
    except (ValueError, configparser.Error, yaml.YAMLError) as error:
        return Parsed(invalid=f"it is no {kind}: {_place_of(error)}")


def _toml(text: str) -> list[Pair]:
    return list(_flat("", tomllib.loads(text, parse_float=str)))


class _Object(list[tuple[str, Any]]):
    """A JSON object with every pair that it has, names that come twice too."""


def _json(text: str) -> list[Pair]:
    return list(_flat("", json.loads(text, object_pairs_hook=_Object, parse_int=str, parse_float=str, parse_constant=_refuse)))


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def _ini(text: str) -> list[Pair]:
    parser = configparser.RawConfigParser(allow_no_value=True, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return [(f"{section}.{name}", value or "") for section in parser.sections() for name, value in parser.items(section)]


def _env(text: str) -> list[Pair]:
    found = Dotenv.parse(text, any_name=True)
    for broken in found.broken:
        if broken.bare is None:
            raise ValueError(f"line {broken.line}")
    return [(one.name, one.value) for one in found.assignments]


@dataclass(slots=True)
class _Collection:
    """A YAML mapping or sequence that is being read, and what comes next in it."""

    path: str
    is_mapping: bool
    key: str | None = None
    number: int = -1

    def place(self, text: str | None) -> str | None:
        """Take the next node; tell its path, or None where it is a key."""
        if self.is_mapping and self.key is None:
            self.key = "?" if text is None else text
            return None
        self.number += 1
        path = _below(self.path, self.number if self.key is None else self.key)
        self.key = None
        return path


def _yaml(text: str) -> list[Pair]:
    """Events, not objects: any tag is welcome and nothing is made of it; a collection that is referred to again is told once."""
    pairs: list[Pair] = []
    open_ones: list[_Collection] = []
    anchors: dict[str, str | None] = {}
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            open_ones.pop()
        elif isinstance(event, yaml.NodeEvent):
            value = _value_of(event, anchors)
            path = open_ones[-1].place(value) if open_ones else ""
            if isinstance(event, yaml.CollectionStartEvent):
                open_ones.append(_Collection("?" if path is None else path, isinstance(event, yaml.MappingStartEvent)))
            elif path is not None and value is not None:
                pairs.append((path, value))
        if len(open_ones) > _DEEPEST:
            raise RecursionError
    return pairs


def _value_of(event: yaml.NodeEvent, anchors: dict[str, str | None]) -> str | None:
    """The text of a scalar, or of one that is referred to; None of a collection."""
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise ValueError(f"line {event.start_mark.line + 1}" if event.start_mark else "")
        return anchors[event.anchor]
    value = str(event.value) if isinstance(event, yaml.ScalarEvent) else None
    if event.anchor is not None:
        anchors[event.anchor] = value
    return value


_PARSERS: dict[Format, Callable[[str], list[Pair]]] = {"TOML": _toml, "YAML": _yaml, "JSON": _json, "INI": _ini, ".env": _env}


def _flat(path: str, value: Any) -> Iterator[Pair]:
    if isinstance(value, (dict, _Object)):
        for name, inner in value.items() if isinstance(value, dict) else value:
            yield from _flat(_below(path, name), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(_below(path, number), inner)
    else:
        yield path, _text(value)


def _below(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _place_of(error: Exception) -> str:
    """Say where a parser stumbled; its own words may quote the file."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    if isinstance(error, _WITH_LINE):
        return f"line {error.lineno}"
    if isinstance(error, configparser.ParsingError):
        return f"line {error.errors[0][0]}"
    if found := _PLACE.search(str(error)):
        return found[1]
    return str(error) if re.fullmatch(r"line \d+", str(error)) else "it can't be understood"
