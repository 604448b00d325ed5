"""How a service is asked whether it is well: by HTTP, by a TCP connection, or by a command of its own.

An answer never quotes what was answered, nor the whole address, for both may hold a secret.
"""

from __future__ import annotations

import base64
import http.client
import shlex
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from holdfast.errors import HoldfastError, TimeLimitError
from holdfast.recovery.service import Health
from holdfast.recovery.services.description import host_and_port

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.services.child import Children
    from holdfast.recovery.services.description import ServiceDescription

NOBODY_SAID = "nobody has said how to ask it, so whether it is well is not known"


def ask(described: ServiceDescription, children: Children, deadline: Deadline) -> Health:
    """Ask once. Raises nothing: what goes wrong is an answer."""
    seconds = min(described.health_seconds, deadline.seconds_left)
    if seconds <= 0:
        return Health(False, "there was no time left to ask it")
    if described.health_url is not None:
        return _by_http(described.health_url.get_secret_value(), described.health_status, seconds)
    if described.health_address is not None:
        return _by_tcp(described.health_address, seconds)
    if described.health_command is not None:
        return _by_command(described.health_command, children, deadline, seconds)
    return Health(None, NOBODY_SAID)


def _by_http(url: str, status: int | None, seconds: float) -> Health:
    try:
        parts = urlsplit(url)
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        answered = _status_of(parts, where, seconds)
    except (OSError, http.client.HTTPException) as error:
        return Health(False, f"it can't be reached: {_reason(error, seconds)}")
    except Exception as error:  # noqa: BLE001  an address that makes no sense; what is said of it might hold it
        return Health(False, f"its address can't be used: {type(error).__name__}")
    well = answered == status if status is not None else 200 <= answered < 400
    wanted = "" if well else f", not {status}" if status is not None else ""
    return Health(well, f"{where} answers {answered}{wanted}")


def _status_of(parts: SplitResult, where: str, seconds: float) -> int:
    rest = parts._replace(scheme="", netloc="", fragment="").geturl()
    headers = {"User-Agent": "Holdfast", **_login(parts)}
    request = urllib.request.Request(where + rest, headers=headers)  # noqa: S310  a description takes http only
    try:
        with urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({})).open(request, timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for the answer that it is: where it leads may be another service."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None and parts.password is None:
        return {}
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def _by_tcp(address: str, seconds: float) -> Health:
    try:
        with socket.create_connection(host_and_port(address), timeout=seconds):
            return Health(True, f"{address} takes connections")
    except OSError as error:
        return Health(False, f"{address} takes no connection: {_reason(error, seconds)}")


def _by_command(line: str, children: Children, deadline: Deadline, seconds: float) -> Health:
    try:
        children.run(shlex.split(line), deadline, seconds=seconds)
    except TimeLimitError:
        return Health(False, "there was no time left to ask it")
    except HoldfastError as error:
        return Health(False, error.what_and_why)
    return Health(True, "its health command ended well")


def _reason(error: Exception, seconds: float) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"no answer within {seconds:.3g} seconds"
    return str(getattr(cause, "strerror", None) or type(cause).__name__)
