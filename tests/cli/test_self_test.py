"""`holdfast test`: what a person and a script are told of a home in which half of everything is missing."""

from __future__ import annotations

from urllib.parse import quote

from tests.cli.conftest import PASSWORD, Home


def test_it_ends_with_1_says_what_failed_and_what_to_do_and_starts_nothing(home: Home) -> None:
    home.json("repo", "init")
    there = {one.name for one in home.path.iterdir()}
    missing = {"BACKUP_DATABASE_URL": f"postgresql://backup:{quote(PASSWORD, safe='')}@127.0.0.1:1/content"}
    found = {one["name"]: one for one in home.json("test", code=1, **missing)["tests"]}
    assert {name for name, one in found.items() if one["ok"]} == {"storage", "key", "tools", "scratch"}
    told = home.run("test", **missing)
    assert told.code == 1
    assert "✓ key encrypted" in told.out
    assert "✗ database the database postgresql://backup@127.0.0.1:1/content does not answer (HF-702)" in told.out
    assert "See whether its server runs" in told.out
    assert "'holdfast serve' starts it" in told.out
    assert "5 of 9 failed" in told.out
    assert PASSWORD not in told.out + told.err
    assert {one.name for one in home.path.iterdir()} == there
