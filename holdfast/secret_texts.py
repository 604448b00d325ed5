"""Which texts must not be shown: every secret of settings and blocks, however deep it lies, and what is secret within a secret.

Blocks of others keep some secrets as plain text (a session token, the fields of a service account), so names count too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, Secret, SecretStr

_SECRET_NAME = re.compile(r"(^|_)(key|key_id|token|secret|password|connection_string)$", re.IGNORECASE)
_IN_CONNECTION_STRING = re.compile(r"(?:^|;)\s*(?:AccountKey|SharedAccessSignature)\s*=\s*([^;]+)", re.IGNORECASE)
_IN_URL = re.compile(r"\A[a-z0-9+]+://[^/@]*?:(.*)@", re.IGNORECASE | re.DOTALL)
_ACCOUNT = ("access_key", "storage_access_key")  # for azure the name of the account, which is part of every address there
_DATABASE = ("postgresql://", "postgres://")  # of such an address only the password is secret
_LONG_LINE = 20

MASK = "********"
"""What stands for a secret that is not shown."""


def secrets_of(model: BaseModel) -> Iterator[SecretStr]:
    """Yield every secret of a model and of the models in it."""
    azure = "azure" in (getattr(model, "type", None), getattr(model, "storage_type", None))
    for name, value in model:
        if not (azure and name in _ACCOUNT):
            yield from _within(name, value)


def secret_parts(text: str) -> list[str]:
    """Name what of a secret must not be shown: the whole, the password or key in it, and each line of a key that has several."""
    passwords = [form for found in _IN_URL.findall(text) for form in (found, unquote(found))]
    if text.startswith(_DATABASE):
        return list(dict.fromkeys(passwords))
    parts = [text, *_IN_CONNECTION_STRING.findall(text), *passwords]
    lines = text.replace("\\n", "\n").splitlines()
    parts += [line for line in lines if len(lines) > 1 and len(line) >= _LONG_LINE and not line.startswith("-----")]
    return list(dict.fromkeys(part for part in parts if part))


def _within(name: str, value: Any) -> Iterator[SecretStr]:
    if isinstance(value, SecretStr):
        yield value
    elif isinstance(value, Secret):
        yield from _within(name, value.get_secret_value())
    elif isinstance(value, BaseModel):
        yield from secrets_of(value)
    elif isinstance(value, Mapping):
        for inner, inner_value in value.items():
            yield from _within(str(inner), inner_value)
    elif isinstance(value, str) and value and _SECRET_NAME.search(name):
        yield SecretStr(value)
