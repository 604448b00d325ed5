"""What becomes of a Prefect server that does not answer, or not as it should: an error of ours, which names what was wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.exceptions import PrefectHTTPStatusError

from holdfast.errors import PrefectUnreachableError


@contextmanager
def asked(wanted: str) -> Iterator[None]:
    """Ask the server for something. Raises PrefectUnreachableError."""
    try:
        yield
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise PrefectUnreachableError(f"The Prefect server does not answer, and {wanted}", reason=reason) from error
    except PrefectHTTPStatusError as error:
        status = error.response.status_code
        raise PrefectUnreachableError(f"The Prefect server refuses, and {wanted}", reason=f"it answers {status}") from None
