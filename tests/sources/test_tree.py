"""A walk sees everything in a folder, in one order everywhere, and never leaves the folder."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, SourceFailedError
from holdfast.sources.contract import LeftOut
from holdfast.sources.tree import walk
from tests.sources.files import make_tree, seen


def _paths(root: Path, **options: object) -> list[str]:
    return [file.path for file in walk(root, **options)]  # type: ignore[arg-type]


def test_everything_in_a_folder_is_seen_once_and_a_folder_before_what_is_in_it(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree")
    paths = _paths(root)
    assert sorted(os.fsencode(path) for path in paths) == sorted(seen(root))
    assert all(paths.index(os.path.dirname(path)) < paths.index(path) for path in paths if "/" in path)  # noqa: PTH120


def test_the_order_is_that_of_the_names_bytes(tmp_path: Path) -> None:
    for name in (b"b", b"a", b"B", b"\xff", b"\xc3\xa9", b"a.txt"):
        (tmp_path / os.fsdecode(name)).mkdir()
    (tmp_path / "a" / "z").touch()
    assert [os.fsencode(path) for path in _paths(tmp_path)] == [b"B", b"a", b"a/z", b"a.txt", b"b", b"\xc3\xa9", b"\xff"]


def test_a_link_to_a_folder_is_a_link_and_what_is_behind_it_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "outside" / "inner").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "way-out").symlink_to("../outside")
    (tmp_path / "root" / "circle").symlink_to(".")
    found = list(walk(tmp_path / "root"))
    assert [(file.path, file.kind, file.link_target) for file in found] == [
        ("circle", "link", "."),
        ("way-out", "link", "../outside"),
    ]


def test_one_folder_of_several_can_be_seen_alone_and_some_things_passed_over(tmp_path: Path) -> None:
    for path in ("functions/a/x.ts", "functions/a/node_modules/y.js", "functions/b/z.ts"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert _paths(tmp_path, below="functions/a", leave=lambda path: path.endswith("node_modules")) == [
        "functions/a",
        "functions/a/x.ts",
    ]


def test_a_folder_that_is_not_there_or_is_none_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFoundError, match="nowhere can't be read: it is not there"):
        _paths(tmp_path / "nowhere", left_out=[])
    with pytest.raises(NotFoundError, match="file can't be read"):
        _paths(tmp_path / "file", left_out=[])


def test_without_a_list_for_it_nothing_is_left_out_in_silence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceFailedError, match="pipe can't be read: it is a pipe"):
        _paths(tmp_path)
    left_out: list[LeftOut] = []
    assert _paths(tmp_path, left_out=left_out) == []
    assert [str(one) for one in left_out] == ["pipe: it is a pipe"]


def test_a_folder_that_may_not_be_listed_is_left_out_by_name_and_the_others_are_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("closed", "open"):
        (root / name).mkdir(parents=True)
        (root / name / "file").touch()
    (root / "closed").chmod(0)
    handle = os.open(root, os.O_RDONLY)
    script = f"""
        import os
        from pathlib import Path
        from holdfast.sources.tree import walk

        os.fchdir({handle})
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        left_out = []
        print([file.path for file in walk(Path("."), left_out=left_out)], [str(one) for one in left_out])
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, pass_fds=[handle]
        )
    finally:
        os.close(handle)
        (root / "closed").chmod(0o700)
    assert done.stdout == "['open', 'open/file'] ['closed: this user may not read it']\n", done.stderr
