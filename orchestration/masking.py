"""No secret in Prefect's logs, whatever a library may say: the last net below the rule that no message of ours holds one."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, SecretStr

from holdfast.errors import SettingsError
from holdfast.postgres.url import DatabaseUrl
from holdfast.secret_texts import MASK, secret_parts, secrets_of

_LOGGERS = ("", "prefect", "prefect.flow_runs", "prefect.task_runs", "prefect.extra", "holdfast", "orchestration")
_SHORTEST = 4

_secrets: set[str] = set()


def hide(*values: SecretStr | str | None) -> None:
    """Blot these values, and what is secret within them, out of all that this process logs from now on."""
    texts = (value.get_secret_value() if isinstance(value, SecretStr) else value for value in values)
    parts = (part for text in texts if text for part in secret_parts(text))
    _secrets.update(part for part in parts if len(part) >= _SHORTEST)
    for handler in _handlers():
        if _FILTER not in handler.filters:
            handler.addFilter(_FILTER)


def hide_all_of(model: BaseModel) -> None:
    """Hide every secret of settings or of a block, those of nested blocks too, and the password in those that are addresses."""
    for value in secrets_of(model):
        hide(value, _password(value))


def _password(value: SecretStr) -> SecretStr | None:
    try:
        return DatabaseUrl.parse(value).password
    except SettingsError:  # it is no address
        return None


def masked(text: str) -> str:
    """Return a text without the secrets that are known."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def masked_all(value: Any) -> Any:
    """Return a document without them; what JSON can't say becomes text."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {str(name): masked_all(one) for name, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked_all(one) for one in value]
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
    return masked(str(value))


class _MaskSecrets(logging.Filter):
    """Rewrites what holds a secret; a record without one stays as it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if masked(text) != text:
            record.msg, record.args = masked(text), ()
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = masked("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return True


_FILTER = _MaskSecrets()


def _handlers() -> Iterable[logging.Handler]:
    for name in _LOGGERS:
        yield from logging.getLogger(name or None).handlers
