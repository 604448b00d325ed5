"""How the secrets are: whether all are there, whether a value stands where none may, and who has power over the server.

A value that is another than in the backup is told, and no fault: secrets are meant to be rotated. Values are in memory while they
are searched for, and in nothing that comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.recovery.assessing import watched_files
from holdfast.recovery.assessing.leaks import Leaks, Needle, needles_of, search
from holdfast.recovery.assessing.reference import newest_reference
from holdfast.recovery.facts import leaked_in
from holdfast.recovery.triggers import UNAUTHORIZED
from holdfast.recovery.verdict import Verdict
from holdfast.sources.secrets.diff import compare
from holdfast.sources.secrets.kept import KeptSecrets, kept_secrets

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.world import World
    from holdfast.sources.secrets.contract import Digest, SecretProvider, SecretRecord

Json = dict[str, Any]

_NAMED = 5
_LAST_BYTES = 16 << 20
"""How much of a file a quick look searches: a log grows at its end."""

_ENV_FILE, _ROLES, _DIGESTS_ONLY = "env-file", "postgres-roles", frozenset({"supabase"})
_POWER = ("superuser", "createrole")


@dataclass(slots=True)
class _Found:
    """What was found of all providers, by `provider/name`."""

    evidence: Json
    secrets: int = 0
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    placeholders: list[str] = field(default_factory=list)
    unauthorized: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    needles: list[Needle] = field(default_factory=list)
    readable: int = 0


def assess(world: World, deadline: Deadline, *, thorough: bool) -> Verdict:
    """Compare the secrets with their newest good backup, and search for their values. Raises TimeLimitError, SettingsError."""
    providers = world.providers()
    if not providers:
        return Verdict(
            "secrets", "unknown", "no place of secrets is named; set BACKUP_SECRETS_ENV_FILE or BACKUP_SECRETS_PROVIDERS"
        )
    with ExitStack() as opened:
        for provider in providers:
            opened.callback(provider.close)
        found, kept, digest = _reference(world)
        for provider in providers:
            deadline.require()
            _look(provider, kept.get(provider.name), digest, found)
    last_bytes = None if thorough else _LAST_BYTES
    logs = search(watched_files.logs(world), found.needles, deadline, last_bytes=last_bytes)
    sources = search(watched_files.sources(world), found.needles, deadline, last_bytes=last_bytes)
    return _judged(found, logs, sources, len(providers))


def with_named(verdict: Verdict, facts: Mapping[str, Any]) -> Verdict:
    """Add the secrets that an event's facts name under `secrets`, as `provider/name`: whoever emitted it says they leaked."""
    named, others = leaked_in(facts)
    evidence = verdict.evidence | ({"namesNotUnderstood": others} if others else {})
    if not named:
        return replace(verdict, evidence=evidence)
    before = verdict.affected if verdict.state == "compromised" else ()
    reason = f"the event names {', '.join(figures.first(named, _NAMED))}"
    said = f"{verdict.reason}; {reason}" if verdict.state in {"compromised", "incomplete"} else reason
    return replace(verdict, state="compromised", reason=said, affected=tuple(dict.fromkeys([*before, *named])), evidence=evidence)


def _reference(world: World) -> tuple[_Found, dict[str, KeptSecrets], Digest]:
    """Find what the newest good backup knows, and by what digests its values can be recognized."""
    reference = newest_reference(world, "secrets")
    if not isinstance(reference, str):
        try:
            kept = {one.name: one for one in kept_secrets(reference.repository, reference.manifest)}
        except HoldfastError as error:
            reference = f"the newest good backup can't be read: {error.what_and_why}"
        else:
            return _Found({"backup": reference.document()}), kept, reference.repository.secret_digest
    return _Found({"notCompared": reference}), {}, lambda _: None


