"""One value of a configuration file, changed while every other byte stays: comments, order, quotes and line ends.

The place of the value is found in the text, only that is replaced, and the whole is read again: if anything but the one value is
another then, nothing is changed and it is refused. So a file that is written in an unusual way is never spoilt, only left alone.
Errors name paths, and no values.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator

import yaml

from holdfast.errors import HoldfastError, NotFoundError, RefusedError
from holdfast.sources.configuration.formats import Format, Pair, parse
from holdfast.sources.dotenv import Dotenv

Scalar = str | int | float | bool | None
Span = tuple[int, int]

_MARK = "\ufeff"
_BY_HAND = "Change it by hand"
_LINE = re.compile(r"^(?P<key>[^\S\r\n]*[^=:#;\[\r\n][^=\r\n]*?)(?P<sign>[^\S\r\n]*=[^\S\r\n]*)(?P<rest>[^\r\n]*)", re.MULTILINE)
_INI_LINE = re.compile(r"^(?P<key>[^\s=:#;\[][^=:\r\n]*?)(?P<sign>[^\S\r\n]*[=:][^\S\r\n]*)(?P<rest>[^\r\n]*)", re.MULTILINE)
_REMARK = re.compile(r"\s[#;]")


def value_at(kind: Format, text: str, path: str) -> str:
    """Return the text of the value at a dotted path. Raises NotFoundError, RefusedError."""
    found = [value for name, value in _pairs(kind, text) if name == path]
    if not found:
        raise NotFoundError(f"it has no value {path}", next_step="Only a value that is there already can be changed")
    if len(found) > 1:
        raise RefusedError(f"it has the value {path} {len(found)} times", next_step=_BY_HAND)
    return found[0]


def with_value(kind: Format, text: str, path: str, value: Scalar) -> str:
    """Return the text with another value at a dotted path, which is there. Raises NotFoundError, RefusedError."""
    value_at(kind, text, path)
    mark, body = (_MARK, text[1:]) if text.startswith(_MARK) else ("", text)
    wanted = [(name, _said(value) if name == path else there) for name, there in _pairs(kind, text)]
    for changed in _CANDIDATES[kind](body, path, value):
        after = parse(kind, (mark + changed).encode())
        if after.invalid is None and after.pairs == wanted:
            return mark + changed
    raise RefusedError(
        f"the value {path} was not changed",
        reason=f"as this {kind} is written, the value can't be replaced without touching anything else, or it can't hold it",
        next_step=_BY_HAND,
    )


def _pairs(kind: Format, text: str) -> list[Pair]:
    found = parse(kind, text.encode())
    if found.invalid is not None:
        raise RefusedError("its values were not changed", reason=found.invalid, next_step="Bring the file back first")
    return found.pairs


def _said(value: Scalar) -> str:
    """Say a value as `parse` does."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(text: str, path: str, value: Scalar) -> Iterator[str]:
    spans: list[tuple[str, Span]] = []
    _walk_json(text, 0, "", spans)
    yield from _replaced(text, spans, path, [json.dumps(value, ensure_ascii=False)])


def _walk_json(text: str, at: int, path: str, spans: list[tuple[str, Span]]) -> int:
    """Note where each value lies in a text that is JSON; return where this one ends."""
    at = _past_space(text, at)
    if text[at] not in "{[":
        _, end = json.JSONDecoder().raw_decode(text, at)
        spans.append((path, (at, end)))
        return end
    is_object, number = text[at] == "{", 0
    at = _past_space(text, at + 1)
    while text[at] not in "}]":
        name: object = number
        if is_object:
            name, at = json.JSONDecoder().raw_decode(text, at)
            at = _past_space(text, at) + 1
        at = _past_space(text, _walk_json(text, at, f"{path}.{name}" if path else str(name), spans))
        at, number = _past_space(text, at + 1) if text[at] == "," else at, number + 1
    return at + 1


