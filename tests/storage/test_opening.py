"""Storage is opened from settings, and what can't be opened says what is there today."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from holdfast.errors import SettingsError
from holdfast.storage import LocalStorage, StorageSettings, open_storage


def test_a_local_storage_is_opened_where_the_settings_say(tmp_path: Path) -> None:
    storage = open_storage(StorageSettings(type="local", path=tmp_path / "r"))
    assert isinstance(storage, LocalStorage)
    assert storage.location == (tmp_path / "r").as_uri()


def test_a_local_storage_without_a_path_names_the_setting() -> None:
    with pytest.raises(SettingsError, match="BACKUP_STORAGE_PATH"):
        open_storage(StorageSettings(type="local"))


@pytest.mark.parametrize("kind", ["s3", "gcs", "azure"])
def test_a_storage_that_is_not_there_yet_says_which_is(kind: str) -> None:
    settings = StorageSettings.model_validate({"type": kind, "bucket": "b", "secret_key": SecretStr("canary")})
    with pytest.raises(SettingsError, match="local is there today") as caught:
        open_storage(settings)
    assert "canary" not in f"{settings!r} {caught.value}"
