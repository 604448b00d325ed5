"""The storage contract over Azure Blob Storage: obstore for what is asked often, Azure's own client for what obstore has not.

Put-if-absent is the service's own (`If-None-Match: *`), also for large objects: their blocks are no object before the last
request makes one of them. Locks are version-level immutability policies, in locked mode, which nobody can shorten. A container
that has them keeps versions: a locked object could be hidden by a delete, so none is sent before its lock was looked up.
"""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore

from holdfast.errors import ObjectLockedError, ObjectNotFoundError, SettingsError, StorageUnreachableError
from holdfast.storage.answer import Answer
from holdfast.storage.azure_account import account_of
from holdfast.storage.bucket import (
    CONNECT_SECONDS,
    LARGE_BYTES,
    PART_BYTES,
    REQUEST_SECONDS,
    BucketStorage,
    checked_bucket,
    checked_prefix,
    manner,
)
from holdfast.storage.objectstore import checked_name
from holdfast.storage.settings import StorageSettings


class AzureStorage(BucketStorage):
    """Keep objects in a container of an Azure storage account."""

    def __init__(
        self,
        settings: StorageSettings,
        *,
        credentials: object | None = None,
        large_bytes: int = LARGE_BYTES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        bucket = checked_bucket(settings, "Azure")
        self._account = account_of(settings, credentials)
        self._made: Any = None
        self._making = threading.Lock()
        settings = self._account.located(settings)
        provider = self._account.provider()
        try:
            store = AzureStore(
                bucket,
                prefix=checked_prefix(settings) or None,
                config={"account_name": self._account.name, "endpoint": self._account.endpoint, "skip_signature": False},
                credential_provider=provider,  # type: ignore[arg-type]  # which of the three it gives is known there
                **manner(self._account.endpoint),
            )
        except (BaseError, ValueError, TypeError) as error:
            raise SettingsError(f"{settings.location} can't be used", reason=Answer.of_obstore(error).words) from None
        super().__init__(store, settings, bucket, provider, large_bytes=large_bytes, part_bytes=part_bytes)

    @property
    def kind(self) -> str:
        return "azure"

    def lock(self, name: str, until: datetime) -> None:
        """Set the object's immutability policy, in locked mode."""
        if not self._immutable_days:
            return
        found = self._lock_of(name)
        if found is not None and found >= until:
            return
        refusal = self._set_policy(name, until)
        if refusal is None:
            return
        found = self._lock_of(name)
        if found is not None and found >= until:
            return  # another run locked it meanwhile, for longer, and the service refused to shorten that
        if refusal.status in {400, 405, 409, 501}:
            raise SettingsError(
                f"{name!r} in {self._location} can't be locked",
                reason=refusal.reason,
                next_step="Use a container with version-level immutability, or set BACKUP_IMMUTABLE_DAYS=0",
            )
        raise refusal.as_error("lock", name, self._location, self._bucket)

    def locked_until(self, name: str) -> datetime | None:
        try:
            return self._lock_of(name)
        except ObjectNotFoundError:
            return None

    def close(self) -> None:
        with self._making:
            if self._made is not None:
                self._made.close()
                self._made = None
        self._account.close()

    def _set_policy(self, name: str, until: datetime) -> Answer | None:
        """Ask for it; return the refusal where there is one."""
        from azure.core.exceptions import AzureError
        from azure.storage.blob import BlobImmutabilityPolicyMode, ImmutabilityPolicy

        policy = ImmutabilityPolicy(expiry_time=until, policy_mode=BlobImmutabilityPolicyMode.LOCKED)
        try:
            self._blob(name).set_immutability_policy(policy)
        except AzureError as error:
            return self._answer(error)
        return None

    def _lock_of(self, name: str) -> datetime | None:
        with self._errors(name, "look up the lock of"):
            policy = self._blob(name).get_blob_properties().immutability_policy
        until: datetime | None = policy.expiry_time if policy else None
        return until.astimezone(UTC) if until else None

    def _put_in_parts(self, name: str, data: memoryview, replace: bool, storage_class: str | None) -> None:
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobBlock, StandardBlobTier

        blob = self._blob(name)
        blocks = []
        for at in range(0, len(data), self._part_bytes):
            # By chance, so that two who send the same name at once don't mix their blocks.
            blocks.append(BlobBlock(secrets.token_hex(16)))
            blob.stage_block(blocks[-1].id, bytes(data[at : at + self._part_bytes]))
        chosen = {"standard_blob_tier": StandardBlobTier(storage_class)} if storage_class else {}
        condition = {} if replace else {"match_condition": MatchConditions.IfMissing}
        try:
            blob.commit_block_list(blocks, **chosen, **condition)
        except HttpResponseError as error:
            if Answer.of_azure(error).code == "InvalidBlockList":  # another finished the same name, which drops what was sent
                reason = "the service dropped the blocks that were sent"
                raise StorageUnreachableError(f"could not store {name!r} in {self._location}", reason=reason) from None
            raise

    def _delete_unless_locked(self, name: str) -> None:
        until = self._lock_in_force(name)
        if until is not None:
            raise ObjectLockedError(
                f"{name!r} in {self._location} can't be deleted", reason=f"it is locked until {until:%Y-%m-%d %H:%M:%S} UTC"
            )
        self._delete(name)

    def _blob(self, name: str) -> Any:
        return self._container().get_blob_client(self._key(checked_name(name)))

    def _container(self) -> Any:
        """Azure's own client, made when it is first needed: it is slow to import."""
        with self._making:
            if self._made is None:
                from azure.storage.blob import ContainerClient

                self._made = ContainerClient(
                    self._account.endpoint,
                    self._bucket,
                    credential=self._account.credential(),
                    retry_total=0,
                    connection_timeout=CONNECT_SECONDS,
                    read_timeout=REQUEST_SECONDS,
                )
            return self._made

    def _answer(self, error: Exception) -> Answer | None:
        if not type(error).__module__.startswith(("azure.", "msal")):
            return None
        answer = Answer.of_azure(error)
        if answer.status is None and type(error).__name__ in {"ClientAuthenticationError", "CredentialUnavailableError"}:
            return Answer(401, answer.code, answer.words)
        return answer
