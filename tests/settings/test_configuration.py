"""The guide's configuration, kept in a real catalog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.catalog import Catalog
from holdfast.configuration import effective_configuration, initialize_backup, update_backup_config, update_from_outside
from holdfast.errors import SettingsError
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.settings import load_settings
from tests.postgres.servers import running_server

CANARY = "canary-of-a-secret"

GUIDE = {
    "enableDatabaseBackup": True,
    "enableFunctionBackup": True,
    "enableConfigBackup": True,
    "enableSecretsBackup": True,
    "databaseBackupInterval": 24,
    "functionBackupInterval": 168,
    "configBackupInterval": 24,
    "secretsBackupInterval": 168,
    "databaseBackupRetention": 30,
    "functionBackupRetention": 90,
    "configBackupRetention": 365,
    "secretsBackupRetention": 365,
    "backupStorageType": "local",
    "enableEncryption": True,
    "encryptionKey": None,
    "enableCompression": True,
    "compressionLevel": 6,
    "enableBackupVerification": True,
    "verificationInterval": 24,
    "enableBackupNotifications": True,
    "notificationChannels": ["email", "slack"],
    "failureNotificationThreshold": 3,
}
STORAGE = {"bucket": "backups", "region": "us-east-1", "accessKey": None, "secretKey": None, "endpoint": None}


@pytest.fixture(scope="module")
def database() -> Iterator[DatabaseUrl]:
    """The database of the catalog."""
    with running_server(18) as server:
        url = server.create_database("holdfast")
        with Catalog(url) as catalog:
            catalog.migrate()
        yield url


@pytest.fixture
def rows(database: DatabaseUrl) -> Iterator[Callable[[], dict[str, Any]]]:
    """Read what the table holds, past the catalog's own code; the table is empty at first."""
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM backup_config")

        def read() -> dict[str, Any]:
            cursor.execute("SELECT config_key, config_value FROM backup_config")
            return dict(cursor.fetchall())

        yield read


@pytest.fixture
def catalog(database: DatabaseUrl, rows: Callable[[], dict[str, Any]]) -> Iterator[Catalog]:
    with Catalog(database) as opened:
        yield opened


def test_the_configuration_in_force_has_the_guides_names_and_defaults(catalog: Catalog, place: Path) -> None:
    shown = effective_configuration(catalog)
    assert {key: shown[key] for key in GUIDE} == GUIDE
    assert {key: shown["backupStorageConfig"][key] for key in STORAGE} == STORAGE
    assert shown["backupStorageConfig"]["path"] == str(place / ".holdfast" / "repository")
    assert "overridden" not in shown
    json.dumps(shown)


def test_the_guides_two_calls_do_what_they_say(catalog: Catalog, rows: Callable[[], dict[str, Any]]) -> None:
    shown = initialize_backup(
        catalog=catalog,
        enableDatabaseBackup=True,
        databaseBackupInterval=24,
        enableEncryption=True,
        enableCompression=True,
    )
    assert shown["databaseBackupInterval"] == 24
    shown = update_backup_config(catalog=catalog, databaseBackupInterval=12, enableCompression=False)
    assert (shown["databaseBackupInterval"], shown["enableCompression"]) == (12, False)
    assert rows() == {
        "enableDatabaseBackup": True,
        "databaseBackupInterval": 12,
        "enableEncryption": True,
        "enableCompression": False,
    }
    assert load_settings(catalog).database_backup_interval == 12
    assert initialize_backup(catalog=catalog)["databaseBackupInterval"] == 12


