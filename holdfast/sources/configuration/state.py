"""What the configuration was in a backup, or is now, in a form that can be compared."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.repository import Manifest, Repository
from holdfast.repository.intake import Reads
from holdfast.sources.configuration.formats import Format, format_of, parse
from holdfast.sources.configuration.source import ENVIRONMENT, FILES, ConfigurationSource
from holdfast.sources.contract import LeftOut
from holdfast.sources.files import FileRecord
from holdfast.sources.stable import read_stably, unreadable
from holdfast.sources.tar import TarStream, read_tar
from holdfast.sources.truth import content_entries, read_document, read_truth

LIVE = "live"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FileState:
    """A file; `values` by dotted path where its format is understood and it is well formed."""

    record: FileRecord
    values: dict[str, str] | None = None


@dataclass(slots=True)
class ConfigurationState:
    """A configuration; `documents` are the catalog's and Prefect's part, where known; `left_out` tells what is not, and why."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    documents: dict[str, Json] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def state_of_backup(repository: Repository, manifest: Manifest) -> ConfigurationState:
    """Read a backup. Raises NotFoundError where it is none of the configuration, DamagedError."""
    if manifest.type != "config":
        raise NotFoundError(f"backup {manifest.id} is none of the configuration", reason=f"its type is {manifest.type}")
    truth = read_truth(repository, manifest)
    state = ConfigurationState(manifest.id)
    state.left_out = _by_name(truth.left_out)
    for entry in content_entries(manifest):
        if entry.name == FILES.name:
            with repository.open_entry(entry) as stream:
                values = _values(stream)
            state.files = {one.path: FileState(one, values.get(one.path)) for one in truth.parts[entry.name].files}
        elif entry.name == ENVIRONMENT.name:
            state.environment = read_document(repository, entry)
        else:
            state.documents[entry.name] = read_document(repository, entry)
    return state


def state_of_source(source: ConfigurationSource) -> ConfigurationState:
    """Read what the configuration is now; a part that can't be read is left out."""
    state = ConfigurationState(LIVE)
    for part in source.readable:
        try:
            content = source.read(part)
        except HoldfastError as error:
            state.left_out[part.name] = error.what_and_why
            continue
        if part == FILES:
            stream = TarStream(content.files or (), content.left_out)
            values = _values(stream)
            state.files = {one.path: FileState(one, values.get(one.path)) for one in stream.records}
        elif part == ENVIRONMENT:
            state.environment = content.document
        else:
            state.documents[part.name] = content.document
        state.left_out |= _by_name(content.left_out)
    return state


def state_of_file(place: Path, path: str) -> FileState | None:
    """Read a file as it is now, under its path in a backup; None where there is none."""
    try:
        found = place.lstat()
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISLNK(found.st_mode):
            return FileState(FileRecord(path, "link", mode, link_target=os.readlink(place)))  # noqa: PTH115  pathlib tidies it
        if stat.S_ISDIR(found.st_mode):
            return FileState(FileRecord(path, "folder", mode))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(place, error) from error
    with read_stably(place) as file:
        record = FileRecord(path, "file", file.mode, file.size_bytes, file.sha256)
        kind = format_of(path)
        return FileState(record, _parsed(kind, file.content.read()) if kind else None)


def _values(stream: Reads) -> dict[str, dict[str, str]]:
    found = {}
    for file, content in read_tar(stream):
        kind = format_of(file.path)
        if content is not None and kind is not None and (values := _parsed(kind, content.read())) is not None:
            found[file.path] = values
    return found


def _parsed(kind: Format, data: bytes) -> dict[str, str] | None:
    parsed = parse(kind, data)
    return None if parsed.invalid else parsed.values


def _by_name(left_out: list[LeftOut]) -> dict[str, str]:
    return {one.name: one.reason for one in left_out}
