"""Google's client, made from settings: which credentials, which address, how long to wait.

The library's own retries stay off, for `RetryingStorage` decides on them for every storage alike. Over plain HTTP, which only an
emulator speaks, no credential is ever sent: anybody on the way could take it.
"""

from __future__ import annotations

import json
from typing import Any, cast

import google.auth
from google.auth.credentials import AnonymousCredentials, Credentials, with_scopes_if_required
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Client
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter

from holdfast.errors import SettingsError
from holdfast.storage.bucket import checked_endpoint
from holdfast.storage.settings import StorageSettings, endpoint_of_the_environment

TIMEOUT = (10.0, 60.0)  # seconds to connect, and for the service to send or take the next bytes
_CONNECTIONS = 64  # kept open for threads that work at once
_TOKEN_ADDRESS = "https://oauth2.googleapis.com/token"  # noqa: S105  where a service account's key is exchanged for a token


def open_client(settings: StorageSettings, credentials: object | None = None) -> tuple[Client, AuthorizedSession]:
    """Make a client and the session that it sends through. Nothing is sent yet. Raises SettingsError."""
    endpoint = _endpoint(settings)
    found = _given_credentials(settings, credentials)
    if endpoint is not None and endpoint.startswith("http://"):
        found = AnonymousCredentials()
    if found is None:
        found = _default_credentials()
    session = AuthorizedSession(
        with_scopes_if_required(found, Client.SCOPE),
        refresh_status_codes=() if isinstance(found, AnonymousCredentials) else (401,),
    )
    session.mount("https://", HTTPAdapter(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS, max_retries=0))
    session.mount("http://", HTTPAdapter(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS, max_retries=0))
    options = {"api_endpoint": endpoint} if endpoint else None
    return Client(project=None, credentials=found, client_options=options, _http=session), session


def _endpoint(settings: StorageSettings) -> str | None:
    endpoint = settings.endpoint or endpoint_of_the_environment("gcs")
    if not endpoint:
        return None
    if "://" not in endpoint:
        endpoint = f"http://{endpoint}"  # as emulators write their address
    return checked_endpoint(endpoint)


def _given_credentials(settings: StorageSettings, credentials: object | None) -> Credentials | None:
    """Take what the caller or the settings give; None where they give nothing."""
    if credentials is not None:
        if not isinstance(credentials, Credentials):
            raise SettingsError(f"{type(credentials).__name__} is no credential for Google Cloud Storage")
        return credentials
    if settings.credentials_file is not None:
        return _credentials_from_file(settings)
    if settings.access_key is None and settings.secret_key is None:
        return None
    if settings.access_key is None or settings.secret_key is None:
        missing = "BACKUP_STORAGE_ACCESS_KEY" if settings.access_key is None else "BACKUP_STORAGE_SECRET_KEY"
        raise SettingsError(
            f"{missing} is not set",
            reason="a service account has an e-mail address (access key) and a private key (secret key)",
            next_step="Set both, or BACKUP_STORAGE_CREDENTIALS_FILE, or none of them to use the default credentials",
        )
    info = {
        "client_email": settings.access_key.get_secret_value(),
        "private_key": settings.secret_key.get_secret_value().replace("\\n", "\n"),  # one line, as .env files hold it
        "token_uri": _TOKEN_ADDRESS,
    }
    return _service_account(info, "BACKUP_STORAGE_SECRET_KEY holds no private key of a service account")


def _credentials_from_file(settings: StorageSettings) -> Credentials:
    path = settings.credentials_file
    try:
        info = json.loads(path.expanduser().read_bytes()) if path else None
    except OSError as error:
        raise SettingsError(f"BACKUP_STORAGE_CREDENTIALS_FILE {str(path)!r} can't be read", reason=error.strerror) from None
    except ValueError:
        info = None
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise SettingsError(
            f"BACKUP_STORAGE_CREDENTIALS_FILE {str(path)!r} is not the JSON key file of a service account",
            next_step="For credentials of another kind leave it out and set GOOGLE_APPLICATION_CREDENTIALS",
        )
    return _service_account(info, f"BACKUP_STORAGE_CREDENTIALS_FILE {str(path)!r} holds no usable key of a service account")


def _service_account(info: dict[str, Any], problem: str) -> Credentials:
    try:
        return cast(Credentials, service_account.Credentials.from_service_account_info(info))
    except (ValueError, GoogleAuthError):
        # The library's words are left out: they may quote what it was given.
        raise SettingsError(problem, next_step="Take the key as Google gave it, with its BEGIN and END lines") from None


def _default_credentials() -> Credentials:
    try:
        found, _project = google.auth.default()
    except DefaultCredentialsError as error:
        raise SettingsError(
            "there are no credentials for Google Cloud Storage",
            reason="none are set, and neither this machine nor its user has default ones",
            next_step="Set BACKUP_STORAGE_CREDENTIALS_FILE to the JSON key file of a service account, or run 'gcloud auth "
            "application-default login'",
        ) from error
    return found
