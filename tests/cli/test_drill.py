"""`holdfast drill`, run as a user runs it: what came back, how long it took, and what did not."""

from __future__ import annotations

from tests.cli.conftest import Shop, databases


def test_a_drill_prints_what_came_back_and_how_long_it_took(shop: Shop) -> None:
    found = shop.home.json("drill")
    (database,) = found["types"]
    assert (found["ok"], found["type"], found["status"]) == (True, "drill", "completed")
    assert (database["type"], database["ok"], database["problems"]) == ("database", True, [])
    assert found["seconds"] == database["seconds"] > 0
    assert shop.home.json("show", database["backupId"])["verifiedLevel"] == "proven"
    assert databases(shop.server) == {"postgres", "shop"}


def test_a_drill_of_what_has_no_backup_ends_with_5_and_says_so(shop: Shop) -> None:
    told = shop.home.run("drill", "--type", "config")
    assert told.code == 5
    assert "did not bring everything back" in told.out
    assert "config: there is no good config backup" in told.out
