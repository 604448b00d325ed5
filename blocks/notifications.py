"""Mail by any SMTP server as a notification block, which Prefect has none of.

The Prefect server imports this, and the blocks named here, when it starts (the entry point `prefect.collections`), so that its
automations can send by them: nothing else of Holdfast is imported here. A password is never sent over a connection that
others can read.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from contextlib import contextmanager
from email.message import EmailMessage as Mail
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from prefect._internal.compatibility.async_dispatch import async_dispatch
from prefect.blocks.abstract import NotificationBlock, NotificationError
from pydantic import ConfigDict, Field, SecretStr, field_validator

from blocks.pagerduty import PagerDutyMessage
from blocks.webhook import WebhookMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EmailMessage", "PagerDutyMessage", "WebhookMessage"]

_SECONDS = 8.0
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_PORTS = {"smtp": 25, "smtps": 465}


class EmailMessage(NotificationBlock):
    """Mail by an SMTP server.

    Examples:
        Send a mail.
        ```python
        from blocks import EmailMessage

        EmailMessage.load("holdfast-notify-email").notify("It works.", subject="A test")
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Email Message"
    _block_type_slug = "holdfast-email-message"
    _description = "Mail by an SMTP server, for alarms of Holdfast and notifications of Prefect's automations."

    smtp_url: SecretStr = Field(
        ...,
        description="Mail server: smtp://user:password@host:587, with STARTTLS where it is offered, or smtps://… for TLS "
        "from the beginning. What is special in user and password is %-encoded.",
    )
    to: list[str] = Field(..., min_length=1, description="Addresses that mail goes to.")
    sender: str | None = Field(None, description="Address that mail comes from; without it the first that it goes to.")

    @field_validator("smtp_url")
    @classmethod
    def _of_a_mail_server(cls, value: SecretStr) -> SecretStr:
        """Take only what names a server; it is never quoted, for it holds a password."""
        try:
            _Server(value)
        except ValueError as error:
            raise ValueError(f"is no address of a mail server such as smtp://user:password@host:587: {error}") from None
        return value

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """Send a mail without holding up the event loop."""
        await asyncio.to_thread(self._send, body, subject)

    @async_dispatch(anotify)
    def notify(self, body: str, subject: str | None = None) -> None:  # type: ignore[override]  # as Prefect's own blocks have it
        """Send a mail. Raises NotificationError where that was asked for; else what went wrong is logged."""
        self._send(body, subject)

    def _send(self, body: str, subject: str | None) -> None:
        try:
            with _Server(self.smtp_url).session() as session:
                refused = session.send_message(self._mail(body, subject), to_addrs=self.to)
        except (OSError, smtplib.SMTPException, UnicodeError, ValueError) as error:
            if self._raise_on_failure:
                raise NotificationError(log=_reason(error)) from None
            self.logger.warning("the mail was not sent: %s", _reason(error))
        else:
            for address, (code, text) in refused.items():
                self.logger.warning("the mail server refused %s: %s %s", address, code, _text(text))

    def _mail(self, body: str, subject: str | None) -> Mail:
        mail = Mail()
        mail["Subject"] = " ".join((subject or "Message of Holdfast").split())
        mail["From"] = self.sender or self.to[0]
        mail["To"] = ", ".join(self.to)
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain="holdfast.invalid")
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(body)
        return mail


class _Server:
    """A mail server as its address says. Raises ValueError."""

    def __init__(self, address: SecretStr) -> None:
        parts = urlsplit(address.get_secret_value())
        if parts.scheme not in _PORTS:
            raise ValueError("it begins with neither smtp:// nor smtps://")
        if not parts.hostname:
            raise ValueError("it names no host")
        try:
            self.port = parts.port or _PORTS[parts.scheme]
        except ValueError:  # whose own text may quote a password with a '/' in it
            raise ValueError("its port is no number, or something special in it is not %-encoded") from None
        self._scheme, self.host = parts.scheme, parts.hostname
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")

    @contextmanager
    def session(self) -> Iterator[smtplib.SMTP]:
        """Connect, make the connection safe where that can be done, and log in."""
        context = ssl.create_default_context()
        here = self.host in _LOCAL
        tls: dict[str, Any] = {"context": context} if self._scheme == "smtps" else {}
        kind = smtplib.SMTP_SSL if self._scheme == "smtps" else smtplib.SMTP
        with kind(self.host, self.port, timeout=_SECONDS, **tls) as session:
            session.ehlo_or_helo_if_needed()
            safe = self._scheme == "smtps"
            if not safe and session.has_extn("starttls"):
                session.starttls(context=_any_certificate() if here else context)
                session.ehlo()
                safe = True
            if self._user:
                if not (safe or here):
                    raise ValueError("the server offers no STARTTLS, and a password is not sent in clear")
                session.login(self._user, self._password)
            yield session


def _any_certificate() -> ssl.SSLContext:
    """For a relay on this host: most have a certificate that nobody signed, and nobody is between us."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: Exception) -> str:
    """Say what went wrong, in words of the server where it had some."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{address} is refused: {code} {_text(text)}" for address, (code, text) in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server answers {error.smtp_code} {_text(error.smtp_error)}"
    if isinstance(error, TimeoutError):
        return f"the mail server did not answer within {_SECONDS:.0f} s"
    return str(error) or type(error).__name__


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said
