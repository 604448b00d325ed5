"""A message to any address by HTTP as a notification block that never shows the address, for whoever knows it can send, too.

Prefect's custom webhook lets errors pass that quote it, and the Prefect server then logs them. Here whatever goes wrong is
told as Prefect wants to hear it, so that the server's automations tell of it, too.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from prefect._internal.compatibility.async_dispatch import async_dispatch
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.utilities.templating import apply_values
from pydantic import ConfigDict, Field, SecretStr, field_validator

if TYPE_CHECKING:
    import httpx

_SECONDS = 8.0
"""How long all of it may take; for each attempt what is left."""

_PAUSE_SECONDS = 0.5
_PASSING = {429, 500, 502, 503, 504}
_here = threading.local()


class WebhookMessage(NotificationBlock):
    """A message that is posted as JSON to an address.

    Examples:
        Send a message.
        ```python
        from blocks import WebhookMessage

        WebhookMessage.load("holdfast-notify-webhook").notify("It works.", subject="A test")
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Webhook Message"
    _block_type_slug = "holdfast-webhook-message"
    _description = "A message posted as JSON, for alarms of Holdfast and notifications of Prefect's automations."

    url: SecretStr = Field(..., description="Address that the message is posted to.")
    json_data: dict[str, Any] = Field(
        default_factory=lambda: {"subject": "{{subject}}", "body": "{{body}}"},
        title="JSON Data",
        description="What is posted; {{subject}} and {{body}} stand for the message.",
    )
    note: str | None = Field(None, description="What it is for, in words.")

    @field_validator("url")
    @classmethod
    def _of_http(cls, value: SecretStr) -> SecretStr:
        """Take only what can be posted to; it is never quoted."""
        if not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("is no http:// address")
        return value

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """Post a message without holding up the event loop."""
        await asyncio.to_thread(self._send, body, subject)

    @async_dispatch(anotify)
    def notify(self, body: str, subject: str | None = None) -> None:  # type: ignore[override]  # as Prefect's own blocks have it
        """Post a message. Raises NotificationError where that was asked for; else what went wrong is logged."""
        self._send(body, subject)

    def _send(self, body: str, subject: str | None) -> None:
        said = apply_values(self.json_data, {"subject": subject or "", "body": body})
        problem = posted(self.url.get_secret_value(), said)
        if problem is not None and self._raise_on_failure:
            raise NotificationError(log=problem)
        if problem is not None:
            self.logger.warning("the message was not sent: %s", problem)


def posted(url: str, said: Any) -> str | None:
    """Post a document, once more where what went wrong may pass; return what went wrong, None where nothing did.

    Nothing that is logged or returned shows the address or the document.
    """
    with _unheard():
        return _posted(url, said)


def _posted(url: str, said: Any) -> str | None:
    end = time.monotonic() + _SECONDS
    problem, may_pass = _post(url, said, _SECONDS)
    if may_pass and time.monotonic() + _PAUSE_SECONDS < end:
        time.sleep(_PAUSE_SECONDS)
        problem, _ = _post(url, said, end - time.monotonic())
    return problem


def _post(url: str, said: Any, seconds: float) -> tuple[str | None, bool]:
    import httpx

    try:
        answer = httpx.post(url, json=said, timeout=seconds, headers={"User-Agent": "Holdfast"})
    except httpx.TimeoutException:
        return "it did not answer in time", False
    except httpx.TransportError as error:
        return f"it can't be reached: {_reason(error)}", True
    except Exception as error:  # noqa: BLE001  an address that makes no sense; what is said of it might hold it
        return f"its address can't be used: {type(error).__name__}", False
    return (None, False) if answer.is_success else (f"it answers {answer.status_code}", answer.status_code in _PASSING)


def _reason(error: httpx.TransportError) -> str:
    """Say what the system said of the connection: no text of the library, for it may quote an address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return str(cause.strerror or type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


class _Silence(logging.Filter):
    """Drops what the HTTP library tells of a request of ours: at the level INFO that is the address."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not getattr(_here, "silent", False)


_SILENCE = _Silence()


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep the HTTP library from telling of the requests of this thread."""
    logging.getLogger("httpx").addFilter(_SILENCE)  # added once, however often
    _here.silent = True
    try:
        yield
    finally:
        _here.silent = False
