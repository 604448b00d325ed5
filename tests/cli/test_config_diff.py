"""`holdfast config diff`, as a process."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from holdfast.repository import Compression, Repository, UserKey
from holdfast.source_backup import SourceBackup, SourceBackupOptions
from holdfast.sources.configuration.source import ConfigurationOptions, ConfigurationSource
from holdfast.storage import LocalStorage
from tests.cli.conftest import KEY, Home

CANARY = "canary-Xq7pT2vL9mZ4wK8r"


def back_up(home: Home, job_id: str, backup_config: dict[str, object]) -> None:
    """Make a backup of the files beside a home."""
    repository = Repository.open(LocalStorage(home.path / "repository"), key=UserKey.parse(SecretStr(KEY)))
    options = ConfigurationOptions(home.path.parent, files=("*.toml",), environment=("PATH",), include_secrets=True)
    source = ConfigurationSource(options, backup_config=lambda: backup_config)
    with (
        repository.lease("backup") as lease,
        SourceBackup(repository, lease, source, SourceBackupOptions(Compression("none")), job_id=job_id) as made,
    ):
        made.run()


def test_what_changed_is_shown_between_two_backups_and_since_the_last(home: Home, tmp_path: Path) -> None:
    home.run("repo", "init")
    home.settings |= {"BACKUP_CONFIG_FILES": "*.toml", "BACKUP_CONFIG_ENV": "PATH", "BACKUP_CONFIG_INCLUDE_SECRETS": "true"}
    (tmp_path / "app.toml").write_text(f"password = '{CANARY}'\n")
    back_up(home, "config_1_aaaaaaaaa", {"databaseBackupInterval": 24})
    (tmp_path / "app.toml").write_text(f"password = '{CANARY[::-1]}'\n")
    back_up(home, "config_2_aaaaaaaaa", {"databaseBackupInterval": 12})

    found = home.json("config", "diff", "config_1_aaaaaaaaa", "config_2_aaaaaaaaa")
    assert not found["equal"]
    assert found["backupConfig"] == [{"name": "databaseBackupInterval", "change": "changed", "before": "24", "after": "12"}]
    assert found["files"][0]["keys"] == [{"name": "password", "change": "changed", "before": "****", "after": "****"}]

    (tmp_path / "app.toml").chmod(0o600)
    shown = home.run("config", "diff")
    assert shown.code == 0
    assert "file:app.toml" in shown.out
    assert "mode" in shown.out
    assert "Not compared: backup_config: live lacks it" in shown.out
    assert CANARY not in shown.out + shown.err + str(found)


def test_two_backups_are_compared_by_the_repository_alone_and_one_that_is_not_there_is_said(home: Home, tmp_path: Path) -> None:
    home.run("repo", "init")
    (tmp_path / "app.toml").write_text("a = 1\n")
    back_up(home, "config_1_aaaaaaaaa", {})
    back_up(home, "config_2_aaaaaaaaa", {})
    shown = home.run("config", "diff", "config_1_aaaaaaaaa", "latest", BACKUP_DATABASE_INTERVAL="never")
    assert (shown.code, shown.out) == (0, "Nothing changed from config_1_aaaaaaaaa to config_2_aaaaaaaaa.\n")
    assert home.error(3, "config", "diff", "config_9_aaaaaaaaa", "latest")["code"] == "HF-300"
