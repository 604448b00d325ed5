"""What a storage is called never shows what opens it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from holdfast.errors import SettingsError
from holdfast.storage import StorageSettings, open_storage

CANARY = "top-secret-canary"


@pytest.mark.parametrize(
    "place",
    [
        StorageSettings(type="s3", bucket="b", endpoint=f"https://user:{CANARY}@host:9000/"),
        StorageSettings(type="s3", bucket="b", endpoint=f"https://host/?token={CANARY}"),
        StorageSettings(type="azure", bucket="b", endpoint=f"https://host/account?sig={CANARY}", access_key=SecretStr("account")),
        StorageSettings(
            type="azure",
            bucket="b",
            connection_string=SecretStr(f"AccountName=account;BlobEndpoint=https://host/account?sv=1&sig={CANARY}"),
        ),
        StorageSettings(type="gcs", bucket="b", endpoint=f"https://user:{CANARY}@host"),
        StorageSettings(type="gcs", bucket="b", endpoint=f"ftp://user:{CANARY}@host"),
    ],
)
def test_a_credential_in_an_address_is_neither_shown_nor_used(place: StorageSettings) -> None:
    assert CANARY not in place.location
    with pytest.raises(SettingsError) as caught:
        open_storage(place).close()
    assert CANARY not in str(caught.value)


def test_a_token_without_its_key_is_no_credential() -> None:
    with pytest.raises(SettingsError, match="BACKUP_STORAGE_ACCESS_KEY"):
        open_storage(StorageSettings(type="s3", bucket="b", session_token=SecretStr(CANARY)))
