"""Proofs: what a verification of a backup found. The first, at level `stored`, is written when the backup commits.

A proof is never changed. The level of a backup is the best of the good proofs that came after the last bad one.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from holdfast.errors import DamagedError, ObjectExistsError, SettingsError
from holdfast.repository import canonical, names
from holdfast.repository.canonical import Json
from holdfast.repository.manifest import HOLDFAST_VERSION, Manifest
from holdfast.repository.masterkey import Kind
from holdfast.repository.sealed import SealedObjects

Level = Literal["stored", "read", "restored", "proven"]
LEVELS: tuple[str, ...] = get_args(Level)
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a proof says in the end."""

    level: Level
    ok: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """The outcome of one verification of one backup."""

    backup_id: str
    level: Level
    ok: bool
    problems: list[str]
    figures: Json
    started_at: datetime
    finished_at: datetime
    manifest: str
    manifest_checksum: str
    host: str = ""
    holdfast_version: str = ""
    schema: int = SCHEMA

    def to_json(self) -> Json:
        value: Json = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**value, "started_at": canonical.time_text(self.started_at), "finished_at": canonical.time_text(self.finished_at)}

    @classmethod
    def from_json(cls, value: Json) -> Proof:
        """Raises ValueError saying what is wrong."""
        try:
            times = {name: canonical.time_from(value[name]) for name in ("started_at", "finished_at")}
            found = cls(**{**value, **times})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a field is missing or wrong ({error})") from error
        if found.level not in LEVELS or found.schema != SCHEMA:
            raise ValueError("it has a level or schema that this Holdfast does not know")
        return found


class Proofs:
    """The proofs in a repository."""

    def __init__(self, sealed: SealedObjects) -> None:
        self._sealed = sealed

    def add(
        self,
        manifest: Manifest,
        level: Level,
        *,
        ok: bool,
        problems: list[str],
        figures: Json,
        started_at: datetime,
    ) -> Proof:
        """Write a proof of a backup, durably."""
        if level not in LEVELS:
            raise SettingsError(f"unknown level {level!r}", reason=f"known are {', '.join(LEVELS)}")
        proof = _proof(manifest, level, ok=ok, problems=problems, figures=figures, started_at=started_at)
        moment = proof.finished_at
        while True:
            try:
                self._sealed.put_record(Kind.PROOF, names.proof(manifest.id, moment), proof.to_json())
                break
            except ObjectExistsError:  # another in the same microsecond
                moment += timedelta(microseconds=1)
        self._sealed.storage.sync()
        return proof

    def add_receipt(self, manifest: Manifest, *, replace: bool = False) -> Proof:
        """Write the first proof, whose name follows from the manifest, durably. Writing it twice is harmless."""
        figures = {"stored_bytes": manifest.stored_bytes, "new_chunks": manifest.new_chunks}
        proof = _proof(manifest, "stored", ok=True, problems=[], figures=figures, started_at=manifest.started_at)
        with suppress(ObjectExistsError):
            self._sealed.put_record(Kind.PROOF, receipt_name(manifest), proof.to_json(), replace=replace)
        self._sealed.storage.sync()
        return proof

    def replace_damaged(self, name: str, manifest: Manifest) -> None:
        """Put a proof that says no more than that there was one in the place of one that can't be read."""
        what = ["the proof that was here could not be read"]
        proof = _proof(manifest, "stored", ok=False, problems=what, figures={}, started_at=canonical.now())
        self._sealed.put_record(Kind.PROOF, name, proof.to_json(), replace=True)
        self._sealed.storage.sync()

    def list(self, backup_id: str) -> list[Proof]:
        """List a backup's proofs, newest first. One that can't be read counts as a bad one."""
        found = sorted((info.name for info in self._sealed.storage.list(names.proofs(backup_id))), reverse=True)
        return [self.read_or_bad(name, backup_id) for name in found if names.proof_backup(name)]

    def read(self, name: str) -> Proof:
        """Read one proof by its name. Raises ObjectNotFoundError, DamagedError."""
        return self._sealed.own(name, lambda stored: self.proof_of(name, stored))

    def proof_of(self, name: str, stored: bytes) -> Proof:
        """Open the sealed bytes that were stored under a name. Raises ValueError saying what is wrong with them."""
        proof = Proof.from_json(canonical.from_bytes(self._sealed.unsealed(Kind.PROOF, name, stored)))
        if proof.backup_id != names.proof_backup(name):
            raise ValueError("it is the proof of another backup")
        return proof

    def read_or_bad(self, name: str, backup_id: str) -> Proof:
        """Read one proof by its name; one that can't be read is a bad one of the earliest time there is."""
        try:
            return self.read(name)
        except DamagedError as error:
            never = datetime.fromtimestamp(0, UTC)
            return Proof(backup_id, "stored", False, [str(error)], {}, never, never, "", "")


def receipt_name(manifest: Manifest) -> str:
    """Return the name of the proof that a backup is born with."""
    return names.proof(manifest.id, manifest.finished_at)


def _proof(manifest: Manifest, level: Level, *, ok: bool, problems: list[str], figures: Json, started_at: datetime) -> Proof:
    return Proof(
        backup_id=manifest.id,
        level=level,
        ok=ok,
        problems=problems,
        figures=figures,
        started_at=started_at,
        finished_at=canonical.now(),
        manifest=names.manifest(manifest.type, manifest.id),
        manifest_checksum=manifest.checksum,
        host=socket.gethostname(),
        holdfast_version=HOLDFAST_VERSION,
    )


def best_level(proofs: Sequence[Proof | Outcome]) -> Level | None:
    """Return the level that proofs, newest first, add up to."""
    best: Level | None = None
    for proof in proofs:
        if not proof.ok:
            break
        if best is None or LEVELS.index(proof.level) > LEVELS.index(best):
            best = proof.level
    return best
