"""How the page asks: by the same actions as everybody, and where a part of the system is down, for as much as there is."""

from __future__ import annotations

from typing import Any

from api.action import Action, Asked, Json, perform
from api.guide import understood
from api.page.person import Person
from api.parts import Parts
from holdfast.errors import HoldfastError, NotFoundError, ScopeMissingError


def answer(parts: Parts, person: Person, action: Action[Any], key: str = "", **said: Any) -> Json:
    """Carry an action out for a person; what is empty was not said. Raises whatever the action raises."""
    given = {name: value for name, value in said.items() if value not in (None, "", [])}
    return perform(action, Asked(parts, person.caller, understood(action.takes, given), key or None))


def answer_or_error(parts: Parts, person: Person, action: Action[Any], **said: Any) -> tuple[Json | None, HoldfastError | None]:
    """Carry out an action that only looks, for a page that has more to show. Raises ScopeMissingError, NotFoundError."""
    try:
        return answer(parts, person, action, **said), None
    except (ScopeMissingError, NotFoundError):
        raise
    except HoldfastError as error:
        return None, error
