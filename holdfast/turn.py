"""One at a time: of two runs with the same purpose the later one steps back, or waits, though both hold shared leases.

Leases tell who was first: their tokens rise. One that is still being taken has no token yet, so it is waited for. One whose
process died on this host is in nobody's way, though it has not expired yet.
"""

from __future__ import annotations

import time

from holdfast.errors import BusyError
from holdfast.process_identity import is_known_dead_holder
from holdfast.repository import Lease, LeaseInfo, Repository

_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 1.0


def require_first(repository: Repository, lease: Lease) -> None:
    """Raise BusyError, naming who and since when, where an earlier living lease has the same purpose as this one."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        earlier, undecided = _rivals(repository, lease)
        if earlier or (undecided and time.monotonic() > end):
            raise _busy((earlier or undecided)[0])
        if not undecided:
            return
        time.sleep(0.1)


def wait_to_be_first(repository: Repository, lease: Lease, *, limit_seconds: float) -> None:
    """Wait for earlier living leases of the same purpose to end. Raises BusyError where one is still there after that time."""
    end = time.monotonic() + limit_seconds
    while True:
        earlier, undecided = _rivals(repository, lease)
        if not earlier and not undecided:
            return
        if time.monotonic() > end:
            raise _busy((earlier or undecided)[0])
        time.sleep(_LOOK_SECONDS)


def _rivals(repository: Repository, lease: Lease) -> tuple[list[LeaseInfo], list[LeaseInfo]]:
    """List the others of this purpose: those that came first, and those of which that is not known yet."""
    rivals = [other for other in repository.leases() if _is_rival(other, lease)]
    earlier = [other for other in rivals if not other.pending and (other.token, other.id) < (lease.token, lease.id)]
    return earlier, [other for other in rivals if other.pending]


def _is_rival(other: LeaseInfo, lease: Lease) -> bool:
    same = other.id != lease.id and other.purpose == lease.purpose
    return same and not other.expired and not is_known_dead_holder(other.holder)


def _busy(other: LeaseInfo) -> BusyError:
    return BusyError(
        f"another run is at the same work: {other.purpose}",
        reason=f"{other.holder} has been since {other.since:%Y-%m-%d %H:%M:%S} UTC",
        next_step=f"Try again when it has ended; were it dead, its lease would end by itself at {other.expires_at:%H:%M:%S} UTC",
    )
