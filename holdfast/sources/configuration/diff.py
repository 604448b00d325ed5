"""What changed between two configurations: which variables, files, keys, settings, recovery plans and objects of Prefect.

No value of a variable or file is told in clear: a short one or one that looks secret not at all, others by their ends and length.
What one side left out is no change, and is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from holdfast.sources.configuration.environment import NO_VARIABLE
from holdfast.sources.configuration.globs import NO_FILE
from holdfast.sources.configuration.prefect_diff import changed_fields, diff_prefect_objects
from holdfast.sources.configuration.secretness import looks_secret, masked, shown_name
from holdfast.sources.configuration.source import BACKUP_CONFIG, ENVIRONMENT, FILES, PREFECT, RECOVERY_PLANS
from holdfast.sources.configuration.state import ConfigurationState, FileState
from holdfast.sources.files import shown

_GONE = (NO_FILE, NO_VARIABLE)  # such a name was left out because there is nothing of it
Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """A name whose value came, went, or is another; values as they may be shown."""

    name: str
    change: Kind
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that came, went, or is another: in `what` (kind, mode, content, link target), and in which `keys` where known."""

    path: str
    change: Kind
    what: list[str] = field(default_factory=list)
    keys: list[Change] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """An object of Prefect that came, went, or is another, and in which fields."""

    kind: str
    name: str
    change: Kind
    fields: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A recovery plan that came, went, or is another, and in which fields."""

    id: str
    change: Kind
    fields: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ConfigurationDiff:
    """All that changed from `before` to `after`; `not_compared` tells what one of them does not know, and why."""

    before: str
    after: str
    environment: list[Change]
    files: list[FileChange]
    backup_config: list[Change]
    recovery_plans: list[PlanChange]
    prefect: list[ObjectChange]
    not_compared: dict[str, str]

    @property
    def equal(self) -> bool:
        """Whether nothing changed, as far as both sides know."""
        return not (self.environment or self.files or self.backup_config or self.recovery_plans or self.prefect)

    def to_json(self) -> dict[str, Any]:
        """Write it as the command does."""
        found = asdict(self)
        names = {"backup_config": "backupConfig", "recovery_plans": "recoveryPlans", "not_compared": "notCompared"}
        return {names.get(name, name): value for name, value in found.items()} | {"equal": self.equal}


def diff(before: ConfigurationState, after: ConfigurationState) -> ConfigurationDiff:
    """Compare two configurations."""
    unknown: dict[str, str] = {}
    known = {part.name: _both_know(part.name, before, after, unknown) for part in (ENVIRONMENT, FILES)}
    documents = {part.name: _documents(part.name, before, after, unknown) for part in (BACKUP_CONFIG, RECOVERY_PLANS, PREFECT)}
    environment = _comparable("environment", lambda side: side.environment, before, after, unknown)
    files = _comparable("file", lambda side: side.files, before, after, unknown)
    return ConfigurationDiff(
        before=before.name,
        after=after.name,
        environment=list(changes(*environment)) if known[ENVIRONMENT.name] else [],
        files=list(_files(*files)) if known[FILES.name] else [],
        backup_config=list(_settings(*documents[BACKUP_CONFIG.name])),
        recovery_plans=list(_plans(*documents[RECOVERY_PLANS.name])),
        prefect=list(_objects(*documents[PREFECT.name])),
        not_compared=unknown,
    )


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """Compare values by name, in the order of names."""
    for name in sorted(before.keys() | after.keys()):
        called = shown_name(shown(name))
        if name not in after:
            yield Change(called, "removed", before=_masked(name, before[name]))
        elif name not in before:
            yield Change(called, "added", after=_masked(name, after[name]))
        elif before[name] != after[name]:
            yield Change(called, "changed", _masked(name, before[name]), _masked(name, after[name]))


def _masked(name: str, value: str) -> str:
    return masked("" if looks_secret(name, value) else value)


def _files(before: Mapping[str, FileState], after: Mapping[str, FileState]) -> Iterator[FileChange]:
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield FileChange(shown(path), "removed")
        elif path not in before:
            yield FileChange(shown(path), "added")
        elif what := _what_differs(before[path], after[path]):
            yield FileChange(shown(path), "changed", what, _keys(before[path], after[path]))


def _what_differs(before: FileState, after: FileState) -> list[str]:
    one, other = before.record, after.record
    if one.kind != other.kind:
        return ["kind"]
    mode = one.mode != other.mode and one.kind != "link"
    pairs = {"mode": mode, "content": one.sha256 != other.sha256, "link target": one.link_target != other.link_target}
    return [name for name, differs in pairs.items() if differs]


def _keys(before: FileState, after: FileState) -> list[Change]:
    if before.values is None or after.values is None:
        return []
    return list(changes(before.values, after.values))


def _settings(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    """The catalog's settings hold no secret and are shown; should one look like a secret, it is not."""
    for found in changed_fields(before, after):
        name, one, other = found["field"], found["before"], found["after"]
        change: Kind = "added" if one is None else "removed" if other is None else "changed"
        yield Change(name, change, _setting(name, one), _setting(name, other))


def _setting(name: str, value: Any) -> str | None:
    if value is None:  # the default
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return masked(text) if looks_secret(name, text) else text


def _plans(before: dict[str, Any], after: dict[str, Any]) -> Iterator[PlanChange]:
    for plan_id in sorted(before.keys() | after.keys()):
        if plan_id not in after:
            yield PlanChange(plan_id, "removed")
        elif plan_id not in before:
            yield PlanChange(plan_id, "added")
        elif fields := [found["field"] for found in changed_fields(before[plan_id], after[plan_id])]:
            yield PlanChange(plan_id, "changed", fields)


def _objects(before: dict[str, Any], after: dict[str, Any]) -> Iterator[ObjectChange]:
    for found in diff_prefect_objects(before, after):
        yield ObjectChange(found["kind"], found["name"], found["change"], [field["field"] for field in found["fields"]])


def _both_know(part: str, before: ConfigurationState, after: ConfigurationState, unknown: dict[str, str]) -> bool:
    for side in (before, after):
        if part in side.left_out:
            unknown[part] = f"{side.name} lacks it: {side.left_out[part]}"
    return part not in unknown


def _documents(
    part: str, before: ConfigurationState, after: ConfigurationState, unknown: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The documents of both sides; nothing to compare where one of them has none."""
    if part in before.documents and part in after.documents:
        return before.documents[part], after.documents[part]
    if part in before.documents or part in after.documents:
        side = after if part in before.documents else before
        unknown[part] = f"{side.name} lacks it" + (f": {side.left_out[part]}" if part in side.left_out else "")
    return {}, {}


def _comparable(
    called: str,
    of: Callable[[ConfigurationState], dict[str, Any]],
    before: ConfigurationState,
    after: ConfigurationState,
    unknown: dict[str, str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both sides hold, without what is only on one because the other left it out."""
    one, other = dict(of(before)), dict(of(after))
    for mine, theirs, side in ((one, other, after), (other, one, before)):
        for name in sorted(mine.keys() - theirs.keys()):
            reason = side.left_out.get(f"{called}:{shown(name)}", NO_FILE)
            if reason not in _GONE:
                unknown[f"{called}:{shown(name)}"] = f"{side.name} left it out: {reason}"
                del mine[name]
    return one, other
