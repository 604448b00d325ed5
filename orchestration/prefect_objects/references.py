"""Ids of a server as names and back: in a document, `@{deployment:flow/name}` stands where the server has a UUID.

Names outlive a server, ids don't. They are found wherever they occur, in `prefect.deployment.<id>` of a trigger too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from blocks.server_objects import ServerObjects

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_REFERENCE = re.compile(r"@\{(automation|block|deployment|flow|work_pool|work_queue):([^{}]*)\}")


class UnknownReferenceError(LookupError):
    """A document refers to what this server has not; the message names it. It never leaves this package."""


class References:
    """The names of one server's ids, and the ids of its names."""

    def __init__(self, objects: ServerObjects) -> None:
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        for kind, name, identity in objects.ids():
            self._names[identity] = reference(kind, name)
            self._ids.setdefault(reference(kind, name), identity)

    def add(self, kind: str, name: str, identity: str) -> None:
        """Know the id of what was made meanwhile."""
        self._ids.setdefault(reference(kind, name), identity)

    def call_automations(self, ids: dict[str, str]) -> None:
        """Refer to automations by these keys from now on: several may have one name."""
        for key, identity in ids.items():
            self._names[identity] = reference("automation", key)
            self._ids[reference("automation", key)] = identity

    def knows(self, kind: str, name: str) -> bool:
        return reference(kind, name) in self._ids

    def named(self, value: Any) -> Any:
        """Return a JSON value with the name of everything known instead of its id."""
        return _replaced(value, _UUID, lambda found: self._names.get(found[0].lower(), found[0]))

    def resolved(self, value: Any) -> Any:
        """Return a JSON value with this server's ids instead of names. Raises UnknownReferenceError."""
        return _replaced(value, _REFERENCE, self._identity)

    def _identity(self, found: re.Match[str]) -> str:
        if found[0] not in self._ids:
            raise UnknownReferenceError(f"the {found[1].replace('_', ' ')} {unquote(found[2])} is not there")
        return self._ids[found[0]]


def reference(kind: str, name: str) -> str:
    """Return what stands for an id: the same for each object of that kind and name."""
    return f"@{{{kind}:{quote(name, safe='/ ')}}}"


def _replaced(value: Any, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(by, value)
    if isinstance(value, list):
        return [_replaced(one, pattern, by) for one in value]
    if isinstance(value, dict):
        return {_replaced(name, pattern, by): _replaced(one, pattern, by) for name, one in value.items()}
    return value
