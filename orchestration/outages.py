"""A run outlives the Prefect server: a slot of a concurrency limit that can't be renewed is told, and the work goes on.

Prefect's engine cancels such a run, some minutes after its server went away. Its limits are a courtesy here, for the repository's
own lease keeps two runs apart, and a backup must not end because nobody can watch it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from prefect import flow_engine
from prefect.concurrency._leases import maintain_concurrency_lease


def outlive_outages() -> None:
    """Have the engine of this process go on without a slot. There is no setting for it: its choice stands in its code."""
    engine: Any = flow_engine
    engine.maintain_concurrency_lease = _held_as_long_as_can_be


def _held_as_long_as_can_be(
    lease_id: UUID,
    lease_duration: float,
    raise_on_lease_renewal_failure: bool = False,
    suppress_warnings: bool = False,
) -> AbstractContextManager[None]:
    del raise_on_lease_renewal_failure
    return maintain_concurrency_lease(lease_id, lease_duration, suppress_warnings=suppress_warnings)
