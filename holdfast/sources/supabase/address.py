"""Where the Management API is, and the token that opens it: refused here where it would travel in clear or break a request."""

from __future__ import annotations

import ipaddress
import re

import httpx
from pydantic import SecretStr

from holdfast.errors import SettingsError

_PROJECT = re.compile(r"[a-z0-9]{1,64}")
_TOKEN = re.compile(r"[!-~]+")


def api_address(text: str) -> httpx.URL:
    """Read the address of an API. Raises SettingsError for one that is none, or that is neither https nor on this machine."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError) as error:
        raise _wrong("it is no URL") from error
    if url.userinfo or url.query or url.fragment:
        raise _wrong("it may hold no user, password, query or fragment")
    if url.scheme not in {"http", "https"} or not url.host:
        raise _wrong("it must begin with https:// and name a host")
    if url.scheme == "http" and not is_loopback(url):
        raise _wrong("it must be https: the access token would travel in clear; http is for this machine only")
    return url.copy_with(path=url.path.rstrip("/"))


def is_loopback(url: httpx.URL) -> bool:
    """Tell whether an address never leaves this machine."""
    if url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False


def project_ref(text: str) -> str:
    """Return the reference of a project. Raises SettingsError for what can't be one, as it becomes a part of addresses."""
    if not _PROJECT.fullmatch(text):
        raise SettingsError(
            f"{text[:64]!r} is no reference of a Supabase project",
            reason="that has small letters and digits only",
            next_step="Set BACKUP_SUPABASE_PROJECT to the first part of the project's address",
        )
    return text


def bearer(token: SecretStr) -> str:
    """Write the header that shows the token. Raises SettingsError for a token that no header can hold."""
    text = token.get_secret_value().strip()
    if not _TOKEN.fullmatch(text):
        raise SettingsError(
            "The access token of Supabase can't be used",
            reason="it is empty, or has characters that no token has",
            next_step="Set BACKUP_SUPABASE_ACCESS_TOKEN to an access token of the Management API",
        )
    return f"Bearer {text}"


def _wrong(reason: str) -> SettingsError:
    return SettingsError(
        "The address of the Supabase API can't be used",
        reason=reason,
        next_step="Set BACKUP_SUPABASE_API_URL to an address such as https://api.supabase.com",
    )
