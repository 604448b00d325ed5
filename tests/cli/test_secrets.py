"""No key and no password ever shows: not in what is printed, not in a process list, not in a file of the home."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.cli.conftest import KEY, PASSWORD, CommandLines, Shop, everything_said, orders, with_password
from tests.postgres.servers import drop_database

CANARIES = {
    "key": KEY,
    "key in hex": base64.b64decode(KEY).hex(),
    "password": PASSWORD,
    "password in a URL": quote(PASSWORD, safe=""),
}


def test_nothing_secret_is_printed_listed_or_left_in_the_home(shop: Shop) -> None:
    target = shop.source.with_database("brought here")
    with CommandLines() as seen:
        done = shop.home.json("restore", shop.backup["jobId"], BACKUP_TARGET_URL=with_password(target))
        shop.home.run("restore", "latest", "--verbose", "--target", "-", stdin=with_password(shop.source) + "\n")
        shop.home.run("backup", "database", "--verbose", BACKUP_DATABASE_URL=with_password(shop.source.with_database("gone")))
    try:
        assert done["status"] == "completed"
        assert orders(target) == orders(shop.source)
    finally:
        drop_database(target)
    assert any("pg_dump" in line for line in shop.command_lines.seen), "the watch saw nothing"
    assert any("pg_restore" in line for line in seen.seen), "the watch saw nothing"
    for name, canary in CANARIES.items():
        assert not any(canary in line for line in shop.command_lines.seen | seen.seen), f"{name} in a process list"
        assert not any(canary in said for said in everything_said), f"{name} was printed"
        assert found_in(shop.home.path, canary) == [], f"{name} lies in a file"
        assert canary not in str(in_prefect(shop, "flow_runs")), f"{name} is a parameter"
    assert not [block for block in in_prefect(shop, "block_documents") if str(block["name"]).startswith("holdfast-target")]


def test_a_password_on_the_command_line_is_warned_of_and_not_repeated(shop: Shop) -> None:
    ran = shop.home.run("repo", "restore", "latest", "--target", with_password(shop.source))
    assert ran.code == 4
    assert "process list" in ran.err
    assert PASSWORD not in ran.out + ran.err
    assert quote(PASSWORD, safe="") not in ran.out + ran.err


def in_prefect(shop: Shop, kind: str) -> list[dict[str, Any]]:
    """List all objects of a kind as anybody who reaches the Prefect server can."""
    address = f"{shop.initialized['prefect']['url']}/{kind}/filter"
    request = urllib.request.Request(address, data=b"{}", headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        found: list[dict[str, Any]] = json.load(response)
    return found


def found_in(folder: Path, canary: str) -> list[str]:
    """Name the files below a folder that hold the canary."""
    wanted = (canary.encode(), canary.encode("utf-16-le"))
    files = (path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in files if any(text in path.read_bytes() for text in wanted)]
