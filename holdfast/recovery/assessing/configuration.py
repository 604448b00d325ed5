"""How the configuration is, beside its newest good backup: files that are gone, can't be read as what they are, or hold nothing.

A file that was edited and is well formed is healthy: people edit. One that is not well formed any more may be in somebody's hands
right now, so a person is asked, unless it is only the beginning of what it was. One that was not so in the backup, either, is no
news. Without a backup nothing is judged at all.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.recovery.assessing.reference import Reference, newest_reference
from holdfast.recovery.assessing.settings_file import FileFinding, look_at_file
from holdfast.recovery.verdict import State, Verdict
from holdfast.sources.configuration.places import Places
from holdfast.sources.configuration.source import ENVIRONMENT, FILES, ConfigurationOptions, ConfigurationSource
from holdfast.sources.files import shown
from holdfast.sources.tar import read_tar
from holdfast.sources.truth import SourceTruth, read_document, read_truth

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.world import World

Json = dict[str, Any]

_NAMED = 5
_WORST: tuple[tuple[FileFinding, State], ...] = (("damaged", "damaged"), ("failing", "failing"), ("missing", "incomplete"))
_SAID = {"damaged": "no longer what it was: empty, cut off, or garbage", "failing": "not well formed", "missing": "gone"}


@dataclass(slots=True)
class _Found:
    """What was found of each file, by its name in the backup, and why."""

    findings: dict[str, FileFinding] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def named(self, finding: FileFinding) -> list[str]:
        return [name for name, found in self.findings.items() if found == finding]


def assess(world: World, deadline: Deadline, *, thorough: bool) -> Verdict:
    """Look at each file of the newest good backup where it lay. Raises TimeLimitError, DamagedError."""
    del thorough  # it is little
    options = ConfigurationOptions.of(world.settings)
    if not options.files and not options.environment:
        return Verdict("config", "unknown", "no configuration is named; set BACKUP_CONFIG_FILES")
    reference = newest_reference(world, "config")
    if isinstance(reference, str):
        return Verdict("config", "healthy", f"nothing can be said against it: {reference}", {"notCompared": reference})
    if elsewhere := _elsewhere(reference, options):
        return Verdict("config", "unknown", elsewhere, {"backup": reference.document()})
    truth = read_truth(reference.repository, reference.manifest)
    found = _look(reference, truth, deadline)
    missing = _missing_variables(reference, truth)
    return _judged(found, missing, reference, options)


def _elsewhere(reference: Reference, options: ConfigurationOptions) -> str | None:
    """Say so where the backup is of another host and another folder: then what it names is not expected here."""
    was, here = reference.manifest.source, ConfigurationSource(options).description
    if was.get("host") == here["host"] or was.get("working_directory") == here["working_directory"]:
        return None
    return f"the newest good backup is of {was.get('name')}, so it says nothing of what is here"


def _look(reference: Reference, truth: SourceTruth, deadline: Deadline) -> _Found:
    found = _Found()
    part = truth.parts.get(FILES.name)
    if part is None:
        return found
    places = Places.of(part.facts)
    read_again: dict[str, Path] = {}
    for record in part.files:
        deadline.require()
        name = shown(record.path)
        place = places.place_of(record.path, None)
        finding, reason = look_at_file(place, record, was_invalid=name in part.facts["invalid"])
        found.findings[name] = finding
        if reason:
            found.reasons[name] = reason
        if finding in {"doubtful", "failing"}:
            read_again[record.path] = place
    for path, before in _in_backup(reference, read_again):
        if _is_spoilt(read_again[path], before, doubtful=found.findings[shown(path)] == "doubtful"):
            found.findings[shown(path)] = "damaged"
    return found


def _in_backup(reference: Reference, paths: Collection[str]) -> list[tuple[str, bytes]]:
    """Read what these files held in the backup."""
    if not paths:
        return []
    with reference.repository.open_entry(reference.manifest.entry(FILES.name)) as stream:
        return [(file.path, content.read()) for file, content in read_tar(stream) if content is not None and file.path in paths]


def _is_spoilt(place: Path, before: bytes, *, doubtful: bool) -> bool:
    """Tell whether a file was cut off; or of a doubtful one, that holds zero bytes now, whether it was text."""
    if doubtful:
        return b"\0" not in before
    try:
        return before.startswith(place.read_bytes())
    except OSError:
        return False


def _missing_variables(reference: Reference, truth: SourceTruth) -> list[str]:
    """Name the variables that this process lacks. That is told and judged by nothing: another process may well have them."""
    if ENVIRONMENT.name not in truth.parts:
        return []
    known = read_document(reference.repository, reference.manifest.entry(ENVIRONMENT.name))
    return sorted(name for name in known if name not in os.environ)


def _judged(found: _Found, variables: list[str], reference: Reference, options: ConfigurationOptions) -> Verdict:
    changed = found.named("changed") + found.named("doubtful")
    evidence: Json = {"backup": reference.document(), "files": len(found.findings), "changed": changed}
    evidence |= {"reasons": found.reasons} if found.reasons else {}
    evidence |= {"missingVariables": variables} if variables else {}
    bad = {finding: names for finding, _ in _WORST if (names := found.named(finding))}
    if not bad:
        return _well(found, changed, variables, evidence)
    affected = tuple(sorted(name for names in bad.values() for name in names))
    if len(affected) == len(found.findings) and set(bad) == {"missing"}:
        return Verdict("config", "lost", "every file of the newest good backup is gone", evidence, affected)
    said = "; ".join(f"{_SAID[finding]}: {', '.join(figures.first(names, _NAMED))}" for finding, names in bad.items())
    state = next(state for finding, state in _WORST if finding in bad)
    return Verdict("config", state, said, evidence, affected, _ask(bad, options))


def _well(found: _Found, changed: list[str], variables: list[str], evidence: Json) -> Verdict:
    said = [f"{figures.count(len(found.findings), 'file')} of the newest good backup are there and well formed"]
    if changed:
        said.append(f"changed since: {', '.join(figures.first(changed, _NAMED))}")
    if unread := found.named("unread"):
        said.append(f"not read: {', '.join(figures.first(unread, _NAMED))}")
    if variables:
        said.append(f"variables that this process lacks: {', '.join(figures.first(variables, _NAMED))}")
    if unread and len(unread) == len(found.findings):
        return Verdict("config", "unknown", "none of its files can be read", evidence)
    return Verdict("config", "healthy", "; ".join(said), evidence)


def _ask(bad: Mapping[FileFinding, list[str]], options: ConfigurationOptions) -> str | None:
    """Ask a person where a file is gone that only a pattern meant, or somebody may be editing one."""
    named, asks = {str(Path(options.working_directory, one).expanduser()) for one in options.files}, []
    missing = bad.get("missing", [])
    meant = [name for name in missing if str(options.working_directory / name) not in named and f"/{name}" not in named]
    if meant:
        asks.append(f"whether {', '.join(figures.first(meant, _NAMED))} was removed on purpose can't be told")
    if edited := bad.get("failing"):
        asks.append(
            f"somebody may be editing {', '.join(figures.first(edited, _NAMED))}, and what was changed there would be lost"
        )
    return "; ".join(asks) or None
