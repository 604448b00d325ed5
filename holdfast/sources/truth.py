"""What a source was when it was backed up: every file with its digest, what is known of each part, and what is not in the backup.

It is an entry of the backup itself, of kind `truth`, and is what every restore is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from holdfast.errors import DamagedError, RefusedError
from holdfast.repository import Entry, Manifest, Repository, canonical
from holdfast.sources.contract import LeftOut
from holdfast.sources.files import FileRecord

TRUTH = "truth"
SCHEMA = 1
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PartTruth:
    """What is known of one part; `files` are a `tar` part's."""

    kind: str
    files: list[FileRecord] = field(default_factory=list)
    facts: Json = field(default_factory=dict)


@dataclass(slots=True)
class SourceTruth:
    """What is known of a backup's source, by the names of its parts."""

    parts: dict[str, PartTruth] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def files(self) -> Iterator[FileRecord]:
        """Every file of every part."""
        for part in self.parts.values():
            yield from part.files

    def to_bytes(self) -> bytes:
        """Write it in canonical form."""
        parts = {
            name: {"kind": part.kind, "files": [record.to_json() for record in part.files], "facts": part.facts}
            for name, part in self.parts.items()
        }
        left_out = [asdict(one) for one in self.left_out]
        return canonical.to_bytes({"schema": SCHEMA, "parts": parts, "left_out": left_out})

    @classmethod
    def from_bytes(cls, data: bytes) -> SourceTruth:
        """Read it. Raises ValueError saying what is wrong, RefusedError where a newer Holdfast wrote it."""
        value = canonical.from_bytes(data)
        schema = value.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise RefusedError(
                "the truth of a backup can't be read by this Holdfast",
                reason=f"it has schema {schema}, and this Holdfast reads schema {SCHEMA}",
                next_step="Use the Holdfast that made the backup, or a newer one: the manifest has its version",
            )
        if schema != SCHEMA:
            raise ValueError(f"it has schema {schema!r}, and this Holdfast reads schema {SCHEMA}")
        try:
            parts = {
                name: PartTruth(part["kind"], [FileRecord.from_json(one) for one in part["files"]], part["facts"])
                for name, part in value["parts"].items()
            }
            return cls(parts, [LeftOut(**one) for one in value["left_out"]])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a field is missing or wrong ({type(error).__name__})") from error


def read_truth(repository: Repository, manifest: Manifest) -> SourceTruth:
    """Read the truth of a backup, which names exactly the parts that the backup has. Raises DamagedError, RefusedError."""
    entries = {entry.name: entry for entry in manifest.entries}
    entry = entries.pop(TRUTH, None)
    if entry is None:
        raise DamagedError(f"backup {manifest.id} has no truth", reason=f"it holds {', '.join(entries) or 'nothing'}")
    try:
        truth = SourceTruth.from_bytes(b"".join(repository.read(entry)))
    except ValueError as error:
        raise DamagedError(f"backup {manifest.id} has no readable truth", reason=str(error)) from error
    if {name: part.kind for name, part in truth.parts.items()} != {name: one.kind for name, one in entries.items()}:
        raise DamagedError(
            f"backup {manifest.id} does not hold the parts that its truth names",
            reason=f"it holds {', '.join(entries) or 'nothing'}, and the truth names {', '.join(truth.parts) or 'nothing'}",
        )
    return truth


def read_document(repository: Repository, entry: Entry) -> Any:
    """Read the document of a `json` part. Raises DamagedError."""
    try:
        return canonical.from_bytes(b"".join(repository.read(entry)))
    except ValueError as error:
        raise DamagedError(f"entry {entry.name!r} can't be read", reason=str(error)) from error


def content_entries(manifest: Manifest, wanted: Iterable[str] | None = None) -> list[Entry]:
    """List the entries of a backup that hold its parts, or the parts of these names."""
    names = None if wanted is None else set(wanted)
    return [entry for entry in manifest.entries if entry.name != TRUTH and (names is None or entry.name in names)]
