"""Managed services, a kind a file: whoever has the description of one opens it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.recovery.service import Service
    from holdfast.recovery.services.description import Kind, ServiceDescription


def open_service(name: str, described: ServiceDescription) -> Service:
    """Open a service; nothing is asked of it yet."""
    from holdfast.recovery.services.command import CommandService
    from holdfast.recovery.services.docker import DockerService
    from holdfast.recovery.services.kubernetes import KubernetesService
    from holdfast.recovery.services.supervisor import SupervisorService
    from holdfast.recovery.services.systemd import SystemdService

    kinds: dict[Kind, Callable[[str, ServiceDescription], Service]] = {
        "command": CommandService,
        "docker": DockerService,
        "kubernetes": KubernetesService,
        "supervisor": SupervisorService,
        "systemd": SystemdService,
    }
    return kinds[described.kind](name, described)
