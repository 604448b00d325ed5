"""repository.json: what must be known before anything else can be read. Written once, when a repository is made.

It carries a checksum against accident, a MAC by the master key against tampering, and every key file holds a copy of it,
so that it can be written again when it is lost.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from holdfast.errors import DamagedError, NotFoundError, ObjectNotFoundError, RefusedError
from holdfast.repository import canonical, names
from holdfast.repository.canonical import Json
from holdfast.repository.masterkey import MasterKey
from holdfast.repository.proven import FILE_BYTES_MAX, read_proven
from holdfast.storage import Storage

FORMAT = 1
_CHUNKER = "fastcdc-2020"
_CHUNK_BYTES_MAX = 16 << 20
_ID_BYTES = 16
_CIPHERS = {True: "aes-256-gcm", False: "none"}


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """Where the cutter may cut, in bytes: never below `min`, about every `avg` behind that, always at `max`."""

    min: int = 256 << 10
    avg: int = 1 << 20
    max: int = 4 << 20


@dataclass(frozen=True, slots=True)
class Description:
    """The content of repository.json."""

    id: str
    encrypted: bool
    created_at: datetime
    first_key_id: str | None
    chunk_sizes: ChunkSizes = ChunkSizes()
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
            created_at = canonical.time_from(value["created_at"])
            sizes = ChunkSizes(**{name: size for name, size in value["chunker"].items() if name != "name"})
            found = cls(value["id"], encrypted, created_at, value["first_key_id"], sizes, value.get("mac"))
            if len(bytes.fromhex(found.id)) != _ID_BYTES or not 0 < sizes.min < sizes.avg < sizes.max <= _CHUNK_BYTES_MAX:
                raise ValueError("its id or its sizes of chunks are out of bounds")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"a field is missing or wrong ({error})") from error
        if found.to_json() != value:
            raise ValueError("it has fields that format 1 has not")
        return found

    def _plain(self) -> Json:
        return {
            "chunker": {"name": _CHUNKER, **asdict(self.chunk_sizes)},
            "cipher": _CIPHERS[self.encrypted],
            "created_at": canonical.time_text(self.created_at),
            "first_key_id": self.first_key_id,
            "format": FORMAT,
            "id": self.id,
        }


_WHERE_NONE_IS = (
    "If there was one, see that the storage is mounted and the right one, and make no other in its place. "
    "Where there never was one, 'holdfast init' makes it"
)


def read_description(storage: Storage) -> Description:
    """Read repository.json. Raises NotFoundError (there is no repository), DamagedError, RefusedError."""
    try:
        return read_proven(
            storage,
            names.DESCRIPTION,
            lambda stored: Description.from_json(canonical.from_bytes_with_checksum(stored)),
            bytes_max=FILE_BYTES_MAX,
        )
    except ObjectNotFoundError as error:
        if not holds_anything(storage):
            raise NotFoundError(f"there is no repository in {storage.location}", next_step=_WHERE_NONE_IS) from error
        raise description_damaged(storage, "it is missing, and there are backups or keys beside it") from error
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
