"""The header by which a request may be repeated without harm, as the routes take it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

IdempotencyKey = Annotated[
    str | None,
    Header(description="Any text of your own: a request that is repeated with it is answered as the first time", max_length=255),
]
