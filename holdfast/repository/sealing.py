"""The sealed object: a header, then the content, compressed, encrypted and bound to the object's name.

    header (16 bytes) ‖ nonce (12) ‖ AES-256-GCM ciphertext ‖ tag (16)          cipher 1
    header (16 bytes) ‖ SHA-256(header ‖ name ‖ payload) (32) ‖ payload         cipher 0

Whoever opens an object under another name, of another kind, or changed by one bit, gets a ValueError and no bytes.
"""

from __future__ import annotations

import hashlib
import os
import struct

from cryptography.exceptions import InvalidTag

from holdfast.repository.compression import NONE, Compression, compress, decompress
from holdfast.repository.masterkey import Kind, MasterKey

MAGIC = b"HOLD"
VERSION = 1
CIPHER_NONE, CIPHER_AES_256_GCM = 0, 1
CHUNK_BYTES_MAX = 16 << 20
OTHER_BYTES_MAX = 1 << 30

_HEADER = struct.Struct(">4sBBBBQ")
_NONCE_BYTES = 12
_TAG_BYTES = 16
_DIGEST_BYTES = 32

Bytes = bytes | bytearray | memoryview


def overhead_bytes(encrypted: bool) -> int:
    """Return how much longer a sealed object is than its compressed content."""
    return _HEADER.size + (_NONCE_BYTES + _TAG_BYTES if encrypted else _DIGEST_BYTES)


def bytes_max(kind: Kind) -> int:
    """Return how long a sealed object of a kind may be: what does not shrink is stored raw."""
    return (CHUNK_BYTES_MAX if kind is Kind.CHUNK else OTHER_BYTES_MAX) + overhead_bytes(encrypted=False)


def seal(kind: Kind, name: bytes, plain: bytes | memoryview, how: Compression, master: MasterKey | None) -> bytearray:
    """Seal `plain` as the object `name`; without a master key it is not encrypted, only protected against accident."""
    code, payload = compress(plain, how)
    cipher = CIPHER_NONE if master is None else CIPHER_AES_256_GCM
    header = _HEADER.pack(MAGIC, VERSION, kind, code, cipher, len(plain))
    if master is None:
        return bytearray().join((header, _digest(header, name, payload), payload))
    sealed = bytearray(overhead_bytes(encrypted=True) + len(payload))
    start = _HEADER.size + _NONCE_BYTES
    nonce = os.urandom(_NONCE_BYTES)
    sealed[: _HEADER.size] = header
    sealed[_HEADER.size : start] = nonce
    with memoryview(sealed) as view:
        master.cipher(kind).encrypt_into(nonce, payload, header + name, view[start:])
    return sealed


def unseal(kind: Kind, name: bytes, sealed: Bytes, master: MasterKey | None) -> bytes:
    """Return what was sealed as the object `name`. Raises ValueError saying what is wrong with the object."""
    if len(sealed) < overhead_bytes(master is not None):
        raise ValueError("it is cut off" if sealed else "it is empty")
    view = memoryview(sealed)
    header, body = bytes(view[: _HEADER.size]), view[_HEADER.size :]
    magic, version, found_kind, code, cipher, length = _HEADER.unpack(header)
    if magic != MAGIC or version != VERSION:
        raise ValueError("it does not begin like an object of a Holdfast repository, format 1")
    if found_kind != kind:
        raise ValueError("it is an object of another kind")
    if length > (CHUNK_BYTES_MAX if kind is Kind.CHUNK else OTHER_BYTES_MAX):
        raise ValueError(f"its header says {length} bytes, more than there may be")
    if cipher != (CIPHER_NONE if master is None else CIPHER_AES_256_GCM):
        raise ValueError("it is encrypted otherwise than the repository")
    payload = _verified(header, name, body) if master is None else _decrypted(header, name, body, kind, master)
    return decompress(code, payload, length)


def require_plausible(kind: Kind, sealed: Bytes, *, encrypted: bool) -> None:
    """Look at what can be seen of an object without a key. Raises ValueError for what can't be right."""
    if len(sealed) < overhead_bytes(encrypted):
        raise ValueError("it is cut off" if sealed else "it is empty")
    magic, version, found_kind, code, cipher, length = _HEADER.unpack(bytes(memoryview(sealed)[: _HEADER.size]))
    if magic != MAGIC or version != VERSION:
        raise ValueError("it does not begin like an object of a Holdfast repository, format 1")
    if found_kind != kind or cipher != (CIPHER_AES_256_GCM if encrypted else CIPHER_NONE):
        raise ValueError("it is an object of another kind, or encrypted otherwise than the repository")
    content_bytes = len(sealed) - overhead_bytes(encrypted)
    if content_bytes != length and (code == NONE or content_bytes > length):
        raise ValueError(f"it holds {content_bytes} bytes and its header says {length}")


def _verified(header: bytes, name: bytes, body: memoryview) -> memoryview:
    payload = body[_DIGEST_BYTES:]
    if _digest(header, name, payload) != body[:_DIGEST_BYTES]:
        raise ValueError("its content is not what was stored under this name")
    return payload


def _decrypted(header: bytes, name: bytes, body: memoryview, kind: Kind, master: MasterKey) -> bytes:
    try:
        return master.cipher(kind).decrypt(bytes(body[:_NONCE_BYTES]), body[_NONCE_BYTES:], header + name)
    except InvalidTag as error:
        raise ValueError("its content is not what was stored under this name") from error


def _digest(header: bytes, name: bytes, payload: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(header + name)
    digest.update(payload)
    return digest.digest()


def plain_chunk_id(plain: bytes | memoryview) -> bytes:
    """Return a chunk's id where the repository is not encrypted."""
    return hashlib.sha256(plain).digest()
