"""What is known of the request that is being answered here: its id, where it came from, and who asks, once that is known.

The id stands in the answer's Request-Id, in a problem and in the log, so that the three can be brought together.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from uuid import uuid4


@dataclass(slots=True)
class RequestRecord:
    """One request. `caller` stays None where nobody was let in, or nobody had to be."""

    address: str = "unknown"
    id: str = field(default_factory=lambda: uuid4().hex)
    caller: str | None = None


_record: ContextVar[RequestRecord | None] = ContextVar("holdfast_request", default=None)


def begin_record(address: str) -> RequestRecord:
    """Begin the record of a request; what is called from here on finds it."""
    made = RequestRecord(address)
    _record.set(made)
    return made


def this_request() -> RequestRecord:
    """Return the record of the request that is being answered, an empty one where there is none."""
    return _record.get() or RequestRecord()
