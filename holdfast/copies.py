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
    host = _host(settings)
    offsite = settings.offsite if settings.offsite is not None else not _is_near(host)
    where = "/".join(part for part in (settings.bucket, (settings.prefix or "").strip("/")) if part)
    return Place(name, f"{settings.type}://{host}/{where}", f"{settings.type} {_provider(settings.type, host)}", offsite)


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


def _host(settings: StorageSettings) -> str:
    endpoint = settings.endpoint or ""
    if settings.type == "azure" and not endpoint and settings.connection_string is not None:
        endpoint = _azure_endpoint(settings.connection_string.get_secret_value())
    elif settings.type == "azure" and not endpoint and settings.access_key is not None:
        endpoint = f"https://{settings.access_key.get_secret_value()}.blob.{_PROVIDERS['azure']}"
    if not endpoint:
        return _PROVIDERS[settings.type]
    return (urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname or endpoint).lower()


def _azure_endpoint(connection_string: str) -> str:
    """The endpoint that a connection string names; nothing else of it is looked at, for it holds the account's key."""
    fields = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    if fields.get("UseDevelopmentStorage", "").lower() == "true":
        return "http://127.0.0.1:10000"
    suffix = fields.get("EndpointSuffix", _PROVIDERS["azure"])
    return fields.get("BlobEndpoint") or f"https://{fields.get('AccountName', 'account')}.blob.{suffix}"


def _provider(storage_type: str, host: str) -> str:
    """One provider is one medium, whatever the region or the account; a server of one's own is one by its name."""
    provider = _PROVIDERS[storage_type]
    return provider if host == provider or host.endswith(f".{provider}") else host


def _is_near(host: str) -> bool:
    """Whether a server is in the same building, for all that its name tells: addresses and names of a local network."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_AT_HOME)