@pytest.mark.parametrize(
    ("updates", "kept"),
    [
        ({"database_backup_interval": 12}, {"databaseBackupInterval": 12}),
        ({"databaseBackupInterval": "12"}, {"databaseBackupInterval": 12}),
        ({"notificationChannels": ["email"]}, {"notificationChannels": ["email"]}),
        ({"notification_channels": "slack,email"}, {"notificationChannels": ["slack", "email"]}),
        (
            {"backupStorageConfig": {"bucket": "bb", "region": "r"}},
            {"backupStorageConfig.bucket": "bb", "backupStorageConfig.region": "r"},
        ),
        ({"backup_storage_config": {"bucket": "bb"}}, {"backupStorageConfig.bucket": "bb"}),
        ({"backupStorageConfig.endpoint": "http://minio:9000"}, {"backupStorageConfig.endpoint": "http://minio:9000"}),
        ({"backup_storage_type": "s3"}, {"backupStorageType": "s3"}),
        ({"storageType": "gcs"}, {"backupStorageType": "gcs"}),
        ({"compressionAlgorithm": "zstd", "compressionLevel": 15}, {"compressionAlgorithm": "zstd", "compressionLevel": 15}),
        ({"databaseBackupInterval": None}, {"databaseBackupInterval": None}),
        ({}, {}),
    ],
    ids=str,
)
def test_names_and_values_are_taken_in_every_form(
    updates: dict[str, Any], kept: dict[str, Any], catalog: Catalog, rows: Callable[[], dict[str, Any]]
) -> None:
    update_backup_config(catalog=catalog, **updates)
    assert rows() == kept


def test_none_goes_back_to_the_default(catalog: Catalog) -> None:
    update_backup_config(catalog=catalog, compressionAlgorithm="zstd", compressionLevel=19)
    shown = update_backup_config(catalog=catalog, compressionLevel=None)
    assert shown["compressionLevel"] == 1
    shown = update_backup_config(catalog=catalog, compressionAlgorithm=None)
    assert (shown["compressionAlgorithm"], shown["compressionLevel"]) == ("gzip", 6)


@pytest.mark.parametrize(
    ("updates", "said"),
    [
        ({"encryptionKey": CANARY}, ["encryptionKey is a secret", "BACKUP_ENCRYPTION_KEY in the environment or .env"]),
        (
            {"backupStorageConfig": {"accessKey": CANARY, "secretKey": CANARY}},
            ["BACKUP_STORAGE_ACCESS_KEY", "BACKUP_STORAGE_SECRET_KEY"],
        ),
        ({"databaseUrl": f"postgresql://u:{CANARY}@h/d"}, ["databaseUrl is a secret", "BACKUP_DATABASE_URL"]),
        ({"home": "/elsewhere"}, ["home belongs to one host: set HOLDFAST_HOME"]),
        ({"databaseBackupIntervall": 1}, ["is not a setting (did you mean databaseBackupInterval?"]),
        ({"database_backup_retentoin": 1}, ["did you mean databaseBackupRetention?"]),
        ({"qwertyuiop": CANARY}, ["qwertyuiop is not a setting"]),
        ({"backupStorageConfig": "backups"}, ["backupStorageConfig takes an object"]),
        ({"backupStorageConfig": {"buckets": "x"}}, ["did you mean backupStorageConfig.bucket?"]),
        ({"databaseBackupInterval": 0}, ["databaseBackupInterval (BACKUP_DATABASE_INTERVAL)", "0 is too small; allowed: hours"]),
        ({"compressionLevel": 12}, ["compressionLevel (BACKUP_COMPRESSION_LEVEL)", "12 is not a level of gzip"]),
        ({"enableEncryption": "maybe", "readers": "x"}, ["2 settings", "enableEncryption (", "readers (BACKUP_READERS)"]),
        (
            {"encryptionKey": CANARY, "nothing": 1},
            ["2 of these settings", "encryptionKey is a secret", "nothing is not a setting"],
        ),
    ],
    ids=str,
)
def test_what_can_not_be_kept_is_told_and_nothing_is_changed(
    updates: dict[str, Any], said: list[str], catalog: Catalog, rows: Callable[[], dict[str, Any]]
) -> None:
    update_backup_config(catalog=catalog, readers=5)
    with pytest.raises(SettingsError) as caught:
        update_backup_config(catalog=catalog, writerThreads=5, **updates)
    for part in said:
        assert part in str(caught.value)
    assert CANARY not in str(caught.value)
    assert rows() == {"readers": 5}


