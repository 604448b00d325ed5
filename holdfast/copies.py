"""The 3-2-1 rule, strictly: three stored copies of a backup, on two media, one of them off-site.

Only what is stored counts: the live system is no copy of what it held yesterday. Whether a place really holds a backup is for the
caller to know; here is only what kind of place it is. Two names for one place are one copy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.storage.settings import StorageSettings

_COPIES = 3
_MEDIA = 2
_PROVIDERS = {"s3": "amazonaws.com", "gcs": "googleapis.com", "azure": "core.windows.net"}
_AT_HOME = (".local", ".localhost", ".localdomain", ".internal", ".lan", ".home.arpa")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy lies. Two places of one medium can be lost together: by one broken disk, or with one provider."""

    name: str
    location: str
    medium: str
    offsite: bool


@dataclass(frozen=True, slots=True)
class ThreeTwoOne:
    """Whether the rule holds, and in plain words what is lacking where it does not."""

    holds: bool
    missing: tuple[str, ...]


def place_of(name: str, settings: StorageSettings) -> Place:
    """Tell what kind of place a storage is, without asking it: nothing but the file system is looked at."""
    if settings.type == "local":
        path = (settings.path or Path()).expanduser().resolve()
        return Place(name, path.as_uri(), f"disk {_device(path)}", bool(settings.offsite))
    server = _server(settings)
    provider = _PROVIDERS[settings.type]
    is_providers = server.host == provider or server.host.endswith(f".{provider}")
    # A bucket's name is the provider's only one, whatever the address of the region; an account of Azure is part of the address.
    where = provider if is_providers and settings.type != "azure" else server.text
    location = "/".join(part.strip("/") for part in (where, settings.bucket, settings.prefix) if part)
    medium = provider if is_providers else server.host
    offsite = settings.offsite if settings.offsite is not None else not _is_near(server.host)
    return Place(name, f"{settings.type}://{location}", f"{settings.type} {medium}", offsite)


def three_two_one(places: Sequence[Place]) -> ThreeTwoOne:
    """Judge the places that hold one backup."""
    copies = len({place.location for place in places})
    missing = []
    if copies < _COPIES:
        lacking = _COPIES - copies
        missing.append(f"{lacking} more {'copy' if lacking == 1 else 'copies'}")
    if len({place.medium for place in places}) < _MEDIA:
        missing.append("a second medium")
    if not any(place.offsite for place in places):
        missing.append("a copy off-site")
    return ThreeTwoOne(not missing, tuple(missing))


def _device(path: Path) -> int:
    """The device that the folder is on, or will be on once it is made."""
    for folder in (path, *path.parents):
        try:
            return folder.stat().st_dev
        except OSError:
            continue
    return 0


@dataclass(frozen=True, slots=True)
class _Server:
    """A service's host, and its address as text, with port and path where there are any."""

    host: str
    text: str


def _server(settings: StorageSettings) -> _Server:
    endpoint = settings.endpoint or ""
    if settings.type == "azure" and not endpoint and settings.connection_string is not None:
        endpoint = _azure_endpoint(settings.connection_string.get_secret_value())
    elif settings.type == "azure" and not endpoint and settings.access_key is not None:
        endpoint = f"https://{settings.access_key.get_secret_value()}.blob.{_PROVIDERS['azure']}"
    elif not endpoint:
        endpoint = f"https://{_PROVIDERS[settings.type]}"
    try:
        url = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        host, port = (url.hostname or "").rstrip("."), url.port
    except ValueError:  # no address at all; whoever opens the storage is told so
        return _Server("", "")
    return _Server(host, f"{host}:{port}{url.path}" if port else f"{host}{url.path}")


def _azure_endpoint(connection_string: str) -> str:
    """The endpoint that a connection string names; nothing else of it is looked at, for it holds the account's key."""
    fields = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    if fields.get("UseDevelopmentStorage", "").lower() == "true":
        return "http://127.0.0.1:10000/devstoreaccount1"
    suffix = fields.get("EndpointSuffix", _PROVIDERS["azure"])
    return fields.get("BlobEndpoint") or f"https://{fields.get('AccountName', 'account')}.blob.{suffix}"


def _is_near(host: str) -> bool:
    """Whether a server is in the same building, for all that its name tells: addresses and names of a local network."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_AT_HOME)
