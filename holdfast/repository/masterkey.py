"""The repository's master key, and every key that is derived from it by HKDF-SHA256 (RFC 5869).

No key is used for two purposes. Nothing here shows a key: not in repr, not in an error, not pickled.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


class Kind(IntEnum):
    """What a sealed object is: the header's kind byte."""

    CHUNK = 1
    MANIFEST = 2
    PROOF = 3
    LEASE = 4
    PRUNE = 5
    PIN = 6
    CLEANUP = 7
    CHECK = 8
    AUDIT = 9


class MasterKey:
    """Derives the keys of one repository."""

    def __init__(self, secret: bytes, repository_id: str) -> None:
        self._secret = secret
        self._salt = bytes.fromhex(repository_id)
        self._ciphers = {kind: AESGCM(self._derive(kind.name.lower())) for kind in Kind}
        self._id = hmac.new(self._derive("id"), digestmod=hashlib.sha256)
        self._files = self._derive("files")
        self._secrets = self._derive("secrets")

    @staticmethod
    def new_secret() -> bytes:
        return secrets.token_bytes(KEY_BYTES)

    @property
    def secret(self) -> bytes:
        """The key itself: for wrapping it with a user key, and nothing else."""
        return self._secret

    def cipher(self, kind: Kind) -> AESGCM:
        return self._ciphers[kind]

    def cache_cipher(self) -> AESGCM:
        """For what is kept outside of the repository, in a home, and may be deleted there."""
        return AESGCM(self._derive("cache"))

    def chunk_id(self, plain: bytes | memoryview) -> bytes:
        keyed = self._id.copy()
        keyed.update(plain)
        return keyed.digest()

    @property
    def chunker_seed(self) -> int:
        return int.from_bytes(self._derive("chunker")[:8], "big") >> 1  # the cutter takes 63 bits

    def file_mac(self, canonical: bytes) -> str:
        """Authenticate a file that must be readable without the key: repository.json and the key files."""
        return hmac.new(self._files, canonical, hashlib.sha256).hexdigest()

    def secret_digest(self, text: bytes) -> str:
        """Digest a secret's value so that two can be compared, and neither guessed by whoever lacks this key; in hex."""
        return hmac.new(self._secrets, text, hashlib.sha256).hexdigest()

    def _derive(self, purpose: str) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, self._salt, f"holdfast/1/{purpose}".encode()).derive(self._secret)

    def __repr__(self) -> str:
        return "MasterKey(hidden)"

    def __reduce__(self) -> str:
        raise TypeError("a master key can't be pickled")
