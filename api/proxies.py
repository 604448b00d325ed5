"""What a proxy in front says of a request: whom it comes from, and by which scheme. It is believed of trusted proxies only."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """Wraps the application: it sees who asks, and not the proxy, and knows which path the proxy puts before its own."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str], root_path: str = "") -> None:
        self._app = app
        self._trusted = [ipaddress.ip_network(one) for one in trusted]
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["root_path"] = self._root_path
            peer = address_of(scope["client"][0] if scope.get("client") else "")
            if peer is not None:
                found = self._first_stranger(peer, _said(scope, b"x-forwarded-for"))
                scope["client"] = (str(found), scope["client"][1])
            if self._trusts(peer):
                scheme = [one.lower() for one in _said(scope, b"x-forwarded-proto")][-1:]
                scope["scheme"] = scheme[0] if scheme in (["http"], ["https"]) else scope["scheme"]
        await self._app(scope, receive, send)

    def _first_stranger(self, peer: _Address, forwarded: Sequence[str]) -> _Address:
        """Go back from the last proxy to whom none of those that are trusted has vouched for; he may say what he likes."""
        found = peer
        for said in reversed(forwarded):
            before = address_of(said)
            if not self._trusts(found) or before is None:
                break
            found = before
        return found

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def address_of(text: str) -> _Address | None:
    """Read an address, with or without a port; one of IPv4 that came over IPv6 is what it is. None where it is none."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _said(scope: Scope, header: bytes) -> list[str]:
    values: Iterable[bytes] = (value for name, value in scope["headers"] if name == header)
    return [one.strip() for value in values for one in value.decode("latin-1").split(",") if one.strip()]
