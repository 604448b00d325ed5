"""The storage with the backups is gone. What the commands do then, with a folder and a bucket elsewhere as replicas."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Installation, installed
from tests.flows.sources import make_functions
from tests.postgres.oracle import fingerprint
from tests.postgres.servers import drop_database, server_folder
from tests.sources.files import seen
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
        functions = make_functions(root / "supabase")
        settings = {"BACKUP_REPLICAS": f"{(root / 'second').as_uri()},elsewhere", "BACKUP_FUNCTIONS_PATH": str(functions)}
        for one in installed(root, as_variables(primary.new_storage()) | settings):
            arguments = ["--endpoint", str(azure.endpoint), "--access-key", account]
            arguments += ["--secret-key-file", str(root / "azure.key"), "--offsite"]
            one.run("storage", "add", "elsewhere", f"az://{account}/{azure.bucket}", *arguments)
            yield one


def test_a_lost_primary_costs_nothing_where_there_are_replicas(installation: Installation, primary: Server) -> None:
    functions = installation.home.parent / "supabase"
    deployed = installation.run("backup", "function")
    made = installation.run("backup", "database")
    assert len(made["copies"]) == len(deployed["copies"]) == 3
    status = installation.run("status")
    [kept] = [one for one in status["backups"] if one["type"] == "database"]
    assert (kept["jobId"], len(kept["copies"]), kept["threeTwoOne"]) == (made["jobId"], 3, {"holds": True, "missing": []})
    assert all(one["ok"] for one in installation.run("storage", "test"))
    before, functions_before = fingerprint(installation.source.without_password()), seen(functions)

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
    (functions / "functions" / "hello" / "index.ts").write_text("lost with the primary")
    back = installation.run("restore", "latest", "--type", "function", "--target", "live", "--mode", "promote")
    assert (back["backupId"], back["proven"], back["readFrom"]) == (deployed["jobId"], True, brought["readFrom"])
    assert seen(functions) == functions_before
    elsewhere = installation.home / "functions"
    arguments = ["latest", "--type", "function", "--from", "elsewhere", "--target", str(elsewhere)]
    alone = installation.run("repo", "restore", *arguments)
    assert (alone["readFrom"], alone["proven"]) == ("elsewhere", True)
    assert seen(elsewhere) == functions_before
    proof = installation.run("verify", "latest", "--level", "proven")
    assert (proof["ok"], proof["backupId"]) == (True, made["jobId"])
    status = installation.run("status")
    assert status["repository"]["ok"] is False
    assert [one["ok"] for one in status["replicas"]] == [True, True]
