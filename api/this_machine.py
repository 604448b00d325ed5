"""Who may ask where no token is configured: a program on this machine, and the pages of this API in a browser on it.

An address alone does not tell: a proxy on this machine brings requests of the whole world, and so does a browser, for any web
page can have it ask here, by this machine's name or (DNS rebinding) by one of its own.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from api.proxies import address_of
from holdfast.errors import OutsideRefusedError

_OF_A_PROXY = ("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip")
_OURS = {"same-origin", "none"}
_SAFE = {"GET", "HEAD"}
_ANOTHER_PAGE = "a web page of another site has sent the request"


def require_this_machine(request: Request) -> None:
    """Raise OutsideRefusedError, which says why, where a request may come from elsewhere."""
    reason = _by_address(request) or _by_proxy(request) or _by_name(request) or _by_page(request)
    if reason:
        raise OutsideRefusedError(
            "no token is configured, so that only this machine may ask",
            reason=reason,
            next_step="Make a token on the host (holdfast tokens create NAME), and send it as 'Authorization: Bearer TOKEN'",
        )


def is_this_machine(host: str) -> bool:
    """Tell whether a host, as a URL or a header has it, is this machine to itself."""
    address = address_of(host)
    return address.is_loopback if address is not None else host.rstrip(".").lower() == "localhost"


def host_in(url: str) -> str | None:
    """Name the host of a URL; None where it has none, or is no URL."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _by_address(request: Request) -> str | None:
    address = address_of(request.client.host if request.client else "")
    return None if address is not None and address.is_loopback else "the request comes from another one"


def _by_proxy(request: Request) -> str | None:
    """A proxy names those for whom it asks; one that does not still asks in its own manner, such as HTTP/1.0."""
    named = [name for name in request.headers if name in _OF_A_PROXY or name.startswith("x-forwarded-")]
    if named:
        return f"the request came by a proxy (it has the header {named[0]})"
    return "the request came by HTTP/1.0, as those of a proxy do" if request.scope.get("http_version") == "1.0" else None


def _by_name(request: Request) -> str | None:
    host = host_in("//" + request.headers.get("host", ""))
    ours = host is not None and is_this_machine(host)
    return None if ours else "the request names another host than this machine's 'localhost'"


def _by_page(request: Request) -> str | None:
    """Let a link to us be followed; all else that a browser sends has to come from our own pages."""
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}":
        return _ANOTHER_PAGE
    site = request.headers.get("sec-fetch-site", "none")
    goes_there = (request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")) == ("navigate", "document")
    followed = request.method in _SAFE and goes_there
    return None if site in _OURS or followed else _ANOTHER_PAGE
