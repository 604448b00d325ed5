"""What the API can do: each action has a name, a scope, what it takes, and the handler that does it.

The guide's path and the REST routes lead to the same actions, and `perform` is the one way to carry one out: it asks for the
scope, answers a repeated request as the first time, and writes the audit log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from api.caller import Caller
from api.idempotency import once
from api.parts import Parts
from api.recording import recorded
from holdfast.tokens import Scope

Json = dict[str, Any]


class Body(BaseModel):
    """What a request says; a field that is not known is refused, and so is a value of another type."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True, frozen=True)


class Nothing(Body):
    """The body, or the query, of an action that takes none."""


B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Asked(Generic[B]):
    """A request that was understood. `said` is its body, or its query where it has no body."""

    parts: Parts
    caller: Caller
    said: B
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Action(Generic[B]):
    """One action. `status` is the HTTP status of its answer; `audited` names it in the audit log, None: it changes nothing."""

    name: str
    """The guide's name of it, or ours in the same manner; also the operationId."""
    method: Literal["GET", "POST"]
    scope: Scope
    takes: type[B]
    handler: Callable[[Asked[B]], Json]
    status: int = 200
    audited: str | None = None
    once: bool = False
    """Whether it is a change that is done here and now, and whose answer is kept for a repeated Idempotency-Key.

    What starts a run leaves that to Prefect, which knows the key of each run.
    """


def perform(action: Action[B], asked: Asked[B]) -> Json:
    """Carry an action out. Raises ScopeMissingError, KeyReusedError, StillAtWorkError, and what the handler raises."""
    with recorded(action, asked) as record:
        asked.caller.require(action.scope)
        if action.once and asked.idempotency_key is not None:
            return record(once(action.name, asked, lambda: action.handler(asked)))
        return record(action.handler(asked))
