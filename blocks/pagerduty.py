"""An event for PagerDuty (Events API v2) as a notification block that never shows the key.

Prefect's own block has apprise send it, which names the key in its warning where the service can't be reached.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Literal

from prefect._internal.compatibility.async_dispatch import async_dispatch
from prefect.blocks.abstract import NotificationBlock, NotificationError
from pydantic import ConfigDict, Field, SecretStr

from blocks.webhook import posted

_ADDRESS = "https://events.pagerduty.com/v2/enqueue"
_SUMMARY_LENGTH = 1024
_SEVERITY = {"info": "info", "success": "info", "warning": "warning", "failure": "critical"}


class PagerDutyMessage(NotificationBlock):
    """An event that PagerDuty makes an incident of.

    Examples:
        Send an event.
        ```python
        from blocks import PagerDutyMessage

        PagerDutyMessage.load("holdfast-notify-pagerduty").notify("It works.", subject="A test")
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "PagerDuty Message"
    _block_type_slug = "holdfast-pagerduty-message"
    _description = "An event of PagerDuty, for alarms of Holdfast and notifications of Prefect's automations."

    integration_key: SecretStr = Field(..., description="Integration key of a service, for Events API v2.")
    source: str = Field("holdfast", description="What the event is about, for PagerDuty.")
    mood: Literal["info", "success", "warning", "failure"] = Field("failure", description="How grave it is: failure is critical.")

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """Send an event without holding up the event loop."""
        await asyncio.to_thread(self._send, body, subject)

    @async_dispatch(anotify)
    def notify(self, body: str, subject: str | None = None) -> None:  # type: ignore[override]  # as Prefect's own blocks have it
        """Send an event. Raises NotificationError where that was asked for; else what went wrong is logged."""
        self._send(body, subject)

    def _send(self, body: str, subject: str | None) -> None:
        problem = posted(_ADDRESS, self._event(body, subject))
        if problem is not None and self._raise_on_failure:
            raise NotificationError(log=problem)
        if problem is not None:
            self.logger.warning("the event was not sent: %s", problem)

    def _event(self, body: str, subject: str | None) -> dict[str, Any]:
        return {
            "routing_key": self.integration_key.get_secret_value(),
            "event_action": "trigger",
            "client": "Holdfast",
            "payload": {
                "summary": (subject or body)[:_SUMMARY_LENGTH],
                "severity": _SEVERITY[self.mood],
                "source": self.source,
                "component": "backups",
                "custom_details": {"message": body},
            },
        }