def _past_space(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _yaml(text: str, path: str, value: Scalar) -> Iterator[str]:
    spans: list[tuple[str, Span]] = []
    styles: dict[Span, str | None] = {}
    for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
        shared: set[int] = set()
        list(_yaml_scalars(node, "", set(), shared))
        for where, one in _yaml_scalars(node, "", set(shared), shared):
            span = (one.start_mark.index, one.end_mark.index)
            if one.style not in ("|", ">"):
                spans.append((where, span))
                styles[span] = one.style
    quotes = {style for where, span in spans if where == path for style in [styles[span]]}
    yield from _replaced(text, spans, path, list(_yaml_texts(value, quotes)))


def _yaml_scalars(node: yaml.Node | None, path: str, seen: set[int], shared: set[int]) -> Iterator[tuple[str, yaml.ScalarNode]]:
    """Yield each scalar that is not in `seen`; what is referred to twice is noted as shared, for it is more than one value."""
    if node is None:
        return
    if id(node) in seen:
        shared.add(id(node))
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield path, node
    elif isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            yield from _yaml_scalars(inner, f"{path}.{name}" if path else name, seen, shared)
    elif isinstance(node, yaml.SequenceNode):
        for number, inner in enumerate(node.value):
            yield from _yaml_scalars(inner, f"{path}.{number}" if path else str(number), seen, shared)


def _yaml_texts(value: Scalar, quotes: set[str | None]) -> Iterator[str]:
    """Write a value as YAML: a text in the quotes that it had, and without any only where it stays a text."""
    if not isinstance(value, str):
        yield _said(value)
        return
    if "'" in quotes and "\n" not in value:
        yield "'" + value.replace("'", "''") + "'"
    if None in quotes and _stays_text(value):
        yield value
    yield json.dumps(value, ensure_ascii=False)


def _stays_text(value: str) -> bool:
    if "\n" in value or value.strip() != value:
        return False
    try:
        return bool(yaml.safe_load(f"- {value}\n") == [value] and yaml.safe_load(f"[{value}, 1]") == [value, 1])
    except yaml.YAMLError:
        return False


def _toml(text: str, path: str, value: Scalar) -> Iterator[str]:
    if value is None:
        return
    new = json.dumps(value, ensure_ascii=False)
    name = path.rpartition(".")[2]
    for found in _LINE.finditer(text):
        key = found["key"].strip().rpartition(".")[2].strip().strip("\"'")
        end = _toml_end(found["rest"])
        if key == name and end is not None:
            start = found.start("rest")
            yield text[:start] + new + text[start + end :]


def _toml_end(rest: str) -> int | None:
    """Tell where a value of one line ends, before a remark; None where it is none of one line."""
    for end in [*(at for at, one in enumerate(rest) if one == "#"), len(rest)]:
        value = rest[:end].rstrip()
        try:
            tomllib.loads(f"x = {value}")
        except tomllib.TOMLDecodeError:
            continue
        return len(value)
    return None


def _ini(text: str, path: str, value: Scalar) -> Iterator[str]:
    """Replace what stands behind the name. What may be a remark behind a value is not: readers of INI differ on that."""
    for found in _INI_LINE.finditer(text):
        if path.endswith(f".{found['key']}") and not _REMARK.search(found["rest"]):
            start = found.start("rest")
            yield text[:start] + _said(value) + text[found.end("rest") :]


def _env(text: str, path: str, value: Scalar) -> Iterator[str]:
    try:
        yield Dotenv.parse(text, any_name=True).with_variables({path: _said(value)}, place="the file")
    except HoldfastError:
        return


def _replaced(text: str, spans: list[tuple[str, Span]], path: str, news: list[str]) -> Iterator[str]:
    for where, (start, end) in spans:
        if where == path:
            for new in news:
                yield text[:start] + new + text[end:]
                yield f"{text[:start]} {new}{text[end:]}"  # nothing was there, not even a space


_CANDIDATES: dict[Format, Callable[[str, str, Scalar], Iterator[str]]] = {
    "TOML": _toml,
    "YAML": _yaml,
    "JSON": _json,
    "INI": _ini,
    ".env": _env,
}
