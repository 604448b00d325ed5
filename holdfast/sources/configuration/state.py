"""What the configuration was in a backup, or is now, in a form that can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.repository import Manifest, Repository
from holdfast.repository.intake import Reads
from holdfast.sources.configuration.formats import format_of, parse
from holdfast.sources.configuration.source import ENVIRONMENT, FILES, ConfigurationSource
from holdfast.sources.contract import LeftOut
from holdfast.sources.files import FileRecord
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


def _values(stream: Reads) -> dict[str, dict[str, str]]:
    found = {}
    for file, content in read_tar(stream):
        kind = format_of(file.path)
        if content is not None and kind is not None and (parsed := parse(kind, content.read())).invalid is None:
            found[file.path] = parsed.values
    return found


def _by_name(left_out: list[LeftOut]) -> dict[str, str]:
    return {one.name: one.reason for one in left_out}
