"""Where the key comes from, and what is said when it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import KeyMissingError, SettingsError
from holdfast.repository import UserKey
from holdfast.settings import load_settings


def test_no_key_is_no_error_until_one_is_needed() -> None:
    assert load_settings().user_key() is None


def test_the_variable_goes_before_the_file(place: Path, setting: Callable[..., None]) -> None:
    one, in_variable = UserKey.generate()
    two, in_file = UserKey.generate()
    (place / "key").write_text(f"\ufeff{in_file}\r\n", encoding="utf-8")
    setting(BACKUP_ENCRYPTION_KEY_FILE="key")
    assert repr(load_settings().user_key()) == repr(two)
    setting(BACKUP_ENCRYPTION_KEY=in_variable)
    assert repr(load_settings().user_key()) == repr(one)


def test_a_key_file_that_is_not_there_yet_hinders_nothing_else(place: Path, setting: Callable[..., None]) -> None:
    setting(BACKUP_ENCRYPTION_KEY_FILE="key")
    settings = load_settings()
    with pytest.raises(KeyMissingError) as caught:
        settings.user_key()
    assert f"BACKUP_ENCRYPTION_KEY_FILE names a file that is not there: {place}/key" in str(caught.value)
    assert "what is stored opens with no key made anew" in str(caught.value), "who reads it at night makes another key"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the encryption key is empty"),
        (b"\xff\xfe\x00", "it is not text"),
        (b"canary-key", "it is neither 32 bytes"),
        (b"your-encryption-key\n", "holds an example"),
        (b"canary-key" * 1000, "it is longer than"),
    ],
)
def test_a_file_that_holds_no_key_is_told_without_what_it_holds(
    content: bytes, said: str, place: Path, setting: Callable[..., None]
) -> None:
    (place / "key").write_bytes(content)
    setting(BACKUP_ENCRYPTION_KEY_FILE="key")
    with pytest.raises(SettingsError, match="BACKUP_ENCRYPTION_KEY_FILE") as caught:
        load_settings().user_key()
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_folder_in_the_place_of_the_file_is_told(place: Path, setting: Callable[..., None]) -> None:
    setting(BACKUP_ENCRYPTION_KEY_FILE=".")
    with pytest.raises(SettingsError, match="BACKUP_ENCRYPTION_KEY_FILE names a file that can't be read"):
        load_settings().user_key()
