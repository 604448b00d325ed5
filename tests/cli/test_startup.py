"""What is typed often starts at once, and what must work when everything else is gone needs nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from holdfast.postgres.embedded import EmbeddedServer
from tests.cli.conftest import KEY, Home, make_shop, with_password
from tests.postgres.servers import drop_database, server_folder
from tests.prefect_homes import prepare_home

PROBE = """
import json, sys
from cli.main import run
code = run(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""
CLOUDS = {"boto3", "google", "azure", "prefect_aws", "prefect_gcp", "prefect_azure"}
PREFECT = {"prefect", "prefect_aws", "prefect_gcp", "prefect_azure"}
SLOW = PREFECT | CLOUDS | {"fastapi", "alembic", "examples"}


def imported_by(home: Home, *arguments: str) -> tuple[int, set[str]]:
    """Run a command and tell its exit code and the packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], env=home.environment(), capture_output=True, text=True, check=True
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    return code, set(names)


@pytest.mark.parametrize("arguments", [("--help",), ("repo", "--help"), ("backup", "--help"), ("lst",)], ids=" ".join)
def test_help_and_slips_import_nothing_slow(arguments: tuple[str, ...], home: Home) -> None:
    _, names = imported_by(home, *arguments)
    assert names.isdisjoint(SLOW | {"sqlalchemy", "psycopg2", "pydantic_settings", "cryptography", "obstore"})


def test_the_repository_and_its_keys_are_read_without_prefect(home: Home) -> None:
    home.json("repo", "init")
    for arguments in (
        ("repo", "list"),
        ("list",),
        ("keys", "list"),
        ("keys", "generate"),
        ("repo", "check", "--level", "read"),
        ("repo", "prune", "--dry-run"),
        ("status",),
    ):
        code, names = imported_by(home, *arguments, "--json")
        assert code == 0, arguments
        assert names.isdisjoint(SLOW), f"{arguments} imports {names & SLOW}"


def test_what_stays_on_this_disk_is_backed_up_without_importing_a_cloud(source_server: EmbeddedServer) -> None:
    source = make_shop(source_server, "startup")
    with server_folder() as root:
        home = Home(root / "home", {"BACKUP_ENCRYPTION_KEY": KEY, "BACKUP_DATABASE_URL": with_password(source)})
        prepare_home(home.path)
        storages = (("storage", "list"), ("storage", "test", "holdfast-storage"))
        try:
            home.json("init")  # saves the block of the storage, which takes its class and all that can be nested in it
            for arguments in (("init",), ("backup", "database"), ("verify", "latest"), *storages):
                code, names = imported_by(home, *arguments, "--json")
                assert code == 0, arguments
                assert names.isdisjoint(CLOUDS), f"{arguments} imports {names & CLOUDS}"
                assert "fastapi" not in names, arguments  # Prefect would, to send the parameters
        finally:
            home.json("down")
            drop_database(source)
