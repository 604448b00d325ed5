"""The 3-2-1 rule, strictly: three stored copies of a backup, on two media, one of them off-site.

Only what is stored counts: the live system is no copy of what it held yesterday. Whether a place really holds a backup is for the
caller to know; here is only what kind of place it is. Two names for one place are one copy.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from holdfast.storage.settings import StorageSettings, account_in, connection_fields, endpoint_of_the_environment

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
    endpoint = _endpoint(settings)
    host, provider = urlsplit(endpoint).hostname or "", _PROVIDERS[settings.type]
    is_providers = host == provider or host.endswith(f".{provider}")
    medium = provider if is_providers else host
    offsite = settings.offsite if settings.offsite is not None else not _is_near(host)
    return Place(name, _location(settings, endpoint, is_providers), f"{settings.type} {medium}", offsite)


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


def _location(settings: StorageSettings, endpoint: str, is_providers: bool) -> str:
    """The same text for the same place, whatever address of the provider's it is reached by."""
    known: dict[str, object] = {"endpoint": None if is_providers else endpoint, "connection_string": None}
    if is_providers and settings.type == "azure":
        known["access_key"] = SecretStr(account_in(endpoint))
    location = settings.model_copy(update=known).location
    return location if is_providers or settings.type != "gcs" else location.replace("gs:/", f"gs+{endpoint}", 1)


def _endpoint(settings: StorageSettings) -> str:
    """The address of the service, in one form, as the settings have it, or the environment, or the provider."""
    endpoint = settings.endpoint or endpoint_of_the_environment(settings.type)
    if settings.type == "azure" and not endpoint:
        endpoint = _azure_endpoint(settings)
    endpoint = endpoint or f"https://{_PROVIDERS[settings.type]}"
    try:
        url = urlsplit(endpoint if "//" in endpoint else f"https://{endpoint}")
        port = f":{url.port}" if url.port else ""
    except ValueError:  # no address at all; whoever opens the storage is told so
        return ""
    host = (url.hostname or "").rstrip(".")
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}{url.path.rstrip('/')}"


def _azure_endpoint(settings: StorageSettings) -> str:
    text = settings.connection_string.get_secret_value() if settings.connection_string else ""
    if not text and not settings.access_key:
        text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    fields = connection_fields(text)
    if fields.get("UseDevelopmentStorage", "").lower() == "true":
        return "http://127.0.0.1:10000/devstoreaccount1"
    given = settings.access_key.get_secret_value() if settings.access_key else ""
    account = fields.get("AccountName") or given or os.environ.get("AZURE_STORAGE_ACCOUNT") or "account"
    return fields.get("BlobEndpoint") or f"https://{account}.blob.{fields.get('EndpointSuffix', _PROVIDERS['azure'])}"


def _is_near(host: str) -> bool:
    """Whether a server is in the same building, for all that its name tells: addresses and names of a local network."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_AT_HOME)
