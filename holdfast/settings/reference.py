"""The settings as they are documented: `.env.example`, and the tables of docs/configuration.md.

Both are written from the models by `python -m holdfast.settings.reference`, and a test tells when they were not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from holdfast.settings.keys import kept_in_catalog, key_of
from holdfast.settings.kinds import is_secret
from holdfast.settings.problems import allowed
from holdfast.settings.topics import TOPICS

EXAMPLE = Path(".env.example")
PAGE = Path("docs/configuration.md")

_HEAD = """\
# Settings of Holdfast. Copy this file to .env, and take the '# ' from the lines that you change: what stands here is the default.
# The environment goes before .env, and .env before what 'holdfast config update' keeps. An empty value is no value.
# docs/configuration.md tells more.
"""
_TABLES = re.compile(r"(?<=<!-- tables: begin -->\n).*(?=<!-- tables: end -->)", re.DOTALL)


def example() -> str:
    """Write `.env.example`."""
    return _HEAD + "".join(_example_topic(topic) for topic in TOPICS)


def page(text: str) -> str:
    """Put the tables into the text of docs/configuration.md."""
    tables = "\n" + "\n".join(_table(topic) for topic in TOPICS)
    return _TABLES.sub(lambda match: tables, text)


def _fields(topic: type[BaseModel]) -> Iterator[tuple[str, str, FieldInfo]]:
    for name, field in topic.model_fields.items():
        yield str(field.validation_alias), name, field


def _title(topic: type[BaseModel]) -> str:
    return (topic.__doc__ or "").strip().rstrip(".")


def _example_topic(topic: type[BaseModel]) -> str:
    lines = ["", f"## {_title(topic)}"]
    for variable, _, field in _fields(topic):
        lines += ["", f"# {field.description}. Allowed: {allowed(field)}.", f"# {variable}={_default(field)}"]
    return "\n".join(lines) + "\n"


def _table(topic: type[BaseModel]) -> str:
    lines = [
        f"### {_title(topic)}",
        "",
        "| variable | default | allowed | what it is | kept as |",
        "| --- | --- | --- | --- | --- |",
    ]
    for variable, name, field in _fields(topic):
        default = _default(field)
        cells = [
            f"`{variable}`",
            f"`{default}`" if default else "",
            allowed(field),
            f"{field.description}{' (secret)' if is_secret(field) else ''}",
            f"`{key_of(name)}`" if kept_in_catalog(name) else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is None:
        value = field.examples[0] if field.examples else ""
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    (root / EXAMPLE).write_text(example())
    (root / PAGE).write_text(page((root / PAGE).read_text()))
    sys.stdout.write(f"Wrote {EXAMPLE} and {PAGE}\n")
