"""A service that recovery plans may start and restart, and how they tell whether it is well."""

from __future__ import annotations

from holdfast.recovery.service import Service

PREFIX = "holdfast-service-"
"""How the names of these blocks begin; of a target its own prefix comes in front, as for all blocks (see names.py)."""


def find_service(name: str, target: str | None) -> Service:
    """Load a service by its name. Raises NotFoundError."""
    raise NotImplementedError


def service_names(target: str | None) -> list[str]:
    """Name the services that are saved. Raises PrefectUnreachableError."""
    raise NotImplementedError
