"""Secrets as they are now, beside what a backup knew: which are missing, changed or new. Values are compared by digests alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.sources.contract import LeftOut
from holdfast.sources.secrets.contract import Digest, Json, SecretProvider, SecretRecord
from holdfast.sources.secrets.kept import KeptSecrets

_METADATA = ("rotation", "tags", "readers", "used_in")
_OWN_TO_ONE = frozenset({"id"})  # attributes that differ between a secret and the one recreated in its place


@dataclass(slots=True)
class SecretsDiff:
    """How one provider's secrets differ: names. `unknown` are those of which no digest tells whether the value is the same.

    `metadata` names, for a secret that is in both, what else of it changed. `placeholders` wait for a value. With an `error`
    nothing could be compared.
    """

    provider: str
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unchanged: int = 0
    metadata: dict[str, list[str]] = field(default_factory=dict)
    placeholders: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: HoldfastError | None = None

    @property
    def same(self) -> bool:
        """Whether all that could be compared is as it was, and all could be."""
        differs = self.missing or self.changed or self.new or self.unknown or self.metadata or self.left_out
        return self.error is None and not differs


def secrets_diff(kept: Sequence[KeptSecrets], providers: Iterable[SecretProvider], digest: Digest) -> list[SecretsDiff]:
    """Compare a backup with what the providers hold now; one that fails is told, and the others are compared.

    `digest` must be that of the repository that holds the backup.
    """
    before = {one.name: one for one in kept}
    now = {provider.name: provider for provider in providers}
    return [_of_provider(name, before.get(name), now.get(name), digest) for name in sorted(before.keys() | now.keys())]


def compare(name: str, before: Iterable[SecretRecord], now: Iterable[SecretRecord]) -> SecretsDiff:
    """Compare records of one provider."""
    old, new = ({record.name: record for record in records} for records in (before, now))
    diff = SecretsDiff(name, missing=sorted(old.keys() - new.keys()), new=sorted(new.keys() - old.keys()))
    for secret in sorted(old.keys() & new.keys()):
        same = _same_value(old[secret], new[secret])
        if same is None:
            diff.unknown.append(secret)
        elif same:
            diff.unchanged += 1
        else:
            diff.changed.append(secret)
        if fields := _changed_metadata(old[secret], new[secret]):
            diff.metadata[secret] = fields
    diff.placeholders = sorted(secret for secret, record in new.items() if record.attributes.get("state") == "placeholder")
    return diff


def _of_provider(name: str, kept: KeptSecrets | None, provider: SecretProvider | None, digest: Digest) -> SecretsDiff:
    if provider is None:
        reason = "the settings name no such provider"
        return SecretsDiff(name, error=NotFoundError(f"the secrets of {name} were not compared", reason=reason))
    try:
        found = provider.read(digest)
    except HoldfastError as error:
        return SecretsDiff(name, error=error)
    diff = compare(name, kept.records if kept else [], found.records)
    diff.left_out, diff.notes = [*found.left_out], [*found.notes]
    unreadable = {one.name for one in found.left_out}
    diff.missing = [secret for secret in diff.missing if f"{name}, {secret}" not in unreadable]
    return diff


def _same_value(old: SecretRecord, new: SecretRecord) -> bool | None:
    """Tell by the digests, else by the provider's own versions; None where neither tells."""
    if old.digest is not None and new.digest is not None:
        return old.digest == new.digest
    if old.version is not None and new.version is not None:
        return old.version == new.version
    return None


def _changed_metadata(old: SecretRecord, new: SecretRecord) -> list[str]:
    fields = [name for name in _METADATA if getattr(old, name) != getattr(new, name)]
    return fields + sorted(_changed_keys(old.attributes, new.attributes) - _OWN_TO_ONE)


def _changed_keys(old: Json, new: Json) -> set[str]:
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
