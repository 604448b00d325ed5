"""The storage with the backups is gone. What the commands do then, with a folder and a bucket elsewhere as replicas."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Installation, installed
from tests.postgres.oracle import fingerprint
from tests.postgres.servers import drop_database, server_folder
from tests.storage.servers import Server, as_variables, azurite_server, own_server

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]


@pytest.fixture
def primary() -> Iterator[Server]:
    with own_server("s3") as server:
        yield server


@pytest.fixture
def installation(primary: Server) -> Iterator[Installation]:
    """Backups on S3, a copy in a folder, another in Azure that is said to be off-site."""
    azure = azurite_server().new_storage()
    account, key = (secret.get_secret_value() for secret in (azure.access_key, azure.secret_key) if secret is not None)
    with server_folder() as root:
        (root / "azure.key").write_text(key)
        replicas = {"BACKUP_REPLICAS": f"{(root / 'second').as_uri()},elsewhere"}
        for one in installed(root, as_variables(primary.new_storage()) | replicas):
            arguments = ["--endpoint", str(azure.endpoint), "--access-key", account]
            arguments += ["--secret-key-file", str(root / "azure.key"), "--offsite"]
            one.run("storage", "add", "elsewhere", f"az://{account}/{azure.bucket}", *arguments)
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
