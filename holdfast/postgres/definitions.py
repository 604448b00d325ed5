"""Whether two databases are made of the same objects, told from the tables of contents of two `pg_dump` archives.

Every object of one is looked for in the other, with its definition, owner and grants; the order in which they were dumped does
not matter. What differs is said in words: which object, and the first line in which it differs.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from holdfast.postgres.archive import Archive, ArchiveEntry

_NOT_SCHEMA = frozenset(
    {
        *("ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES", "SUBSCRIPTION", "SUBSCRIPTION TABLE"),
        *("TABLE DATA", "SEQUENCE SET", "BLOB", "BLOBS", "BLOB METADATA", "MATERIALIZED VIEW DATA", "STATISTICS DATA"),
    }
)
_ABOUT_DATA = ("DATABASE ", "LARGE OBJECT ", "LARGE OBJECTS ", "SUBSCRIPTION ")
# PostgreSQL prints `x IN ('a', 'b')` of a varchar in one way before it is dumped and restored and in another way afterwards: the
# casts stand at the array or at its members. Both mean the same.
_MOVING_CAST = re.compile(r"::(?:text|character varying|bpchar|varchar|name)(?:\(\d+\))?(?:\[\])?|[()\s]")
_NOT_NULL_NAME = re.compile(r'CONSTRAINT (?:"(?:[^"]|"")*"|\S+) NOT NULL')

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is missing, extra or changed, and what of it."""

    what: Literal["missing", "not in the source", "differs"]
    object: ArchiveEntry
    how: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.object.label}{self.how and f': {self.how}'}"


def compare_definitions(
    source: Archive, restored: Archive, *, same_version: bool = True, owners: bool = True
) -> list[Difference]:
    """List the differences, what is missing first.

    Between different major versions, what only a version prints in another way does not count. Without `owners`, neither do
    owners and grants.
    """
    before, after = _objects(source, owners=owners), _objects(restored, owners=owners)
    missing = [Difference("missing", before[key][0]) for key in sorted(before.keys() - after.keys())]
    extra = [Difference("not in the source", after[key][0]) for key in sorted(after.keys() - before.keys())]
    changed = [
        Difference("differs", before[key][0], how)
        for key in sorted(before.keys() & after.keys())
        if (how := _difference(before[key], after[key], same_version=same_version, owners=owners))
    ]
    return [*missing, *extra, *changed]


def schema_objects(archive: Archive) -> dict[Key, ArchiveEntry]:
    """Map the archive's objects by kind, schema and name."""
    return {key: entries[0] for key, entries in _objects(archive).items()}


def _objects(archive: Archive, *, owners: bool = True) -> dict[Key, list[ArchiveEntry]]:
    found: dict[Key, list[ArchiveEntry]] = defaultdict(list)
    for entry in archive.entries:
        if entry.kind in _NOT_SCHEMA or (not owners and entry.kind in {"ACL", "DEFAULT ACL"}):
            continue
        if entry.kind in {"ACL", "COMMENT", "SECURITY LABEL"} and entry.name.startswith(_ABOUT_DATA):
            continue
        found[entry.kind, entry.schema, entry.name].append(entry)
    return found


def _difference(before: list[ArchiveEntry], after: list[ArchiveEntry], *, same_version: bool, owners: bool) -> str | None:
    held_by = sorted({entry.owner for entry in before}), sorted({entry.owner for entry in after})
    if owners and held_by[0] != held_by[1]:
        return f"its owner was {', '.join(held_by[0])} and is {', '.join(held_by[1])}"
    texts = _texts(before, same_version=same_version), _texts(after, same_version=same_version)
    if texts[0] == texts[1] or _settled(texts[0]) == _settled(texts[1]):
        return None
    return _first_difference(texts[0], texts[1])


def _texts(entries: Iterable[ArchiveEntry], *, same_version: bool) -> Counter[str]:
    """The statements that make an object; those of grants one by one, for their order has no meaning."""
    found: Counter[str] = Counter()
    for entry in entries:
        definition = entry.definition if same_version else _NOT_NULL_NAME.sub("NOT NULL", entry.definition)
        if entry.kind in {"ACL", "DEFAULT ACL"}:
            found.update(line for line in definition.split("\n") if line)
        else:
            found[f"{definition}{entry.access_method and f'USING {entry.access_method}'}"] += 1
    return found


def _settled(texts: Counter[str]) -> Counter[str]:
    settled: Counter[str] = Counter()
    for text, count in texts.items():
        settled[_MOVING_CAST.sub("", text)] += count
    return settled


def _first_difference(before: Counter[str], after: Counter[str]) -> str:
    lines_before = "\n".join(sorted((before - after).elements())).split("\n")
    lines_after = "\n".join(sorted((after - before).elements())).split("\n")
    lines_before += [""] * (len(lines_after) - len(lines_before))
    lines_after += [""] * (len(lines_before) - len(lines_after))
    for one, other in zip(lines_before, lines_after, strict=True):
        if _MOVING_CAST.sub("", one) != _MOVING_CAST.sub("", other):
            return f"it was {_short(one)} and is {_short(other)}"
    return "its text differs"


def _short(line: str) -> str:
    text = line.strip()
    return f"{text[:160]!r}" if text else "absent"
