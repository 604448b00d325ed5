"""`holdfast storage`: storages are tried and told in one line each, saved under names, and their secrets never shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters
from pydantic import SecretStr

from holdfast.storage import StorageSettings
from tests.blocks.nested import connection_string
from tests.cli.conftest import KEY, Home
from tests.cli.test_startup import PREFECT, imported_by
from tests.postgres.servers import server_folder
from tests.prefect_homes import prepare_home
from tests.storage.servers import azurite_server, gcs_server, moto_server

SECRET = "canary-of-a-saved-storage"


@pytest.fixture(scope="module")
def saved() -> Iterator[Home]:
    """A home with a Prefect server, in which a nested block is saved already."""
    with server_folder() as root:
        home = Home(root / "home", {"BACKUP_ENCRYPTION_KEY": KEY})
        prepare_home(home.path)
        try:
            home.json("repo", "init")
            home.json("storage", "list")
            yield home
        finally:
            home.json("down")


@pytest.fixture
def s3() -> StorageSettings:
    """A bucket whose server asks for no particular secret."""
    return moto_server().new_storage().model_copy(update={"secret_key": SecretStr(SECRET)})


def url_of(place: StorageSettings) -> str:
    return f"s3+{place.endpoint}/{place.bucket}"


def with_keys(place: StorageSettings) -> dict[str, str | None]:
    """The provider's own way of finding credentials."""
    assert place.access_key is not None
    return {"AWS_ACCESS_KEY_ID": place.access_key.get_secret_value(), "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}


def secret_file(folder: Path, text: str = SECRET) -> str:
    file = folder / "secret"
    file.write_text(text + "\n")
    return str(file)


def test_every_storage_is_tried_and_told_in_one_line(home: Home, s3: StorageSettings, tmp_path: Path) -> None:
    home.json("repo", "init")
    (tmp_path / "disk").mkdir()
    replicas = f"{(tmp_path / 'disk').as_uri()},{url_of(s3)}"
    changes = {"BACKUP_REPLICAS": replicas, "BACKUP_STORAGE_OFFSITE": "false"} | with_keys(s3)

    found = home.json("storage", "test", **changes)
    assert [one["name"] for one in found] == ["primary", *replicas.split(",")]
    for one in found:
        assert (one["ok"], one["error"], one["putIfAbsent"], one["listed"], one["deleted"]) == (True, None, True, True, True)
        assert min(one["latencyMs"], one["uploadBytesPerSecond"], one["downloadBytesPerSecond"]) > 0
    assert list((tmp_path / "disk" / "probe").iterdir()) == []

    ran = home.run("storage", "test", **changes)
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert sum(" ok " in line and " ms " in line and "MB/s" in line and " yes " in line for line in lines) == 3
    places = [line.index(" ok ") for line in lines if " ok " in line]
    assert len(set(places)) == 1, "the lines are not aligned"


def test_one_that_can_not_be_used_hides_no_other_and_its_code_is_the_exit_code(home: Home, s3: StorageSettings) -> None:
    home.json("repo", "init")
    gone, dead = "file:///no/such/folder", "s3+http://127.0.0.1:9/bucket"
    found = home.json("storage", "test", gone, dead, url_of(s3), code=7, **with_keys(s3))
    assert [one["ok"] for one in found] == [False, False, True]
    assert (found[0]["error"]["code"], found[1]["error"]["code"]) == ("HF-300", "HF-701")
    assert "there is no folder" in found[0]["error"]["message"]
    ran = home.run("storage", "test", gone)
    assert ran.code == 3
    assert "mounted" in ran.out
    assert not Path("/no/such").exists()


def test_storages_with_addresses_are_tried_without_prefect(home: Home) -> None:
    home.json("repo", "init")
    code, names = imported_by(home, "storage", "test", "--json")
    assert code == 0
    assert names.isdisjoint(PREFECT | {"boto3", "google", "azure"})


def test_what_is_locked_and_how_strongly_is_told(home: Home) -> None:
    home.json("repo", "init")
    (found,) = home.json("storage", "test", BACKUP_IMMUTABLE_DAYS="3")
    assert (found["immutableDays"], found["lock"]) == (3, "best effort")


def test_a_storage_is_saved_tried_and_listed_without_its_secret(saved: Home, s3: StorageSettings, tmp_path: Path) -> None:
    options = ["--access-key", "AK", "--secret-key-file", secret_file(tmp_path), "--offsite", "--bandwidth-limit", "500000000"]
    added = saved.json("storage", "add", "far", url_of(s3), *options, "--class", "standard_ia")
    assert (added["name"], added["type"], added["location"], added["tested"]) == ("far", "s3", url_of(s3), True)
    (tried,) = saved.json("storage", "test", "far")
    assert (tried["ok"], tried["storageClass"]) == (True, "STANDARD_IA")
    (listed,) = [one for one in saved.json("storage", "list") if one["name"] == "far"]
    assert (listed["location"], listed["offsite"], listed["bandwidthLimit"]) == (url_of(s3), True, 500000000)
    assert (listed["ownCredentials"], listed["service"]) == (True, None)
    assert SECRET not in str((added, tried, listed))
    assert "far" in saved.run("storage", "list").out
    (primary, replica) = saved.json("storage", "test", BACKUP_REPLICAS="far")
    assert (primary["ok"], replica["name"], replica["ok"]) == (True, "far", True)


def test_a_secret_may_be_typed(saved: Home, s3: StorageSettings) -> None:
    saved.json("storage", "add", "typed", url_of(s3), "--access-key", "AK", stdin=SECRET + "\n")
    assert saved.json("storage", "test", "typed")[0]["ok"]


def test_a_saved_block_of_prefect_is_used_and_a_plain_storage_may_take_its_place(saved: Home, s3: StorageSettings) -> None:
    address = saved.json("init")["prefect"]["url"]
    with temporary_settings({PREFECT_API_URL: address}):
        AwsCredentials(
            aws_access_key_id="AK",
            aws_secret_access_key=SecretStr(SECRET),
            aws_client_parameters=AwsClientParameters(endpoint_url=s3.endpoint),
        ).save("mine", overwrite=True)
    added = saved.json("storage", "add", "nested", f"s3://{s3.bucket}/inner", "--block", "aws-credentials/mine")
    assert (added["location"], added["service"]) == (f"{url_of(s3)}/inner", "aws-credentials/mine")
    assert saved.json("storage", "test", "nested")[0]["location"] == f"{url_of(s3)}/inner"
    (listed,) = [one for one in saved.json("storage", "list") if one["name"] == "nested"]
    assert (listed["service"], listed["ownCredentials"]) == ("aws-credentials/mine", False)

    saved.json("storage", "add", "nested", (saved.path / "repository").as_uri())
    (listed,) = [one for one in saved.json("storage", "list") if one["name"] == "nested"]
    assert (listed["type"], listed["service"]) == ("local", None)


def test_storages_of_azure_and_google_are_saved_too(saved: Home, tmp_path: Path) -> None:
    azure, gcs = azurite_server().new_storage(), gcs_server().new_storage()
    file = secret_file(tmp_path, connection_string(azure))
    saved.json("storage", "add", "azure", f"az://devstoreaccount1/{azure.bucket}", "--connection-string-file", file)
    saved.json("storage", "add", "google", f"gs://{gcs.bucket}/inner", "--endpoint", str(gcs.endpoint))
    tried = saved.json("storage", "test", "azure", "google")
    assert [(one["type"], one["ok"]) for one in tried] == [("azure", True), ("gcs", True)]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["Far Away", "file:///tmp"], 2, "can't be the name"),
        (["far-away"], 2, "--block"),
        (["far-away", "ftp://host/x"], 2, "no location"),
        (["far-away", "s3://b", "--class", "GLACIER"], 2, "nothing in it can be read at once"),
        (["far-away", "s3://b", "--access-key", "AK", "--secret-key-file", "/no/such/file"], 3, "no file /no/such/file"),
        (["far-away", "s3://b", "--block", "aws-credentials/nobodys"], 3, "no block aws-credentials/nobodys"),
        (["far-away", "file:///no/such/folder"], 3, "no folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_can_not_be_saved_is_told_and_not_saved(saved: Home, arguments: list[str], code: int, said: str) -> None:
    error = saved.error(code, "storage", "add", *arguments)
    assert said in f"{error['message']} {error['reason']} {error['nextStep']}"
    assert "far-away" not in [one["name"] for one in saved.json("storage", "list")]


def test_a_storage_of_a_name_that_nobody_saved_is_told(saved: Home) -> None:
    (found,) = saved.json("storage", "test", "nobodys", code=3)
    assert found["name"] == "nobodys"
    assert "holdfast storage add nobodys" in found["error"]["nextStep"]
