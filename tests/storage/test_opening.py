"""Storage is opened from settings and URLs, with the retries and the limit that belong to it; no service is asked yet."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from holdfast.errors import SettingsError
from holdfast.storage import LocalStorage, Storage, StorageSettings, open_storage
from holdfast.storage.retrying import RetryingStorage, RetryPolicy
from holdfast.storage.throttle import ThrottledStorage
from holdfast.storage.wrapped import WrappedStorage
from tests.storage.conformance import BucketConformance
from tests.storage.servers import Server

KINDS = {
    "s3": StorageSettings(type="s3", bucket="b", prefix="p", access_key=SecretStr("AKIA"), secret_key=SecretStr("canary")),
    "azure": StorageSettings(type="azure", bucket="b", prefix="p", access_key=SecretStr("acc"), secret_key=SecretStr("Y2FuYXJ5")),
    "gcs": StorageSettings(type="gcs", bucket="b", prefix="p", endpoint="http://127.0.0.1:1"),
}
each_kind = pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)


class TestThrottledStorageInABucket(BucketConformance):
    """All that is put around a storage, around one kind of it; the limit is one that nothing here reaches."""

    many = 600

    @pytest.fixture
    def settings(self, azurite: Server) -> StorageSettings:
        return azurite.new_storage().model_copy(update={"bandwidth_limit": 1 << 33, "prefix": None})


def layers(storage: Storage) -> list[type[Storage]]:
    found = [type(storage)]
    while isinstance(storage, WrappedStorage):
        storage = storage.inner
        found.append(type(storage))
    return found


def test_a_local_storage_is_opened_where_the_settings_say(tmp_path: Path) -> None:
    storage = open_storage(StorageSettings(type="local", path=tmp_path / "r", immutable_days=3))
    assert layers(storage) == [LocalStorage]
    assert storage.location == (tmp_path / "r").as_uri()
    assert storage.immutable_days == 3


def test_a_local_storage_without_a_path_names_the_setting() -> None:
    with pytest.raises(SettingsError, match="BACKUP_STORAGE_PATH"):
        open_storage(StorageSettings(type="local"))


def test_a_local_storage_has_no_classes(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'STANDARD_IA' can't be used.*local has no classes"):
        open_storage(StorageSettings(type="local", path=tmp_path / "r", storage_class="STANDARD_IA"))
    assert not (tmp_path / "r").exists()


@each_kind
def test_a_storage_in_a_cloud_is_tried_again_and_says_where_it_is(settings: StorageSettings) -> None:
    with closing(open_storage(settings)) as storage:
        assert layers(storage)[0] is RetryingStorage
        assert storage.kind == settings.type
        assert storage.location == settings.location
        assert "canary" not in f"{storage!r} {storage.location} {settings!r}"


@each_kind
def test_a_limit_lies_within_the_retries(settings: StorageSettings) -> None:
    with closing(open_storage(settings.model_copy(update={"bandwidth_limit": 4096}))) as storage:
        assert layers(storage)[:2] == [RetryingStorage, ThrottledStorage]
        assert len(layers(storage)) == 3


def test_a_limit_holds_for_a_local_storage_too(tmp_path: Path) -> None:
    storage = open_storage(StorageSettings(type="local", path=tmp_path / "r", bandwidth_limit=4096))
    assert layers(storage) == [ThrottledStorage, LocalStorage]


@each_kind
def test_how_often_is_tried_can_be_told(settings: StorageSettings) -> None:
    with closing(open_storage(settings, retry=RetryPolicy(tries=1))) as storage:
        assert storage.location == settings.location


@each_kind
def test_a_bucket_is_needed(settings: StorageSettings) -> None:
    with pytest.raises(SettingsError, match="BACKUP_STORAGE_BUCKET"):
        open_storage(settings.model_copy(update={"bucket": None}))


def test_a_local_storage_costs_no_import_of_a_cloud(tmp_path: Path) -> None:
    script = f"""
        import sys
        from pathlib import Path
        from holdfast.storage import StorageSettings, open_storage
        open_storage(StorageSettings(type="local", path=Path({str(tmp_path)!r}, "r")))
        StorageSettings.from_url("s3://bucket/prefix")
        print([name for name in sys.modules if name.split(".")[0] in ("boto3", "botocore", "azure", "google", "requests")])
    """
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in script.splitlines())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_clouds_of_which_only_what_is_asked_often_is_used_cost_little(kind: str) -> None:
    """Their own clients are slow to import, and small objects need none of them."""
    lines = (
        "import sys",
        "from pydantic import SecretStr",
        "from holdfast.storage import StorageSettings, open_storage",
        f"keys = dict(access_key=SecretStr('acc'), secret_key=SecretStr('YQ=='), type={kind!r}, bucket='b')",
        "open_storage(StorageSettings(**keys))",
        "print([name for name in sys.modules if name.split('.')[0] in ('boto3', 'botocore', 'azure')])",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


URLS = {
    "file:///srv/backups": StorageSettings(type="local", path=Path("/srv/backups")),
    "s3://bucket": StorageSettings(type="s3", bucket="bucket"),
    "s3://bucket/some/prefix": StorageSettings(type="s3", bucket="bucket", prefix="some/prefix"),
    "gs://bucket/some/prefix": StorageSettings(type="gcs", bucket="bucket", prefix="some/prefix"),
    "az://account/container": StorageSettings(type="azure", access_key=SecretStr("account"), bucket="container"),
    "az://account/container/some/prefix": StorageSettings(
        type="azure", access_key=SecretStr("account"), bucket="container", prefix="some/prefix"
    ),
    "s3+https://minio.example.org:9000/bucket/p": StorageSettings(
        type="s3", endpoint="https://minio.example.org:9000", bucket="bucket", prefix="p"
    ),
    "s3+http://127.0.0.1:9000/bucket": StorageSettings(type="s3", endpoint="http://127.0.0.1:9000", bucket="bucket"),
}


@pytest.mark.parametrize(("url", "settings"), URLS.items(), ids=URLS)
def test_a_url_is_a_location_and_a_location_is_a_url(url: str, settings: StorageSettings) -> None:
    assert StorageSettings.from_url(url) == settings
    assert settings.location == url
    assert StorageSettings.from_url(f"{url}/") == settings


def test_a_folder_of_any_name_can_be_written_as_a_url(tmp_path: Path) -> None:
    folder = tmp_path / "mit Umlaut ü & 100%"
    found = StorageSettings.from_url(folder.as_uri())
    assert found.path == folder
    assert found.location == folder.as_uri()
    assert open_storage(found).location == folder.as_uri()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "backups",
        "/srv/backups",
        "file://",
        "file://host/folder",
        "s3://",
        "s3:///prefix",
        "az://account",
        "ftp://host/folder",
        "https://bucket.s3.amazonaws.com/x",
        "s3+https://host",
        "s3://bucket:9000/x",
        "s3://[::1/x",
    ],
)
def test_what_is_no_location_is_refused_and_the_forms_are_told(url: str) -> None:
    with pytest.raises(SettingsError, match=r"s3://bucket/prefix.*az://account/container"):
        StorageSettings.from_url(url)


@pytest.mark.parametrize(
    "url",
    ["s3://AKIA:canary@bucket/x", "s3+https://me:canary@host/b", "az://a/c?sig=canary", "gs://b/x#canary", "ftp://me:canary@h/x"],
)
def test_a_url_with_a_credential_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match=r"more than a location.*holdfast storage add") as caught:
        StorageSettings.from_url(url)
    assert "canary" not in str(caught.value)


def test_a_location_tells_where_an_azure_account_is_and_no_key() -> None:
    key = "AccountName=acc;AccountKey=Y2FuYXJ5"
    for text, start in (
        (key, "az://acc"),
        (f"{key};BlobEndpoint=https://acc.blob.core.windows.net/", "az://acc"),
        (f"{key};BlobEndpoint=http://127.0.0.1:10000/acc", "az+http://127.0.0.1:10000/acc"),
    ):
        settings = StorageSettings(type="azure", bucket="b", prefix="/p/", connection_string=SecretStr(text))
        assert settings.location == f"{start}/b/p"
        with closing(open_storage(settings)) as storage:
            assert storage.location == settings.location
