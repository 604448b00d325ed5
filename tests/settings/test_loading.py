"""Which value holds, and what a value may look like."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from cli.repository_settings import load_repository_settings
from holdfast.errors import SettingsError
from holdfast.repository import Compression
from holdfast.settings import load_settings
from tests.settings.conftest import Kept

GUIDE = {
    "BACKUP_ENABLE_DATABASE_BACKUP": ("true", "enable_database_backup", True),
    "BACKUP_ENABLE_FUNCTION_BACKUP": ("true", "enable_function_backup", True),
    "BACKUP_ENABLE_CONFIG_BACKUP": ("true", "enable_config_backup", True),
    "BACKUP_ENABLE_SECRETS_BACKUP": ("true", "enable_secrets_backup", True),
    "BACKUP_DATABASE_INTERVAL": ("24", "database_backup_interval", 24),
    "BACKUP_FUNCTION_INTERVAL": ("168", "function_backup_interval", 168),
    "BACKUP_CONFIG_INTERVAL": ("24", "config_backup_interval", 24),
    "BACKUP_SECRETS_INTERVAL": ("168", "secrets_backup_interval", 168),
    "BACKUP_DATABASE_RETENTION": ("30", "database_backup_retention", 30),
    "BACKUP_FUNCTION_RETENTION": ("90", "function_backup_retention", 90),
    "BACKUP_CONFIG_RETENTION": ("365", "config_backup_retention", 365),
    "BACKUP_SECRETS_RETENTION": ("365", "secrets_backup_retention", 365),
    "BACKUP_STORAGE_TYPE": ("local", "storage_type", "local"),
    "BACKUP_STORAGE_BUCKET": ("backups", "storage_bucket", "backups"),
    "BACKUP_STORAGE_REGION": ("us-east-1", "storage_region", "us-east-1"),
    "BACKUP_ENABLE_ENCRYPTION": ("true", "enable_encryption", True),
    "BACKUP_ENABLE_COMPRESSION": ("true", "enable_compression", True),
    "BACKUP_COMPRESSION_LEVEL": ("6", "compression_level", 6),
    "BACKUP_ENABLE_VERIFICATION": ("true", "enable_backup_verification", True),
    "BACKUP_VERIFICATION_INTERVAL": ("24", "verification_interval", 24),
    "BACKUP_ENABLE_NOTIFICATIONS": ("true", "enable_backup_notifications", True),
    "BACKUP_NOTIFICATION_CHANNELS": ("email,slack", "notification_channels", ["email", "slack"]),
    "BACKUP_FAILURE_THRESHOLD": ("3", "failure_notification_threshold", 3),
}


@pytest.mark.parametrize("variable", GUIDE)
def test_what_the_guide_writes_is_the_default_and_can_be_set(variable: str, setting: Callable[..., None]) -> None:
    text, name, value = GUIDE[variable]
    assert getattr(load_settings(), name) == value
    setting(**{variable: text})
    assert getattr(load_settings(), name) == value


def test_the_guides_other_variables_are_secrets_without_a_default(setting: Callable[..., None]) -> None:
    settings = load_settings()
    assert settings.storage_access_key is settings.storage_secret_key is settings.encryption_key is None
    setting(BACKUP_STORAGE_ACCESS_KEY="a", BACKUP_STORAGE_SECRET_KEY="s", BACKUP_ENCRYPTION_KEY="a long enough passphrase")
    settings = load_settings()
    assert settings.storage_access_key == SecretStr("a")
    assert settings.encryption_key == SecretStr("a long enough passphrase")


def test_the_guides_own_block_of_variables_can_be_pasted_whole_except_for_its_key(setting: Callable[..., None]) -> None:
    setting(**{name: text for name, (text, *_) in GUIDE.items()})
    setting(BACKUP_STORAGE_ACCESS_KEY="your-access-key", BACKUP_STORAGE_SECRET_KEY="your-secret-key")
    load_settings()
    setting(BACKUP_ENCRYPTION_KEY="your-encryption-key")
    with pytest.raises(SettingsError, match="BACKUP_ENCRYPTION_KEY can't be used: its value is an example"):
        load_settings()


def test_storages_replicas_and_limits_are_taken(setting: Callable[..., None]) -> None:
    settings = load_settings()
    assert (settings.replicas, settings.bandwidth_limit, settings.immutable_days) == ([], None, 0)
    assert settings.storage_settings.offsite is settings.storage_settings.region is None
    replicas = "far-away, s3://bucket/a,az://account/container/b,gs://b,file:///mnt/disk,s3+http://127.0.0.1:9000/b,far-away"
    setting(BACKUP_REPLICAS=replicas, BACKUP_BANDWIDTH_LIMIT="5000000", BACKUP_IMMUTABLE_DAYS="30", BACKUP_STORAGE_OFFSITE="no")
    setting(BACKUP_STORAGE_REGION="eu-west-3")
    settings = load_settings()
    assert settings.replicas == [name.strip() for name in replicas.split(",")][:-1]
    said = settings.storage_settings
    assert (said.bandwidth_limit, said.immutable_days, said.offsite, said.region) == (5_000_000, 30, False, "eu-west-3")


def test_the_repository_alone_reads_them_whatever_else_is_wrong(setting: Callable[..., None]) -> None:
    setting(BACKUP_REPLICAS="far", BACKUP_BANDWIDTH_LIMIT="4096", BACKUP_IMMUTABLE_DAYS="3", BACKUP_DATABASE_INTERVAL="never")
    settings = load_repository_settings()
    assert (settings.replicas, settings.bandwidth_limit, settings.immutable_days) == (["far"], 4096, 3)


def test_the_environment_goes_before_the_file_and_that_before_what_is_kept(place: Path, setting: Callable[..., None]) -> None:
    kept = Kept(databaseBackupInterval=3, functionBackupInterval=3, configBackupInterval=3)
    (place / ".env").write_text("BACKUP_DATABASE_INTERVAL=2\nBACKUP_FUNCTION_INTERVAL=2\n")
    setting(BACKUP_DATABASE_INTERVAL="1")
    settings = load_settings(kept)
    found = (settings.database_backup_interval, settings.function_backup_interval, settings.config_backup_interval)
    assert found == (1, 2, 3)
    assert settings.secrets_backup_interval == 168
    assert load_settings().config_backup_interval == 24


def test_an_empty_value_is_no_value(place: Path, setting: Callable[..., None]) -> None:
    (place / ".env").write_text("BACKUP_STORAGE_BUCKET=\nBACKUP_ENCRYPTION_KEY=\nBACKUP_READERS\n")
    setting(BACKUP_DATABASE_INTERVAL="", BACKUP_DATABASE_URL="", HOLDFAST_HOME="", BACKUP_STORAGE_TYPE="")
    settings = load_settings()
    assert settings.database_backup_interval == 24
    assert settings.database_url is settings.encryption_key is None
    assert (settings.storage_type, settings.storage_bucket) == ("local", "backups")
    assert settings.home == place / ".holdfast"
    assert settings.readers == 2


def test_an_empty_variable_does_not_hide_what_the_file_says(place: Path, setting: Callable[..., None]) -> None:
    (place / ".env").write_text("BACKUP_READERS=5\n")
    setting(BACKUP_READERS="")
    assert load_settings().readers == 5


def test_a_file_from_a_windows_editor_is_read_whole(place: Path) -> None:
    (place / ".env").write_bytes(b"\xef\xbb\xbfBACKUP_READERS=5\r\nBACKUP_WRITER_THREADS=7\r\n")
    settings = load_settings()
    assert (settings.readers, settings.writer_threads) == (5, 7)


def test_a_file_that_is_not_text_is_an_error_that_names_it(place: Path) -> None:
    (place / ".env").write_bytes(b"BACKUP_ENCRYPTION_KEY=\xff\xfecanary")
    with pytest.raises(SettingsError, match=r"\.env can't be read: it is not UTF-8 text"):
        load_settings()


def test_everything_local_lies_in_the_home(place: Path, setting: Callable[..., None]) -> None:
    assert load_settings().home == place / ".holdfast"
    assert load_settings().storage_settings.path == place / ".holdfast" / "repository"
    setting(HOLDFAST_HOME="elsewhere")
    assert load_settings().storage_settings.path == place / "elsewhere" / "repository"
    setting(BACKUP_STORAGE_PATH="~/kept", HOME="/home/somebody")
    assert load_settings().storage_settings.path == Path("/home/somebody/kept")


def test_a_process_started_elsewhere_finds_what_its_user_set(
    place: Path, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / ".env").write_text("BACKUP_STORAGE_PATH=kept\n")
    (place / "other").mkdir()
    monkeypatch.chdir(place / "other")
    assert load_settings().storage_path is None
    setting(HOLDFAST_WORKING_DIRECTORY=str(place))
    settings = load_settings()
    assert (settings.home, settings.storage_path) == (place / ".holdfast", place / "kept")


@pytest.mark.parametrize(
    ("variables", "expected", "level"),
    [
        ({}, Compression("gzip"), 6),
        ({"BACKUP_COMPRESSION_ALGORITHM": "zstd"}, Compression("zstd"), 1),
        ({"BACKUP_COMPRESSION_ALGORITHM": "zstd", "BACKUP_COMPRESSION_LEVEL": "1"}, Compression("zstd", 1), 1),
        ({"BACKUP_COMPRESSION_ALGORITHM": "zstd", "BACKUP_COMPRESSION_LEVEL": "19"}, Compression("zstd", 19), 19),
        ({"BACKUP_COMPRESSION_LEVEL": "9"}, Compression("gzip", 9), 9),
    ],
)
def test_a_level_that_nobody_set_is_the_algorithms_own(
    variables: dict[str, str], expected: Compression, level: int, setting: Callable[..., None]
) -> None:
    setting(**variables)
    assert load_settings().compression == expected
    assert load_settings().compression.effective_level == level
    setting(BACKUP_ENABLE_COMPRESSION="false")
    assert load_settings().compression == Compression("none")


def test_half_hours_are_hours_and_whole_ones_stay_whole(setting: Callable[..., None]) -> None:
    setting(BACKUP_DATABASE_INTERVAL="0.5", BACKUP_CONFIG_INTERVAL="12.0")
    settings = load_settings()
    assert settings.database_backup_interval == 0.5
    assert repr(settings.config_backup_interval) == "12"


def test_channels_are_told_by_commas(setting: Callable[..., None]) -> None:
    setting(BACKUP_NOTIFICATION_CHANNELS=" email, slack,,email ")
    assert load_settings().notification_channels == ["email", "slack"]


def test_a_slip_in_a_name_is_told_once_with_what_was_meant(
    place: Path, setting: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    (place / ".env").write_text("BACKUP_DATABASE_RETENTOIN=5\n")
    setting(BACKUP_ENCRYPTON_KEY="canary", BACKUP_TARGET_URL="postgresql:///x")
    with caplog.at_level(logging.WARNING):
        load_settings()
        load_settings()
    first, second = caplog.messages
    assert first == f"BACKUP_DATABASE_RETENTOIN in {place}/.env is not a setting, and has no effect" + (
        " (did you mean BACKUP_DATABASE_RETENTION?)"
    )
    assert second.startswith("BACKUP_ENCRYPTON_KEY in the environment is not a setting")
    assert "did you mean BACKUP_ENCRYPTION_KEY or" in second
    assert "canary" not in caplog.text


def test_what_a_newer_version_has_kept_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert load_settings(Kept(somethingNew={"a": 1}, readers=7)).readers == 7
    assert "somethingNew in the stored configuration is not a setting that this version knows" in caplog.text


def test_settings_do_not_change_once_they_were_read() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.readers = 9  # type: ignore[misc]


def test_importing_and_reading_the_settings_is_quick() -> None:
    code = """if True:
        import sys
        from holdfast.settings import load_settings
        load_settings()
        print(*sorted({name.split(".")[0] for name in sys.modules}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"prefect", "sqlalchemy", "alembic", "psycopg2", "obstore", "cryptography"})
