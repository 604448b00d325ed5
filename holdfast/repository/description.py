"""repository.json: what must be known before anything else can be read. Written once, when a repository is made.

It carries a checksum against accident, a MAC by the master key against tampering, and every key file holds a copy of it,
so that it can be written again when it is lost.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from holdfast.errors import DamagedError, NotFoundError, ObjectNotFoundError, RefusedError
from holdfast.repository import canonical, names
from holdfast.repository.canonical import Json
from holdfast.repository.masterkey import MasterKey
from holdfast.storage import Storage

FORMAT = 1
CHUNK_BYTES_MIN, CHUNK_BYTES_AVG, CHUNK_BYTES_MAX = 256 << 10, 1 << 20, 4 << 20
_CHUNKER = {"name": "fastcdc-2020", "min": CHUNK_BYTES_MIN, "avg": CHUNK_BYTES_AVG, "max": CHUNK_BYTES_MAX}
_CIPHERS = {True: "aes-256-gcm", False: "none"}


@dataclass(frozen=True, slots=True)
class Description:
    """The content of repository.json."""

    id: str
    encrypted: bool
    created_at: datetime
    first_key_id: str | None
    mac: str | None = None

    @classmethod
    def new(cls, *, encrypted: bool) -> Description:
        first_key_id = secrets.token_hex(8) if encrypted else None
        return cls(secrets.token_hex(16), encrypted, canonical.now(), first_key_id)

    def authenticated(self, master: MasterKey) -> Description:
        """Return a copy that carries the master key's MAC."""
        return replace(self, mac=master.file_mac(canonical.to_bytes(self._plain())))

    def is_authentic(self, master: MasterKey) -> bool:
        return hmac.compare_digest(self.mac or "", master.file_mac(canonical.to_bytes(self._plain())))

    def to_json(self) -> Json:
        return self._plain() if self.mac is None else {**self._plain(), "mac": self.mac}

    def to_bytes(self) -> bytes:
        return canonical.with_checksum(self.to_json())

    @classmethod
    def from_json(cls, value: Json) -> Description:
        """Raises ValueError; RefusedError for a repository that a newer Holdfast made."""
        if isinstance(value.get("format"), int) and value["format"] > FORMAT:
            raise RefusedError(
                f"this repository has format {value['format']}, and this Holdfast reads formats up to {FORMAT}",
                next_step="Use a newer Holdfast",
            )
        try:
            encrypted = {name: state for state, name in _CIPHERS.items()}[value["cipher"]]
            found = cls(value["id"], encrypted, canonical.time_from(value["created_at"]), value["first_key_id"], value.get("mac"))
            bytes.fromhex(found.id)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a field is missing or wrong ({error})") from error
        if found.to_json() != value:
            raise ValueError("it has fields that format 1 has not")
        return found

    def _plain(self) -> Json:
        return {
            "chunker": _CHUNKER,
            "cipher": _CIPHERS[self.encrypted],
            "created_at": canonical.time_text(self.created_at),
            "first_key_id": self.first_key_id,
            "format": FORMAT,
            "id": self.id,
        }


def read_description(storage: Storage) -> Description:
    """Read repository.json. Raises NotFoundError (there is no repository), DamagedError, RefusedError."""
    try:
        data = storage.get(names.DESCRIPTION)
    except ObjectNotFoundError as error:
        if not holds_anything(storage):
            raise NotFoundError(f"there is no repository in {storage.location}", next_step="'holdfast init' makes one") from error
        raise description_damaged(storage, "it is missing, and there are backups or keys beside it") from error
    try:
        return Description.from_json(canonical.from_bytes_with_checksum(data))
    except ValueError as error:
        raise description_damaged(storage, str(error)) from error


def holds_keys(storage: Storage) -> bool:
    """Tell whether any key file is there, as in an encrypted repository."""
    return any(True for _ in storage.list(names.KEYS))


def holds_anything(storage: Storage) -> bool:
    """Tell whether any object of a repository is there besides repository.json."""
    folders = (names.KEYS, names.MANIFESTS, names.CHUNKS, names.PROOFS)
    return any(True for folder in folders for _ in storage.list(folder))


def description_damaged(storage: Storage, reason: str) -> DamagedError:
    """Return the error for a damaged repository.json."""
    return DamagedError(
        f"{names.DESCRIPTION} in {storage.location} is damaged",
        reason=reason,
        next_step="Every key file holds a copy of it: 'holdfast repo check' says what else is wrong, and "
        "holdfast.repository.repair_description writes it again",
    )
