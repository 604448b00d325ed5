"""A change that is made once, however often its request is repeated with its Idempotency-Key.

The catalog keeps the key, bound to the token that used it and to what was asked, with the answer of the first time.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from api.answer import to_json
from holdfast.errors import DatabaseUnreachableError, KeyReusedError, StillAtWorkError

if TYPE_CHECKING:
    from api.action import Asked, Json

_log = logging.getLogger(__name__)


def once(action: str, asked: Asked[Any], do: Callable[[], Json]) -> Json:
    """Do it, or return the answer of the first time where it was done before.

    Raises KeyReusedError, StillAtWorkError, DatabaseUnreachableError (nobody can know whether it was done), and what `do` raises;
    what ended with an error may be tried again with the same key.
    """
    name, key, digest = asked.caller.name, str(asked.idempotency_key), _digest(action, asked)
    with asked.parts.catalog() as catalog:
        attempt = catalog.requests.begin(name, key, digest)
        known = None if attempt else catalog.requests.find(name, key)
    if attempt is None:
        return _answer_of(known.digest if known else digest, digest, known.answer if known else None)
    try:
        answer = do()
    except BaseException:
        with asked.parts.catalog() as catalog:
            catalog.requests.forget(name, key, attempt)
        raise
    try:
        with asked.parts.catalog() as catalog:
            catalog.requests.answer(name, key, attempt, json.loads(to_json(answer)))
    except DatabaseUnreachableError as error:
        _log.warning("the answer to a request that was carried out can't be kept: %s", error.what_and_why)
    return answer


def _answer_of(known: str, digest: str, answer: Any) -> Json:
    if known != digest:
        raise KeyReusedError(
            "this Idempotency-Key was used before, for something else", next_step="Give each request a key of its own"
        )
    if answer is None:
        raise StillAtWorkError("the same request is being carried out", next_step="Ask again in some seconds, with the same key")
    return dict(answer)


def _digest(action: str, asked: Asked[Any]) -> str:
    said = json.dumps(asked.said.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(f"{action}\n{said}".encode()).hexdigest()
