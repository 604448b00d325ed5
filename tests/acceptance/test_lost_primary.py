"""The storage with the backups is gone. What the commands do then, with a folder and a bucket elsewhere as replicas."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from holdfast.storage import StorageSettings
from tests.acceptance.conftest import Installation, installed
from tests.postgres.oracle import fingerprint
from tests.postgres.servers import drop_database, server_folder
from tests.storage.servers import Server, azurite_server, own_server

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

VARIABLES = {
    "type": "BACKUP_STORAGE_TYPE",
    "bucket": "BACKUP_STORAGE_BUCKET",
    "region": "BACKUP_STORAGE_REGION",
    "endpoint": "BACKUP_STORAGE_ENDPOINT",
    "access_key": "BACKUP_STORAGE_ACCESS_KEY",
    "secret_key": "BACKUP_STORAGE_SECRET_KEY",
}


def shown(place: StorageSettings, field: str) -> str:
    value = getattr(place, field)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@pytest.fixture
def primary() -> Iterator[Server]:
    with own_server("s3") as server:
        yield server


@pytest.fixture
def installation(primary: Server) -> Iterator[Installation]:
    """Backups on S3, a copy in a folder, another in Azure that is said to be off-site."""
    place, azure = primary.new_storage(), azurite_server().new_storage()
    with server_folder() as root:
        (root / "azure.key").write_text(shown(azure, "secret_key"))
        settings = {variable: shown(place, field) for field, variable in VARIABLES.items()}
        settings["BACKUP_REPLICAS"] = f"{(root / 'second').as_uri()},elsewhere"
        for one in installed(root, settings):
            arguments = ["--endpoint", shown(azure, "endpoint"), "--access-key", shown(azure, "access_key")]
            arguments += ["--secret-key-file", str(root / "azure.key"), "--offsite"]
            one.run("storage", "add", "elsewhere", f"az://{shown(azure, 'access_key')}/{azure.bucket}", *arguments)
            yield one


def test_a_lost_primary_costs_nothing_where_there_are_replicas(installation: Installation, primary: Server) -> None:
    made = installation.run("backup", "database")
    assert len(made["copies"]) == 3
    status = installation.run("status")
    [kept] = status["backups"]
    assert (kept["jobId"], len(kept["copies"]), kept["threeTwoOne"]) == (made["jobId"], 3, {"holds": True, "missing": []})
    assert all(one["ok"] for one in installation.run("storage", "test"))
    before = fingerprint(installation.source.without_password())

    primary.stop()

    target = installation.source.with_database("brought_back")
    brought = installation.run("restore", "latest", "--target", target.without_password())
    assert (brought["backupId"], brought["proven"]) == (made["jobId"], True)
    assert brought["readFrom"].startswith("file://")
    assert fingerprint(target.without_password()) == before
    drop_database(target)
    alone = installation.run("repo", "restore", "latest", "--from", "elsewhere", "--target", target.without_password())
    assert (alone["readFrom"], alone["proven"]) == ("elsewhere", True)
    assert fingerprint(target.without_password()) == before
    drop_database(target)
    proof = installation.run("verify", "latest", "--level", "proven")
    assert (proof["ok"], proof["backupId"]) == (True, made["jobId"])
    status = installation.run("status")
    assert status["repository"]["ok"] is False
    assert [one["ok"] for one in status["replicas"]] == [True, True]