class _Captured:
    """Stands in for a digest, and remembers the values that were to be digested."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def digest(self, value: bytes) -> str:
        token = str(len(self._values))
        self._values[token] = value
        return token

    def value_of(self, record: SecretRecord) -> bytes | None:
        return None if record.digest is None else self._values.get(record.digest)


def _look(provider: SecretProvider, kept: KeptSecrets | None, digest: Digest, found: _Found) -> None:
    """Read one provider, and compare it."""
    captured, name = _Captured(), provider.name
    try:
        read = provider.read(captured.digest)
    except HoldfastError as error:
        if isinstance(error, NotFoundError) and provider.kind == _ENV_FILE and kept is not None:
            found.readable += 1
            found.missing += [f"{name}/{record.name}" for record in kept.records]
        found.notes.append(f"{name} can't be read: {error.what_and_why}")
        return
    found.readable += 1
    found.secrets += len(read.records)
    values = {record.name: captured.value_of(record) for record in read.records}
    records = [replace(record, digest=_digested(values[record.name], digest)) for record in read.records]
    diff = compare(name, kept.records if kept else [], records)
    unread = {one.name for one in read.left_out}
    found.missing += [f"{name}/{one}" for one in diff.missing if f"{name}, {one}" not in unread]
    found.changed += [f"{name}/{one}" for one in diff.changed]
    found.placeholders += [f"{name}/{one}" for one in diff.placeholders]
    found.notes += [str(one) for one in read.left_out]
    if provider.kind == _ROLES and kept is not None:
        found.unauthorized += [f"{name}/{one}" for one in _risen(kept.records, records)]
    if provider.kind not in _DIGESTS_ONLY:
        for one, value in values.items():
            found.needles += needles_of(f"{name}/{one}", one, value or b"", always_secret=provider.kind != _ENV_FILE)


def _digested(value: bytes | None, digest: Digest) -> str | None:
    return None if value is None else digest(value)


def _risen(before: list[SecretRecord], now: list[SecretRecord]) -> list[str]:
    """Name the login roles with power over the server that had none in the backup, or were not there."""
    known = {record.name: record.attributes for record in before}
    return [
        record.name
        for record in now
        if any(record.attributes.get(one) and not known.get(record.name, {}).get(one) for one in _POWER)
    ]


def _judged(found: _Found, logs: Leaks, sources: Leaks, providers: int) -> Verdict:
    evidence = found.evidence | {
        "secrets": found.secrets,
        "changed": found.changed,
        "placeholders": found.placeholders,
        "filesSearched": logs.files + sources.files,
    }
    more = {
        "leaks": {**sources.found, **{name: [*files, *sources.found.get(name, [])] for name, files in logs.found.items()}},
        "searchedInPart": logs.in_part + sources.in_part,
        "notRead": logs.not_read + sources.not_read,
        "notes": found.notes,
        "missing": found.missing,
        UNAUTHORIZED: found.unauthorized,
    }
    evidence |= {name: value for name, value in more.items() if value}
    if found.unauthorized or logs.found or sources.found:
        return _compromised(found, logs, sources, evidence)
    if found.missing:
        ask = "whether they were removed on purpose can't be told"
        return Verdict("secrets", "incomplete", f"gone: {_some(found.missing)}", evidence, tuple(found.missing), ask)
    if not found.readable:
        return Verdict("secrets", "unknown", "; ".join(found.notes), evidence)
    return Verdict("secrets", "healthy", "; ".join(_remarks(found, providers)), evidence)


def _compromised(found: _Found, logs: Leaks, sources: Leaks, evidence: Json) -> Verdict:
    """Name what others may know. What stands in sources alone may be meant, so it waits while anything else is to be rotated."""
    said, asks = [], []
    leaked = logs.found or sources.found
    if leaked:
        files = sorted({file for names in leaked.values() for file in names})
        said.append(f"{_some(sorted(leaked))} can be read in {_some(files)}")
    if leaked and not logs.found:
        asks.append("it may stand there on purpose, and whoever reads it there would break when it is rotated")
    if found.unauthorized:
        said.append(f"roles that the newest backup does not know to have power over the server: {_some(found.unauthorized)}")
        asks.append("whether a new role was given its power on purpose can't be told")
    affected = (*sorted(leaked), *(one for one in found.unauthorized if one not in leaked))
    return Verdict("secrets", "compromised", "; ".join(said), evidence, affected, "; ".join(asks) or None)


def _remarks(found: _Found, providers: int) -> list[str]:
    said = [f"{figures.count(found.secrets, 'secret')} of {figures.count(providers, 'place')} are there"]
    if found.changed:
        said.append(f"other values than in the newest good backup: {_some(found.changed)}")
    if found.placeholders:
        said.append(f"waiting for a value: {_some(found.placeholders)}")
    return said + found.notes[:_NAMED]


def _some(names: list[str]) -> str:
    return ", ".join(figures.first(names, _NAMED))
