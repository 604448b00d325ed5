"""Who may read a secret by the policy that is on it. What users and roles may by policies of their own, AWS doesn't tell here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

_READING = "secretsmanager:getsecretvalue"


def readers_of(policy: str) -> list[str] | None:
    """List whom a policy lets read the value; None where it can't be understood."""
    if not policy:
        return []
    try:
        statements = _list(json.loads(policy)["Statement"])
        return sorted({reader for statement in statements if _lets_read(statement) for reader in _principals(statement)})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _lets_read(statement: dict[str, Any]) -> bool:
    actions = [str(action).lower() for action in _list(statement.get("Action", []))]
    return statement["Effect"] == "Allow" and any(fnmatchcase(_READING, action) for action in actions)


def _principals(statement: dict[str, Any]) -> Iterator[str]:
    principal = statement.get("Principal", {})
    groups = [principal] if isinstance(principal, str) else [one for value in principal.values() for one in _list(value)]
    for one in groups:
        yield f"{one} (on conditions)" if statement.get("Condition") else str(one)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
