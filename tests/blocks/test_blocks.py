"""What each block makes, and that none tells its secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from blocks import BackupStorage, DatabaseTarget, EncryptionKey
from holdfast.errors import KeyMissingError, SettingsError
from holdfast.repository import UserKey
from holdfast.storage import LocalStorage

CANARY = "canary-of-a-secret"


def test_a_storage_block_opens_the_storage_that_it_describes(tmp_path: Path) -> None:
    storage = BackupStorage(type="local", path=tmp_path / "kept").open()
    assert isinstance(storage, LocalStorage)
    storage.put("one", b"1")
    assert (tmp_path / "kept" / "one").read_bytes() == b"1"


def test_a_storage_block_says_everything_that_settings_can_say() -> None:
    block = BackupStorage(
        type="s3",
        bucket="b",
        region="r",
        endpoint="http://minio:9000",
        prefix="p",
        access_key=SecretStr("a"),
        secret_key=SecretStr(CANARY),
    )
    said = block.storage_settings()
    assert (said.type, said.bucket, said.region, said.endpoint, said.prefix) == ("s3", "b", "r", "http://minio:9000", "p")
    assert said.secret_key == SecretStr(CANARY)


def test_a_key_block_gives_its_key_or_the_one_in_its_file(tmp_path: Path) -> None:
    key, text = UserKey.generate()
    file = tmp_path / "key"
    file.write_text(text + "\n")
    for block in (EncryptionKey(key=SecretStr(text)), EncryptionKey(key_file=file)):
        found = block.user_key()
        assert found is not None
        assert found.fingerprint == key.fingerprint
    assert EncryptionKey().user_key() is None


def test_a_key_block_whose_file_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError, match=r"key_file names a file that is not there: .*/gone"):
        EncryptionKey(key_file=tmp_path / "gone").user_key()


@pytest.mark.parametrize("text", ["short", "your-encryption-key"])
def test_a_key_block_refuses_what_is_no_key_without_showing_it(text: str) -> None:
    with pytest.raises(SettingsError, match="holdfast keys generate") as caught:
        EncryptionKey(key=SecretStr(text)).user_key()
    assert text not in str(caught.value)


def test_a_database_block_gives_its_address() -> None:
    url = DatabaseTarget(url=SecretStr(f"postgresql://u:{CANARY}@db.example.com/content")).database_url()
    assert (url.host, url.database) == ("db.example.com", "content")


def test_a_database_block_with_a_wrong_address_says_so_without_showing_it() -> None:
    with pytest.raises(SettingsError, match="holdfast-database-target") as caught:
        DatabaseTarget(url=SecretStr(f"mysql://u:{CANARY}@h/d")).database_url()
    assert CANARY not in str(caught.value)


def test_no_block_shows_its_secret_when_it_is_printed() -> None:
    for block in (
        BackupStorage(access_key=SecretStr(CANARY), secret_key=SecretStr(CANARY)),
        EncryptionKey(key=SecretStr(CANARY)),
        DatabaseTarget(url=SecretStr(f"postgresql://u:{CANARY}@h/d")),
    ):
        assert CANARY not in f"{block!r} {block} {block.model_dump_json()} {block.model_dump()}"


def test_a_block_that_can_not_be_made_does_not_show_what_it_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        BackupStorage.model_validate({"type": CANARY, "path": 5})
    assert CANARY not in str(caught.value)
