"""What commands change is in the audit log, with who did it and how it ended, and the log can be proven by a command."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.postgres.connection import connect
from holdfast.postgres.embedded import EmbeddedServer
from tests.cli.conftest import KEY, Home
from tests.postgres.servers import server_folder
from tests.recovery.sample_plans import document


@pytest.fixture(scope="module")
def used() -> Iterator[Home]:
    """A home in which some things were changed, and others refused, first without a catalog and then with one."""
    with server_folder() as root:
        home = Home(root / "home", {"BACKUP_ENCRYPTION_KEY": KEY, "BACKUP_STORAGE_PATH": str(root / "backups")})
        home.json("repo", "init")
        home.error(3, "pin", "backup_1", "--reason", "for the auditors", BACKUP_DATABASE_URL="no address")
        home.json("tokens", "create", "ci", "--scopes", "read")
        (root / "plan.yaml").write_text(json.dumps(document("mine")))
        home.json("plans", "add", str(root / "plan.yaml"))
        yield home
        home.run("down")


def test_what_commands_changed_is_listed_with_who_where_and_how_it_ended(used: Home) -> None:
    found = used.json("audit", "list")
    assert found["waiting"] == 0, "what was done before there was a catalog was taken in"
    lines = found["lines"][::-1]
    assert [(one["action"], one["subject"], one["outcome"], one["code"]) for one in lines[1:]] == [
        ("backup.pin", "backup_1", "failed", "HF-300"),
        ("token.create", "ci", "done", None),
        ("plan.add", "mine", "done", None),
    ]
    assert lines[0]["action"] == "repository.init"
    assert {(one["actor"]["kind"], one["actor"]["name"], one["origin"]) for one in lines} == {
        ("user", getpass.getuser(), socket.gethostname())
    }
    assert [one["sequence"] for one in lines] == [1, 2, 3, 4]
    assert used.json("audit", "list", "--action", "plan.add", "--since", "1h")["lines"] == [lines[3]]
    assert "backup_1" in used.run("audit", "list").out


def test_a_line_that_was_changed_ends_the_proof_with_5_and_is_named(used: Home) -> None:
    assert used.json("audit", "verify")["ok"] is True
    server = EmbeddedServer(used.path / "postgres")
    unguarded = "SET session_replication_role = replica; UPDATE audit_log SET line"
    change = f"{unguarded} = replace(line, '\"ci\"', '\"cd\"') WHERE sequence = 3"
    back = f"{unguarded} = replace(line, '\"cd\"', '\"ci\"') WHERE sequence = 3"
    for statement, code in ((change, 5), (back, 0)):
        connection = connect(server.url("holdfast"))
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()
        verdict = used.json("audit", "verify", code=code)
        assert (verdict["ok"], (verdict["firstFault"] or {}).get("sequence")) == (code == 0, 3 if code else None)


def test_it_is_said_what_could_not_be_proven(used: Home, tmp_path: Path) -> None:
    shown = used.run("audit", "verify", BACKUP_STORAGE_PATH=str(tmp_path / "gone"))
    assert shown.code == 0
    assert "repository's copy could not be looked at" in " ".join(shown.err.split())
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_copying_the_repository_elsewhere_by_hand_is_in_the_log(used: Home, tmp_path: Path) -> None:
    place = (tmp_path / "copy").as_uri()
    used.json("repo", "replicate", "--to", place)
    lines = used.json("audit", "list", "--action", "replication.by_hand")["lines"]
    assert [(one["subject"], one["outcome"]) for one in lines] == [(place, "done"), (place, "accepted")]
