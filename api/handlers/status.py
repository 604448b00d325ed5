"""How things stand: the document of `holdfast status`, from the latest look, so that asking often costs next to nothing."""

from __future__ import annotations

from functools import lru_cache

from api.action import Action, Asked, Json, Nothing
from api.answer import Written
from api.parts import Parts
from holdfast.errors import UnreachableError
from orchestration.standing.gathering import Standing

_FIRST_LOOK_SECONDS = 20.0
"""How long the first look may take where no part of the system answers."""


def standing(parts: Parts) -> tuple[Standing, bool]:
    """Return the latest look at everything, and whether it is late. Raises UnreachableError where there is none yet."""
    found, late = parts.looks.get()
    if found is None:
        found, late = parts.looks.get(_FIRST_LOOK_SECONDS)
    if found is None:
        raise UnreachableError("how things stand is not known yet", next_step="Ask again in some seconds")
    return found, late


def _status(asked: Asked[Nothing]) -> Json:
    return _written(*standing(asked.parts))


@lru_cache(maxsize=4)
def _written(found: Standing, late: bool) -> Written:
    return Written({**found.document, "late": late})


STATUS = Action("status", "GET", "read", Nothing, _status)
