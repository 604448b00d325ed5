"""How often an address has asked without a valid token within a minute: who does it too often is told to wait, and is logged.

A valid token is never kept waiting: nobody can lock an operator out by failing in his place.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from api.log_budget import LogBudget
from api.proxies import address_of

MOST = 20
WINDOW_SECONDS = 60.0
ADDRESSES = 10_000
_IPV6_NETWORK_BITS = 64

_log = logging.getLogger("holdfast.api")


class Failures:
    """The failures of each address. Of more addresses than it keeps, the one that failed longest ago is forgotten first."""

    def __init__(self, most: int = MOST, addresses: int = ADDRESSES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._addresses = addresses
        self._clock = clock
        self._lock = threading.Lock()
        self._counted: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._budget = LogBudget(_log)

    def count(self, address: str) -> int:
        """Count a failure; return for how many seconds this address has to wait, 0 where it has not failed too often yet."""
        key, now = network_of(address), self._clock()
        with self._lock:
            began, times = self._counted.pop(key, (now, 0))
            if now - began >= WINDOW_SECONDS:
                began, times = now, 0
            times += 1
            self._counted[key] = began, times
            while len(self._counted) > self._addresses:
                self._counted.popitem(last=False)
        if times in {1, self._most + 1} and self._budget.allows():
            _log.warning("%s: requests without a valid token, %d within a minute", key, times)
        return 0 if times <= self._most else max(1, round(began + WINDOW_SECONDS - now))


def network_of(address: str) -> str:
    """Name who is behind an address: of IPv6 a whole /64, which one machine has for itself."""
    found = address_of(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _IPV6_NETWORK_BITS), strict=False))
    return str(found) if found is not None else "unknown"
