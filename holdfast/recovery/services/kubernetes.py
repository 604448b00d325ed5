"""A deployment of Kubernetes, or another kind that rolls out (`statefulset/db`).

A roll-out starts new pods before the old ones go, so nothing is down meanwhile. Forced, the pods themselves are deleted at once,
those that the deployment's own selector names and no others.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from holdfast.errors import ServiceFailedError
from holdfast.recovery.services.checked import CheckedService

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline


class KubernetesService(CheckedService):
    """A deployment."""

    program = "kubectl"

    def foresee(self) -> str:
        return f"restart {self.name} by kubectl rollout restart {self._object}"

    def _options(self) -> list[str]:
        given = {
            "--kubeconfig": self.described.config_file,
            "--context": self.described.context,
            "--namespace": self.described.namespace,
        }
        return [word for option, value in given.items() if value for word in (option, value)]

    @property
    def _object(self) -> str:
        return self._unit if "/" in self._unit else f"deployment/{self._unit}"

    def _restarted(self, deadline: Deadline) -> list[str]:
        return [self._run(self._tool("rollout", "restart", self._object), deadline), self._rolled_out(deadline)]

    def _killed_and_started(self, deadline: Deadline) -> list[str]:
        selector = self._selector(deadline)
        words = self._tool("delete", "pod", "--selector", selector, "--force", "--grace-period=0", "--wait=false")
        return [self._run(words, deadline), self._rolled_out(deadline)]

    def _started(self, deadline: Deadline) -> list[str]:
        done = []
        if self._read(deadline)["spec"].get("replicas") == 0:
            done.append(self._run(self._tool("scale", self._object, "--replicas=1"), deadline))
        return [*done, self._rolled_out(deadline)]

    def _rolled_out(self, deadline: Deadline) -> str:
        seconds = min(self.described.patience_seconds, deadline.seconds_left)
        words = self._tool("rollout", "status", self._object, f"--timeout={max(1, math.floor(seconds))}s")
        return self._run(words, deadline, seconds=seconds)

    def _selector(self, deadline: Deadline) -> str:
        """Name its pods as kubectl takes it. Raises ServiceFailedError where labels alone don't: more than its own would go."""
        selector = self._read(deadline)["spec"].get("selector") or {}
        labels: dict[str, Any] = selector.get("matchLabels") or {}
        if not labels or selector.get("matchExpressions"):
            raise ServiceFailedError(
                f"The pods of {self._object} were not deleted",
                reason="its selector is not of labels alone, so which pods are its own is not known here",
                next_step="Delete them by hand: kubectl delete pod NAME --force --grace-period=0",
            )
        return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))

    def _read(self, deadline: Deadline) -> dict[str, Any]:
        said = self._children.run(
            self._tool("get", self._object, "--output", "json"), deadline, seconds=self.described.patience_seconds
        )
        try:
            found: dict[str, Any] = json.loads(said)
            found["spec"]
        except (ValueError, KeyError, TypeError):
            raise ServiceFailedError(f"kubectl described {self._object} in words that can't be understood") from None
        return found
