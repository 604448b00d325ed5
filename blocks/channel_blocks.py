"""Make the notification block of a channel from the settings: Prefect's own for a service's own address, else a webhook of ours.

What speaks like Slack, Discord or Teams at another address (Mattermost, a relay) gets that service's JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from prefect.blocks.notifications import (
    DiscordWebhook,
    MicrosoftTeamsWebhook,
    SlackWebhook,
)
from pydantic import SecretStr

from blocks.notifications import EmailMessage, PagerDutyMessage, WebhookMessage
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.blocks.core import Block

    from holdfast.settings import Settings

_SLACK = re.compile(r"https://hooks\.slack(-gov)?\.com/services/[A-Z0-9]+/[A-Z0-9]+/[A-Z0-9]+/?", re.IGNORECASE)
_TEAMS = re.compile(r"https://[a-z0-9.-]+\.(logic\.azure|api\.powerplatform)\.com(:\d+)?/.*/?workflows/.*", re.IGNORECASE)
_DISCORD = re.compile(r"https://discord(?:app)?\.com/api/webhooks/(\d+)/([A-Z0-9_-]+)/?", re.IGNORECASE)

_TEXT = "{{subject}}\n{{body}}"
_CARD = {
    "type": "message",
    "attachments": [
        {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [
                    {"type": "TextBlock", "text": "{{subject}}", "weight": "Bolder", "wrap": True},
                    {"type": "TextBlock", "text": "{{body}}", "wrap": True},
                ],
            },
        }
    ],
}


def made_for(channel: str, settings: Settings) -> Block:
    """Make the block of a channel of which the settings say enough. Raises SettingsError, which shows no secret."""
    try:
        return _MAKERS[channel](settings)
    except (ValueError, TypeError) as error:
        reason = "; ".join(one["msg"] for one in error.errors()) if hasattr(error, "errors") else "the service's form is another"
        raise SettingsError(f"The channel {channel} can't be used as the settings have it", reason=reason) from None


def _email(settings: Settings) -> Block:
    return EmailMessage(smtp_url=_there(settings.smtp_url), to=settings.email_to, sender=settings.email_from)


def _slack(settings: Settings) -> Block:
    url = _there(settings.slack_webhook_url)
    if _SLACK.fullmatch(url.get_secret_value()):
        return SlackWebhook(url=url)
    return _custom("slack", url, {"text": _TEXT})


def _teams(settings: Settings) -> Block:
    url = _there(settings.teams_webhook_url)
    if _TEAMS.fullmatch(url.get_secret_value()):
        return MicrosoftTeamsWebhook(url=url)
    return _custom("teams", url, _CARD)


def _discord(settings: Settings) -> Block:
    url = _there(settings.discord_webhook_url)
    if found := _DISCORD.fullmatch(url.get_secret_value()):
        return DiscordWebhook(webhook_id=SecretStr(found[1]), webhook_token=SecretStr(found[2]))
    return _custom("discord", url, {"content": _TEXT})


def _pagerduty(settings: Settings) -> Block:
    return PagerDutyMessage(integration_key=_there(settings.pagerduty_key), source=settings.target or "holdfast")


def _webhook(settings: Settings) -> Block:
    return _custom("webhook", _there(settings.webhook_url), {"subject": "{{subject}}", "body": "{{body}}"})


def _custom(channel: str, url: SecretStr, json_data: dict[str, Any]) -> Block:
    if not url.get_secret_value().startswith(("http://", "https://")):
        raise SettingsError(
            f"The channel {channel} can't be used as the settings have it", reason="its address is no http:// URL"
        )
    return WebhookMessage(url=url, json_data=json_data)


def _there(value: SecretStr | None) -> SecretStr:
    if value is None:
        raise ValueError("it is not set")
    return value


_MAKERS: dict[str, Callable[[Settings], Block]] = {
    "email": _email,
    "slack": _slack,
    "teams": _teams,
    "discord": _discord,
    "pagerduty": _pagerduty,
    "webhook": _webhook,
}
