"""SCRAM-SHA-256 as PostgreSQL stores it (RFC 5802, RFC 7677): made here, so that a password itself is never sent to a server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

_SALT_BYTES = 16
DEFAULT_ITERATIONS = 4096


def verifier(password: str, *, iterations: int = DEFAULT_ITERATIONS, salt: bytes | None = None) -> str:
    """Make what the server keeps of a password: ASCII, for which SASLprep changes nothing."""
    if not password.isascii() or not password.isprintable():
        raise ValueError("a password of other characters would have to be normalized")
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = hashlib.sha256(_keyed(salted, b"Client Key")).digest()
    server_key = _keyed(salted, b"Server Key")
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _keyed(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
