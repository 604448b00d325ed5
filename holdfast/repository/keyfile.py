"""keys/<id>.json: the master key, wrapped by one user key, with a copy of repository.json.

The checksum tells a damaged file from a wrong key. The MAC by the master key tells, to whoever holds any key, that a key
file or a tombstone was not forged. A removed key's file is overwritten with a tombstone that holds no wrapped key.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from holdfast.repository import canonical
from holdfast.repository.canonical import Json
from holdfast.repository.description import Description
from holdfast.repository.masterkey import MasterKey
from holdfast.repository.userkey import KEY_BYTES, KeyKind, UserKey

_SCRYPT = {"name": "scrypt", "n": 1 << 16, "r": 8, "p": 2}  # 64 MiB
_SCRYPT_MEMORY_MAX_BYTES = 1 << 30
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The content of a key file."""

    id: str
    repository_id: str
    kind: KeyKind
    label: str
    created_at: datetime
    state: Literal["active", "removed"]
    kdf: Json | None
    wrapped: bytes | None
    removed_at: datetime | None
    mac: str

    @classmethod
    def wrap(cls, user_key: UserKey, master: MasterKey, description: Description, *, label: str, key_id: str) -> KeyFile:
        """Wrap the master key with a user key, as a new key file."""
        salt = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
        kdf = {"name": "hkdf-sha256", "salt": salt} if user_key.kind == "raw" else {**_SCRYPT, "salt": salt}
        bare = cls(key_id, description.id, user_key.kind, label, canonical.now(), "active", kdf, None, None, "")
        secret = base64.b64encode(master.secret).decode("ascii")
        content = canonical.to_bytes({"master_key": secret, "repository": description.to_json()})
        nonce = secrets.token_bytes(_NONCE_BYTES)
        wrapped = nonce + AESGCM(_wrapping_key(user_key, kdf)).encrypt(nonce, content, bare._bound())
        return replace(bare, wrapped=wrapped).authenticated(master)

    def unwrap(self, user_key: UserKey) -> tuple[MasterKey, Description] | None:
        """Return the master key and the description, or None where this user key is not the one. Raises ValueError."""
        if self.state != "active" or self.kind != user_key.kind or self.kdf is None or self.wrapped is None:
            return None
        nonce, sealed = self.wrapped[:_NONCE_BYTES], self.wrapped[_NONCE_BYTES:]
        try:
            content = canonical.from_bytes(AESGCM(_wrapping_key(user_key, self.kdf)).decrypt(nonce, sealed, self._bound()))
        except InvalidTag:
            return None
        description = Description.from_json(content["repository"])
        return MasterKey(base64.b64decode(content["master_key"]), description.id), description

    def removed(self, master: MasterKey) -> KeyFile:
        """Return the tombstone that takes this file's place."""
        return replace(self, state="removed", kdf=None, wrapped=None, removed_at=canonical.now()).authenticated(master)

    def authenticated(self, master: MasterKey) -> KeyFile:
        return replace(self, mac=master.file_mac(canonical.to_bytes(self._without_mac())))

    def is_authentic(self, master: MasterKey) -> bool:
        return hmac.compare_digest(self.mac, master.file_mac(canonical.to_bytes(self._without_mac())))

    def to_bytes(self) -> bytes:
        return canonical.with_checksum({**self._without_mac(), "mac": self.mac})

    @classmethod
    def from_bytes(cls, data: bytes, key_id: str) -> KeyFile:
        """Read the file of this id. Raises ValueError saying what is wrong with it."""
        value = canonical.from_bytes_with_checksum(data)
        try:
            found = cls(
                id=value["id"],
                repository_id=value["repository_id"],
                kind=value["kind"],
                label=value["label"],
                created_at=canonical.time_from(value["created_at"]),
                state=value["state"],
                kdf=value.get("kdf"),
                wrapped=base64.b64decode(value["wrapped"], validate=True) if "wrapped" in value else None,
                removed_at=canonical.time_from(value["removed_at"]) if "removed_at" in value else None,
                mac=value["mac"],
            )
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ValueError(f"a field is missing or wrong ({type(error).__name__})") from error
        if found.id != key_id:
            raise ValueError(f"it is the file of key {found.id}")
        if {**found._without_mac(), "mac": found.mac} != value or (found.state == "active") != (found.wrapped is not None):
            raise ValueError("its fields do not fit together")
        return found

    def _without_mac(self) -> Json:
        value = self._clear()
        if self.wrapped is not None:
            value["wrapped"] = base64.b64encode(self.wrapped).decode("ascii")
        return value

    def _bound(self) -> bytes:
        """What the wrapped key is bound to: all that is readable without the key."""
        return canonical.to_bytes(self._clear())

    def _clear(self) -> Json:
        value: Json = {
            "created_at": canonical.time_text(self.created_at),
            "id": self.id,
            "kind": self.kind,
            "label": self.label,
            "repository_id": self.repository_id,
            "state": self.state,
        }
        if self.kdf is not None:
            value["kdf"] = self.kdf
        if self.removed_at is not None:
            value["removed_at"] = canonical.time_text(self.removed_at)
        return value


def _wrapping_key(user_key: UserKey, kdf: Json) -> bytes:
    """Derive the key that wraps, from the user key and the file's own parameters. Raises ValueError for unknown ones."""
    try:
        salt = base64.b64decode(kdf["salt"], validate=True)
        if kdf["name"] == "hkdf-sha256":
            return HKDF(SHA256(), KEY_BYTES, salt, b"holdfast/1/wrap").derive(user_key.secret)
        if kdf["name"] != "scrypt":
            raise ValueError(f"unknown key derivation {kdf['name']!r}")
        n, r, p = kdf["n"], kdf["r"], kdf["p"]
        if 128 * n * r > _SCRYPT_MEMORY_MAX_BYTES or not 1 <= p <= 16:
            raise ValueError("its scrypt parameters are out of bounds")
        return Scrypt(salt, KEY_BYTES, n, r, p).derive(user_key.secret)
    except (KeyError, TypeError) as error:
        raise ValueError("its key derivation can't be read") from error
