"""The self-test: everything that backups need is tried out, and nothing is changed."""

from __future__ import annotations

from api.action import Action, Asked, Json, Nothing


def _test(asked: Asked[Nothing]) -> Json:
    return asked.parts.self_test()


TEST = Action("test", "GET", "read", Nothing, _test)
