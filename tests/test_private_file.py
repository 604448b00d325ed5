"""What Holdfast keeps in its home is for its owner only, down to the folders, and never written through a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from holdfast.private_file import write_private


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_read_it_or_list_where_it_lies(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "kept" / "recovery_1" / "note.json", b"{}")
    finally:
        os.umask(before)
    made = [tmp_path / "kept", tmp_path / "kept/recovery_1", tmp_path / "kept/recovery_1/note.json"]
    assert [oct(_mode(one)) for one in made] == ["0o700", "0o700", "0o600"]


def test_a_link_in_its_place_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("of somebody else")
    (tmp_path / "note.json").symlink_to(tmp_path / "elsewhere")
    write_private(tmp_path / "note.json", b"ours")
    assert (tmp_path / "elsewhere").read_text() == "of somebody else"
    assert (tmp_path / "note.json").read_bytes() == b"ours"
    assert not (tmp_path / "note.json").is_symlink()


def test_where_it_can_not_be_written_the_former_one_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_private(tmp_path / "note.json", b"former")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    with pytest.raises(OSError, match="folder"):
        write_private(tmp_path / "folder", b"new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "note.json"]
