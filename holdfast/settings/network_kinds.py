"""The kinds of values that say where on a network something answers; each checks its value as `kinds.py` says."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from holdfast.settings.kinds import Allowed

_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


def _truth_is_no_port(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is a truth value, not a port")  # noqa: TRY004  pydantic collects ValueError only
    return value


def _host(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value.removeprefix("[").removesuffix("]")))
    except ValueError:
        if _NAME.fullmatch(value):
            return value
    raise ValueError("is not an address of a host")


def _listed(value: Any) -> Any:
    return [one.strip() for one in value.split(",") if one.strip()] if isinstance(value, str) else value


def _networks(values: list[str]) -> list[str]:
    try:
        return list(dict.fromkeys(str(ipaddress.ip_network(value)) for value in values))
    except ValueError:
        raise ValueError("holds one that is neither an address nor a network") from None


def _path(value: str) -> str:
    trimmed = value.rstrip("/")
    if not _PATH.fullmatch(trimmed):
        raise ValueError("is not a path of a URL")
    return trimmed


def _web_url(value: str | None) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("is not a URL of the web that holds no password")
    return value.rstrip("/")


Host = Annotated[str, AfterValidator(_host), Allowed("an address such as 127.0.0.1, 0.0.0.0, :: or backup.example.com")]
PortNumber = Annotated[
    Annotated[int, Field(ge=1, le=65535)] | None, BeforeValidator(_truth_is_no_port), Allowed("a whole number, 1 to 65535")
]
Proxies = Annotated[
    list[str],
    NoDecode,
    BeforeValidator(_listed),
    AfterValidator(_networks),
    Allowed("addresses and networks such as 10.0.0.7 or 10.0.0.0/8, with commas between them"),
]
UrlPath = Annotated[str, AfterValidator(_path), Allowed("a path such as /backup")]
WebUrl = Annotated[str | None, AfterValidator(_web_url), Allowed("a URL such as https://prefect.example.com")]
