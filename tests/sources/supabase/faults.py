"""What can go wrong with an answer of the local Management API, on demand: so often, for requests that match."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["answer", "reset", "cut", "drip", "silence"]


@dataclass(slots=True)
class Fault:
    """`answer` gives another answer; `reset` closes the connection unanswered; `cut` ends the good answer early; `drip` gives it
    byte by byte; `silence` gives none. `after` means that the work is done first, so that only its answer is lost.
    """

    method: str
    path_ending: str
    kind: Kind = "answer"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"message":"on demand"}'
    after: bool = False
    times: int = 1


class Faults:
    """Faults to come, the first that matches first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._waiting:
                if fault.method == method and path.endswith(fault.path_ending):
                    fault.times -= 1
                    if not fault.times:
                        self._waiting.remove(fault)
                    return fault
            return None
