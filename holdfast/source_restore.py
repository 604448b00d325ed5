"""A backup of functions, configuration or secrets metadata on its way into a folder: staged beside, compared, then in its place.

A verification uses the same steps in a scratch folder, and never lets it take a place.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from holdfast.errors import NotFoundError, NotProvenError, SettingsError
from holdfast.repository import Entry, Manifest, Repository
from holdfast.repository.reader import EntryStream
from holdfast.sources import dotenv
from holdfast.sources.configuration.places import DOCUMENTS
from holdfast.sources.configuration.source import ENVIRONMENT
from holdfast.sources.files import FileRecord
from holdfast.sources.functions.directory import never_kept
from holdfast.sources.staging import FolderRestore
from holdfast.sources.truth import SourceTruth, content_entries, read_document, read_truth

FolderMode = Literal["new", "promote"]
_DOCUMENT_MODE = 0o600


@dataclass(slots=True)
class SourceRestoreReport:
    """What was restored; `kept` is where the former tree is kept, `problems` say how the result differs from the source."""

    files: int = 0
    documents: int = 0
    size_bytes: int = 0
    kept: str | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class SourceRestore:
    """A restore into a folder; a context manager. Leaving it before `take_place` leaves nothing behind.

    `only` names functions (or providers) to restore without the others; a live folder then keeps all else.
    """

    def __init__(
        self,
        repository: Repository,
        manifest: Manifest,
        target: Path,
        *,
        job_id: str,
        mode: FolderMode = "new",
        only: Sequence[str] = (),
    ) -> None:
        self.repository = repository
        self.manifest = manifest
        self.target = target
        self.mode = mode
        self.only = tuple(only)
        self.report = SourceRestoreReport()
        self.on_progress: Callable[[str, int], None] = lambda _name, _done: None
        self.require_time: Callable[[], None] = lambda: None
        """Asked again and again while files are restored; raises TimeLimitError when the time is up."""
        self._truth: SourceTruth | None = None
        self._documents: list[FileRecord] = []
        self._carried: list[FileRecord] = []
        self._lock = threading.Lock()
        self._folder = FolderRestore(target, mode, job_id=job_id)

    def __enter__(self) -> Self:
        self._folder.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._folder.__exit__(kind, error, trace)

    def preflight(self) -> None:
        """Refuse what can't end well. Raises TargetNotEmptyError, NotFoundError, RefusedError, DamagedError."""
        self._truth = read_truth(self.repository, self.manifest)
        entries = self.entries
        if self.mode == "promote" and self.target.exists():
            self._carry_over([self._records(entry.name) for entry in entries])
        self.report.notes += [f"not in the backup: {one}" for one in self._truth.left_out]

    def _carry_over(self, restored: list[list[FileRecord]]) -> None:
        """Take from the live folder what no backup of it holds, and with `only` all but what is restored."""
        roots = {records[0].path for records in restored if records}
        if self.only:
            self._carried = self._folder.carry_over(lambda path: path in roots)
        if self.manifest.source.get("kind") == "directory":
            for below in roots if self.only else ("",):
                if (self.target / below).is_dir():
                    self._carried += self._folder.carry_over_files(never_kept(self.target, below=below))

    @property
    def expected_bytes(self) -> int:
        """How much there is to restore."""
        return sum(entry.size_bytes for entry in self.entries)

    @property
    def entries(self) -> list[Entry]:
        """The entries that are restored. Raises NotFoundError for what `only` names and the backup has not."""
        entries = content_entries(self.manifest)
        if not self.only:
            return entries
        apart = [
            entry for entry in entries if "/" in entry.name or self.mode == "new"
        ]  # what is shared is not put into a live tree
        found = {entry.name.partition("/")[2] or entry.name: entry for entry in apart}
        if missing := [name for name in self.only if name not in found]:
            raise NotFoundError(
                f"backup {self.manifest.id} holds no {missing[0]!r}",
                reason=f"it holds {', '.join(sorted(found)) or 'nothing'}",
            )
        return [found[name] for name in dict.fromkeys(self.only)]

    def restore(self, name: str) -> None:
        """Write what one entry holds into the staged folder."""
        entry = self.manifest.entry(name)
        if entry.kind == "tar":
            with EntryStream(self._in_time(entry)) as stream:
                self._folder.extract(stream, self.truth.parts[name].files)
        else:
            self._write_document(entry)
        with self._lock:
            self.report.files += sum(record.kind == "file" for record in self._records(name))
            self.report.size_bytes += entry.size_bytes
        self.on_progress(name, entry.size_bytes)

    def _in_time(self, entry: Entry) -> Iterator[bytes]:
        for part in self.repository.read(entry):
            self.require_time()
            yield part

    def compare(self) -> list[str]:
        """Read everything back from the disk, and compare it with what the source was."""
        wanted = [record for entry in self.entries for record in self._records(entry.name)]
        self.report.problems = self._folder.check([*wanted, *self._documents, *self._carried])
        return self.report.problems

    def take_place(self) -> None:
        """Give the tree its place, once it proved equal. Raises NotProvenError, BusyError."""
        if self.report.problems:
            raise NotProvenError(
                f"what was restored of {self.manifest.id} differs from what was backed up",
                reason="; ".join(self.report.problems[:5]),
                next_step="Nothing was changed; look for the reason with 'holdfast verify --level read'",
            )
        self._folder.take_place()
        self.report.notes += self._folder.notes
        self.report.kept = None if self._folder.kept is None else str(self._folder.kept)

    def run(self) -> SourceRestoreReport:
        """Do all steps, one after the other."""
        self.preflight()
        for entry in self.entries:
            self.restore(entry.name)
        self.compare()
        self.take_place()
        return self.report

    @property
    def truth(self) -> SourceTruth:
        """What the source was, once `preflight` has read it."""
        if self._truth is None:
            self._truth = read_truth(self.repository, self.manifest)
        return self._truth

    def _records(self, name: str) -> list[FileRecord]:
        return self.truth.parts[name].files if name in self.truth.parts else []

    def _write_document(self, entry: Entry) -> None:
        """Write a document as JSON that a person can read; variables also as a shell and Holdfast read them."""
        document = read_document(self.repository, entry)
        self._write(f"{DOCUMENTS}/{entry.name}.json", readable(document))
        if self.manifest.type == "config" and entry.name == ENVIRONMENT.name:
            variables = {name: value for name, value in document.items() if dotenv.holds(name)}
            self._write(f"{DOCUMENTS}/{entry.name}.env", dotenv.document(variables))
        with self._lock:
            self.report.documents += 1

    def _write(self, path: str, data: bytes) -> None:
        self._folder.write(path, data, _DOCUMENT_MODE)
        with self._lock:
            self._documents.append(FileRecord(path, "file", _DOCUMENT_MODE, len(data), hashlib.sha256(data).hexdigest()))


def readable(document: Any) -> bytes:
    """Write a document as a person reads it."""
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def folder_mode(mode: str) -> FolderMode:
    """Take a mode that a folder can be restored in. Raises SettingsError."""
    if mode not in ("new", "promote"):
        raise SettingsError(
            f"a folder can't be restored with the mode {mode!r}",
            reason="new makes a folder that is not there yet, promote puts it in the place of the one that is, which is kept",
        )
    return mode  # type: ignore[return-value]


def refuse_for_databases_only(backup_type: str, *, prove: bool, analyze: bool) -> None:
    """Refuse what can be left out of a database's restore alone. Raises SettingsError."""
    if prove and analyze:
        return
    option = "--no-analyze" if prove else "--unproven"
    raise SettingsError(
        f"{option} can't be used for a backup of type {backup_type}",
        reason="only a database has planner statistics" if prove else "what is restored of it is always compared",
        next_step=f"Leave {option} out",
    )
