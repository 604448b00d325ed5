"""Who we are to S3: keys of the settings, a boto3 session that was handed in, or whatever AWS's default chain finds.

obstore and boto3 get the same. Keys of the settings are never completed from the environment, which may be another account's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from holdfast.errors import SettingsError
from holdfast.storage.answer import Answer
from holdfast.storage.bucket import CONNECT_SECONDS, REQUEST_SECONDS, Credentials
from holdfast.storage.settings import StorageSettings

if TYPE_CHECKING:
    from boto3 import Session

_REGION = "us-east-1"
_CONNECTIONS = 32
_LAST = timedelta(minutes=8)  # botocore renews what ends in less than ten


class S3Access:
    """Credentials and region, for obstore as `provider`, for boto3 as `client`."""

    def __init__(self, settings: StorageSettings, credentials: object | None) -> None:
        self._settings = settings
        self._session: Session | None = None
        self._client: Any = None
        self._making = threading.Lock()
        keys = _keys(settings)
        if credentials is None and keys is not None:
            self.provider = Credentials(lambda: {**keys, "expires_at": None})
            self.region = settings.region or _REGION
            return
        with _boto_errors("there are no usable AWS credentials"):
            self._session = _session(credentials)
            found = self._session.get_credentials()
            if found is None:
                raise SettingsError(
                    "there are no AWS credentials",
                    reason="none are set, and neither the environment, nor a profile, nor this machine's role has any",
                    next_step="Set BACKUP_STORAGE_ACCESS_KEY and BACKUP_STORAGE_SECRET_KEY, or AWS_PROFILE, or log in with 'aws'",
                )
            self.region = settings.region or self._session.region_name or _REGION

        def fetch() -> dict[str, object]:
            frozen = found.get_frozen_credentials()
            keys = {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key, "token": frozen.token}
            return {**keys, "expires_at": datetime.now(UTC) + _LAST}

        self.provider = Credentials(fetch)

    @property
    def client(self) -> Any:
        """boto3's client, made when it is first needed: it is slow to import."""
        with self._making:
            if self._client is None:
                with _boto_errors(f"{self._settings.location} can't be used"):
                    self._client = self._new_client()
            return self._client

    def close(self) -> None:
        with self._making:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _new_client(self) -> Any:
        from botocore.config import Config

        session = self._session or _session(None, _keys(self._settings))
        return session.client(
            "s3",
            region_name=self.region,
            endpoint_url=self._settings.endpoint,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=REQUEST_SECONDS,
                retries={"total_max_attempts": 1},
                max_pool_connections=_CONNECTIONS,
                s3={"addressing_style": "path"},
                response_checksum_validation="when_required",
                request_checksum_calculation="when_required",
            ),
        )


def _session(credentials: object | None, keys: dict[str, object] | None = None) -> Session:
    from boto3 import Session

    if credentials is None:
        names = {"access_key_id": "aws_access_key_id", "secret_access_key": "aws_secret_access_key", "token": "aws_session_token"}
        return Session(**{names[name]: value for name, value in (keys or {}).items()})
    if not isinstance(credentials, Session):
        raise SettingsError(f"{type(credentials).__name__} is no credential for S3", reason="a boto3 session is")
    return credentials


def _keys(settings: StorageSettings) -> dict[str, object] | None:
    """Take the keys of the settings; None where they have none. Raises SettingsError (one without the other)."""
    access, secret, token = settings.access_key, settings.secret_key, settings.session_token
    if not access and not secret:
        if token:
            raise SettingsError(
                "BACKUP_STORAGE_SESSION_TOKEN is set, and the access key that it belongs to is not",
                next_step="Set BACKUP_STORAGE_ACCESS_KEY and BACKUP_STORAGE_SECRET_KEY too, or none of the three",
            )
        return None
    if not access or not secret:
        raise SettingsError(
            f"BACKUP_STORAGE_{'SECRET' if access else 'ACCESS'}_KEY is not set",
            reason="S3 needs an access key and its secret key",
            next_step="Set both, or neither of them to use the default credentials of AWS",
        )
    return {
        "access_key_id": access.get_secret_value(),
        "secret_access_key": secret.get_secret_value(),
        "token": token.get_secret_value() if token else None,
    }


@contextmanager
def _boto_errors(what: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(what, reason=Answer.of_boto(error).words) from None
