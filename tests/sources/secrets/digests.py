"""The digest of a repository, without one: keyed, so that a plain digest in its place is noticed."""

from __future__ import annotations

import hashlib
import hmac


def keyed(value: bytes) -> str | None:
    return hmac.new(b"the key of a repository of the tests", value, hashlib.sha256).hexdigest()


def none(value: bytes) -> str | None:
    """What a repository without encryption gives."""
    del value
    return None
