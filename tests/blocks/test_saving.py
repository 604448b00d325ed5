"""Saving blocks on a real Prefect server, and what comes back from it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from pydantic import SecretStr

from blocks import BackupStorage, DatabaseTarget, EncryptionKey
from blocks.saving import DATABASE, KEY, STORAGE, register_and_save
from holdfast.errors import PrefectUnreachableError
from holdfast.settings import Settings, load_settings

ACCESS_KEY = "canary-access-key-1"
SECRET_KEY = "canary-secret-key-2"
PASSPHRASE = "canary passphrase of the repository"
PASSWORD = "canary-password-3"
SAVES = """
import json, sys
from blocks.saving import register_and_save
from holdfast.settings import load_settings
register_and_save(load_settings())
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with every secret set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKUP_STORAGE_PATH", str(tmp_path / "kept"))
    monkeypatch.setenv("BACKUP_STORAGE_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("BACKUP_STORAGE_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("BACKUP_ENCRYPTION_KEY", PASSPHRASE)
    monkeypatch.setenv("BACKUP_DATABASE_URL", f"postgresql://u:{PASSWORD}@db.example.com/content")
    return monkeypatch


def saves(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Save, and tell which blocks were really written."""
    written: list[str] = []
    with monkeypatch.context() as patched:
        for kind in (BackupStorage, EncryptionKey, DatabaseTarget):
            real = kind.save

            def noting(self, name, overwrite=False, real=real):  # type: ignore[no-untyped-def]
                written.append(name)
                return real(self, name, overwrite=overwrite)

            patched.setattr(kind, "save", noting)
        register_and_save(settings)
    return written


def updated(settings: Settings) -> set[str | None]:
    """Save, and tell which blocks the server has changed."""
    before = _changed_at()
    register_and_save(settings)
    return {name for name, when in _changed_at().items() if before[name] != when}


def _changed_at() -> dict[str | None, object]:
    with get_client(sync_client=True) as client:
        return {document.name: document.updated for document in client.read_block_documents(limit=200)}


def test_what_was_saved_loads_with_its_types_and_secrets(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert register_and_save(load_settings()) == [STORAGE, KEY, DATABASE]

    storage = BackupStorage.load(STORAGE)
    assert storage.path == tmp_path / "kept"
    assert isinstance(storage.path, Path)
    assert (storage.type, storage.bucket, storage.endpoint) == ("local", "backups", None)
    assert storage.secret_key == SecretStr(SECRET_KEY)
    assert storage.storage_settings() == load_settings().storage_settings
    assert EncryptionKey.load(KEY).key == SecretStr(PASSPHRASE)
    assert DatabaseTarget.load(DATABASE).database_url().password == SecretStr(PASSWORD)


def test_saving_again_writes_nothing_until_something_changes(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register_and_save(load_settings())
    assert saves(load_settings(), configured) == []

    configured.setenv("BACKUP_STORAGE_SECRET_KEY", "another secret")
    assert updated(load_settings()) == {STORAGE}
    assert BackupStorage.load(STORAGE).secret_key == SecretStr("another secret")
    assert updated(load_settings()) == set()

    configured.delenv("BACKUP_ENCRYPTION_KEY")
    configured.setenv("BACKUP_ENCRYPTION_KEY_FILE", str(tmp_path / "key"))
    assert saves(load_settings(), configured) == [KEY]
    loaded = EncryptionKey.load(KEY)
    assert (loaded.key, loaded.key_file) == (None, tmp_path / "key")


def test_a_storage_is_saved_anew_without_importing_a_cloud(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register_and_save(load_settings())
    configured.setenv("BACKUP_STORAGE_PATH", str(tmp_path / "elsewhere"))
    configured.delenv("BACKUP_STORAGE_SECRET_KEY")
    done = subprocess.run([sys.executable, "-c", SAVES], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)).isdisjoint({"prefect_aws", "prefect_gcp", "prefect_azure", "boto3", "google", "azure"})
    storage = BackupStorage.load(STORAGE)
    assert (storage.path, storage.secret_key, storage.access_key) == (tmp_path / "elsewhere", None, SecretStr(ACCESS_KEY))


def test_the_server_shows_no_secret_to_whoever_just_reads(configured: pytest.MonkeyPatch) -> None:
    register_and_save(load_settings())
    with get_client(sync_client=True) as client:
        shown = client.request("POST", "/block_documents/filter", json={"limit": 200}).json()
        shown += [client.request("GET", f"/block_documents/{document['id']}").json() for document in shown]
    text = json.dumps(shown)
    assert text.count(f'"{STORAGE}"') == text.count(f'"{KEY}"') == text.count(f'"{DATABASE}"') == 2
    for secret in (ACCESS_KEY, SECRET_KEY, PASSPHRASE, PASSWORD):
        assert secret not in text


def test_a_type_whose_description_changed_is_registered_again(configured: pytest.MonkeyPatch) -> None:
    register_and_save(load_settings())
    configured.setattr(EncryptionKey, "_description", "Another description.")
    assert saves(load_settings(), configured) == [KEY]
    with get_client(sync_client=True) as client:
        assert client.read_block_type_by_slug("holdfast-encryption-key").description == "Another description."


def test_no_database_block_without_a_database(configured: pytest.MonkeyPatch) -> None:
    configured.delenv("BACKUP_DATABASE_URL")
    assert register_and_save(load_settings()) == [STORAGE, KEY]


def test_two_inits_at_once_both_succeed(configured: pytest.MonkeyPatch) -> None:
    with get_client(sync_client=True) as client:
        for slug in ("backup-storage", "encryption-key", "database-target"):
            for document in client.read_block_documents_by_type(f"holdfast-{slug}"):
                client.delete_block_document(document.id)
    settings = load_settings()
    failed: list[BaseException] = []

    def init() -> None:
        try:
            register_and_save(settings)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=init) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert EncryptionKey.load(KEY).key == SecretStr(PASSPHRASE)


def test_a_server_that_does_not_answer_is_named_as_the_cause(configured: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    settings = load_settings()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(PrefectUnreachableError):
        register_and_save(settings)
