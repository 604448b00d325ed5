"""The secrets of a Supabase project, which its functions get as variables. The service tells names and plain digests of values.

A plain digest can be guessed from, so it is digested once more under the repository's key, and not kept as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from holdfast.errors import NotFoundError, RefusedError
from holdfast.repository import canonical
from holdfast.sources.contract import LeftOut
from holdfast.sources.secrets.contract import (
    Digest,
    Json,
    RestoredSecrets,
    Rotation,
    SecretProvider,
    SecretRecord,
    SecretsFound,
    new_value,
    placeholder,
)
from holdfast.sources.secrets.usage import uses
from holdfast.sources.supabase.client import ManagementApi

_RESERVED = "SUPABASE_"  # Supabase's own: it sets them, and takes no secret of such a name


class SupabaseSecrets(SecretProvider):
    """The secrets of one project; `used_in` are folders whose files are searched for them. Closing it closes `api`."""

    kind: ClassVar[str] = "supabase"
    can_rotate = True
    can_restore = True

    def __init__(self, api: ManagementApi, *, name: str | None = None, used_in: Sequence[Path] = ()) -> None:
        super().__init__(name)
        self._api = api
        self._used_in = used_in

    @property
    def description(self) -> Json:
        return {"kind": self.kind, "name": self.name, "project": self._api.project, "address": self._api.address}

    def read(self, digest: Digest) -> SecretsFound:
        """Raises SourceDeniedError, NotFoundError, SourceFailedError, SourceUnreachableError."""
        found = self._api.secrets()
        users = uses([one["name"] for one in found], self._used_in)
        records = [
            SecretRecord(
                provider=self.name,
                name=one["name"],
                digest=digest(one["value"].encode()),
                changed_at=_time(one.get("updated_at")),
                used_in=users[one["name"]],
                attributes={"reserved": one["name"].startswith(_RESERVED)},
            )
            for one in found
        ]
        return SecretsFound(sorted(records, key=lambda record: record.name))

    def rotate(self, name: str) -> Rotation:
        """Raises RefusedError for Supabase's own secrets, and what `read` raises."""
        if name.startswith(_RESERVED):
            raise RefusedError(
                f"secret {name} was not rotated",
                reason="names that begin with SUPABASE_ are set by Supabase itself",
                next_step="Rotate the project's keys in its dashboard",
            )
        if name not in {one["name"] for one in self._api.secrets()}:
            raise NotFoundError(f"there is no secret {name!r} in Supabase project {self._api.project}")
        self._api.set_secrets([{"name": name, "value": new_value()}])
        return Rotation(self.name, name, canonical.now())

    def restore(self, records: Iterable[SecretRecord], *, dry_run: bool = False) -> RestoredSecrets:
        """Raises what `read` raises."""
        wanted = sorted({record.name for record in records})
        present = {one["name"] for one in self._api.secrets()}
        done = RestoredSecrets(self.name, dry_run, kept=[name for name in wanted if name in present])
        missing = [name for name in wanted if name not in present]
        done.created = [name for name in missing if not name.startswith(_RESERVED)]
        done.left_out = [LeftOut(name, "Supabase sets it itself") for name in missing if name.startswith(_RESERVED)]
        if done.created and not dry_run:
            self._api.set_secrets([{"name": name, "value": placeholder()} for name in done.created])
        return done

    def close(self) -> None:
        self._api.close()


def _time(text: str | None) -> datetime | None:
    """Read the service's time; None where it tells none, or none that can be read."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found and (found if found.tzinfo else found.replace(tzinfo=UTC))
