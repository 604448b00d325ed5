"""Keys on the command line: made once, never silently, never shown where they should not be, never lost by a slip."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.cli.conftest import ANOTHER_KEY, KEY, Home


def test_a_made_key_is_alone_on_stdout(home: Home) -> None:
    ran = home.run("keys", "generate")
    assert ran.code == 0
    assert len(ran.out.strip()) == 44
    assert ran.out.count("\n") == 1
    assert ran.out.strip() not in ran.err
    assert home.json("keys", "generate")["key"] != ran.out.strip()


def test_a_key_file_is_for_its_owner_only_and_is_never_written_over(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "key"
    ran = home.run("keys", "generate", "--file", str(path))
    assert ran.code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert text.strip() not in ran.out + ran.err
    assert home.error(4, "keys", "generate", "--file", str(path))["nextStep"]
    assert path.read_text() == text
    assert home.error(2, "keys", "generate", "--file", str(tmp_path / "no" / "folder" / "key"))["reason"]


def test_init_without_a_key_makes_nothing_and_says_how_to_make_one(home: Home) -> None:
    error = home.error(2, "init", BACKUP_ENCRYPTION_KEY=None)
    assert error["code"] == "HF-201"
    assert "holdfast keys generate" in error["nextStep"]
    assert not (home.path / "repository").exists()
    assert not (home.path / "postgres").exists()


def test_keys_are_added_rotated_and_removed_and_each_opens_as_long_as_it_should(home: Home, tmp_path: Path) -> None:
    home.json("repo", "init")
    first = home.json("keys", "list")
    assert [(key["inUse"], key["state"]) for key in first] == [(True, "active")]
    new_file = tmp_path / "new"
    new_file.write_text(ANOTHER_KEY + "\n")
    added = home.json("keys", "add", "--label", "safe", "--new-key-file", str(new_file))
    assert added["label"] == "safe"
    assert home.json("repo", "list", BACKUP_ENCRYPTION_KEY=ANOTHER_KEY) == []
    assert home.json("keys", "remove", added["keyId"])["state"] == "removed"
    assert home.error(2, "repo", "list", BACKUP_ENCRYPTION_KEY=ANOTHER_KEY)["code"] == "HF-202"
    assert (
        home.json("keys", "rotate", "--new-key-env", "NEXT_KEY", NEXT_KEY="a passphrase that is long enough")["state"] == "active"
    )
    assert home.error(2, "repo", "list")["code"] == "HF-202"
    home.settings["BACKUP_ENCRYPTION_KEY"] = "a passphrase that is long enough"
    assert home.json("repo", "list") == []
    last = [key for key in home.json("keys", "list") if key["state"] == "active"]
    assert len(last) == 1
    assert home.error(4, "keys", "remove", last[0]["keyId"])["code"] == "HF-403"


def test_a_new_key_is_read_from_standard_input(home: Home) -> None:
    home.json("repo", "init")
    ran = home.run("keys", "add", stdin=ANOTHER_KEY + "\n")
    assert ran.code == 0
    assert ANOTHER_KEY not in ran.out + ran.err
    assert home.json("repo", "list", BACKUP_ENCRYPTION_KEY=ANOTHER_KEY) == []


def test_a_key_that_can_not_be_one_is_refused_without_showing_it(home: Home, tmp_path: Path) -> None:
    home.json("repo", "init")
    for arguments, stdin in (
        (("keys", "add"), "short-9\n"),
        (("keys", "add"), "\n"),
        (("keys", "add", "--new-key-env", "NOT_SET"), ""),
    ):
        ran = home.run(*arguments, stdin=stdin)
        assert ran.code == 2, ran.err
        assert "short-9" not in ran.out + ran.err
    assert home.error(3, "keys", "add", "--new-key-file", str(tmp_path / "nothing"))["nextStep"]
    assert home.error(2, "keys", "add", "--new-key-file", str(tmp_path))["reason"]
    assert home.error(3, "keys", "remove", "0000000000000000")["message"]


def test_no_key_the_wrong_key_and_a_damaged_key_file_are_three_errors(home: Home) -> None:
    home.json("repo", "init")
    assert home.error(2, "repo", "list", BACKUP_ENCRYPTION_KEY=None)["code"] == "HF-201"
    assert home.error(2, "repo", "list", BACKUP_ENCRYPTION_KEY=ANOTHER_KEY)["code"] == "HF-202"
    (key_file,) = (home.path / "repository" / "keys").iterdir()
    key_file.write_bytes(key_file.read_bytes()[:-20])
    assert home.error(5, "repo", "list")["code"] == "HF-501"
    assert KEY not in str(home.run("repo", "list", "--verbose"))


def test_a_repository_without_encryption_has_no_keys_and_says_so(home: Home) -> None:
    home.settings = {"BACKUP_ENABLE_ENCRYPTION": "false"}
    assert home.json("repo", "init")["encrypted"] is False
    assert home.json("keys", "list") == []
    assert home.error(2, "keys", "add", stdin=ANOTHER_KEY + "\n")["reason"]


def test_a_repository_in_the_other_encryption_state_is_never_written_to(home: Home) -> None:
    home.json("repo", "init")
    error = home.error(2, "init", BACKUP_ENABLE_ENCRYPTION="false")
    assert "BACKUP_ENABLE_ENCRYPTION" in error["message"]
    assert home.json("repo", "list", BACKUP_ENABLE_ENCRYPTION="false") == []
