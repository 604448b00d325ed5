"""Whom the HTTP API can be reached by, and whether a token stands before it: beyond this machine it never answers without."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from holdfast.errors import OutsideRefusedError, SettingsError
from holdfast.tokens import Tokens

if TYPE_CHECKING:
    from holdfast.settings import Settings


def require_safe(settings: Settings) -> None:
    """Raise OutsideRefusedError where others could reach the API and no token is configured; SettingsError for a wrong host."""
    if reaches_others(settings.api_host) and not Tokens.of(settings).all():
        raise OutsideRefusedError(
            f"the HTTP API would answer at {settings.api_host}, and no token is configured",
            reason="whoever reaches that address could start backups and restores",
            next_step="Make a token (holdfast tokens create NAME --scopes read,backup), or leave BACKUP_API_HOST at 127.0.0.1",
        )


def told_of_access(settings: Settings) -> str:
    """Say in a sentence who may ask."""
    try:
        tokens = Tokens.of(settings).all()
    except SettingsError as error:
        return f"The HTTP API lets nobody in: {error}"
    if not tokens:
        return "No token is configured: the HTTP API answers this machine only, and asks it for none"
    if settings.api_tls_certificate_file is None and reaches_others(settings.api_host) and not settings.api_trusted_proxies:
        return "The HTTP API asks for a token, and without TLS: whoever is on the way can read the tokens"
    return "The HTTP API asks for a token"


def reaches_others(host: str) -> bool:
    """Tell whether others than this machine reach that address. Raises SettingsError where it has none."""
    return not all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for _, address in addresses_of(host))


def addresses_of(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Find the addresses of a host of ours. Raises SettingsError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SettingsError(
            f"{host} is no address of this machine", reason=str(error.strerror or error), next_step="BACKUP_API_HOST names it"
        ) from error
    return [(socket.AddressFamily(family), str(address[0])) for family, _, _, _, address in found]