def test_a_value_that_fails_beside_the_others_is_refused_with_where_the_other_is(
    catalog: Catalog, rows: Callable[[], dict[str, Any]]
) -> None:
    update_backup_config(catalog=catalog, compressionAlgorithm="zstd", compressionLevel=15)
    with pytest.raises(
        SettingsError, match=r"compressionLevel.*15 is not a level of gzip.*It is set in the stored configuration"
    ):
        update_backup_config(catalog=catalog, compressionAlgorithm="gzip")
    assert rows()["compressionAlgorithm"] == "zstd"


def test_a_variable_goes_before_what_is_kept_and_that_is_said(
    catalog: Catalog, place: Path, setting: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    (place / ".env").write_text("BACKUP_CONFIG_INTERVAL=6\n")
    setting(BACKUP_DATABASE_INTERVAL="4")
    shown = update_backup_config(catalog=catalog, databaseBackupInterval=12, configBackupInterval=12, readers=3)
    assert (shown["databaseBackupInterval"], shown["configBackupInterval"], shown["readers"]) == (4, 6, 3)
    assert shown["overridden"] == {
        "databaseBackupInterval": "BACKUP_DATABASE_INTERVAL is set in the environment",
        "configBackupInterval": f"BACKUP_CONFIG_INTERVAL is set in {place}/.env",
    }
    assert "databaseBackupInterval was kept, but BACKUP_DATABASE_INTERVAL is set in the environment" in caplog.text


def test_secrets_are_masked_and_what_was_shown_can_be_sent_back(
    catalog: Catalog, rows: Callable[[], dict[str, Any]], setting: Callable[..., None]
) -> None:
    setting(
        BACKUP_ENCRYPTION_KEY=f"{CANARY} passphrase",
        BACKUP_STORAGE_ACCESS_KEY=CANARY,
        BACKUP_STORAGE_SECRET_KEY=CANARY,
        BACKUP_DATABASE_URL=f"postgresql://u:{CANARY}@h/d",
    )
    shown = effective_configuration(catalog)
    assert CANARY not in json.dumps(shown)
    assert (shown["encryptionKey"], shown["backupStorageConfig"]["secretKey"]) == ("****", "****")
    assert shown["databaseUrl"] == "postgresql://u@h/d"
    update_backup_config(catalog=catalog, encryptionKey=shown["encryptionKey"], backupStorageConfig=shown["backupStorageConfig"])
    assert CANARY not in json.dumps(rows())
    assert "backupStorageConfig.secretKey" not in rows()


def test_without_a_catalog_the_one_of_the_settings_is_used(
    database: DatabaseUrl, rows: Callable[[], dict[str, Any]], setting: Callable[..., None]
) -> None:
    setting(BACKUP_CATALOG_URL=database.without_password())
    assert initialize_backup(readers=4)["readers"] == 4
    assert rows() == {"readers": 4}
    assert effective_configuration()["readers"] == 4


def test_from_outside_the_guides_settings_change_and_those_that_would_move_backups_do_not(
    catalog: Catalog, rows: Callable[[], dict[str, Any]]
) -> None:
    update_from_outside({"databaseBackupInterval": 12, "enableCompression": False}, catalog)
    with pytest.raises(SettingsError) as caught:
        update_from_outside(
            {
                "databaseBackupInterval": 6,
                "backupStorageConfig": {"bucket": "mine", "endpoint": "http://10.0.0.7"},
                "encryptionKey": CANARY,
                "configFiles": "/etc/*",
                "databseBackupInterval": 1,
            },
            catalog,
        )
    told = caught.value.reason or ""
    for name in ("backupStorageConfig.bucket", "backupStorageConfig.endpoint", "encryptionKey", "configFiles", "databseBackup"):
        assert f"{name}" in told
    assert CANARY not in told
    assert rows() == {"databaseBackupInterval": 12, "enableCompression": False}


def test_from_outside_the_guides_whole_configuration_is_taken_where_it_moves_nothing(catalog: Catalog) -> None:
    shown = update_from_outside(GUIDE | {"backupStorageConfig": STORAGE, "databaseBackupInterval": 8}, catalog)
    assert shown["databaseBackupInterval"] == 8
