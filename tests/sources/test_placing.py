"""A restored folder takes its place whole or not at all, and the former one comes back."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from holdfast.errors import (
    BusyError,
    NotFoundError,
)
from holdfast.sources import placing
from holdfast.sources.placing import roll_back
from holdfast.sources.staging import FolderRestore
from tests.sources.files import seen
from tests.sources.restored_folder import JOB, NEW, live

__all__ = ["live"]


def test_promoting_keeps_the_former_folder_and_rolling_back_brings_it_back(tmp_path: Path, live: Path) -> None:
    before = seen(live)
    restore = NEW.restore(live, "promote")
    assert (live / "a.ts").read_bytes() == b"new"
    assert stat.S_IMODE(live.stat().st_mode) == 0o750
    assert restore.kept is not None
    assert restore.kept.name.startswith("live_before_2")
    assert seen(restore.kept) == before
    undone = roll_back(live, restore.kept)
    assert seen(live) == before
    assert (undone / "a.ts").read_bytes() == b"new"
    assert undone.name.startswith("live_undone_2")
    assert sorted(tmp_path.iterdir()) == sorted([live, undone])


def test_where_names_can_not_be_exchanged_two_renames_do_the_same(
    tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "_EXCHANGE", 1 << 20)  # a flag that no kernel knows, so it says that it can't
    before = seen(live)
    restore = NEW.restore(live, "promote")
    assert restore.kept is not None
    assert seen(restore.kept) == before
    assert (live / "a.ts").read_bytes() == b"new"
    roll_back(live, restore.kept)
    assert seen(live) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_promoting_to_a_folder_that_is_not_there_makes_it_and_rolling_back_takes_it_away(tmp_path: Path) -> None:
    restore = NEW.restore(tmp_path / "live", "promote")
    assert restore.kept is None
    undone = roll_back(tmp_path / "live", None)
    assert list(tmp_path.iterdir()) == [undone]


def test_a_former_folder_comes_back_also_where_the_restored_one_was_removed(tmp_path: Path, live: Path) -> None:
    before = seen(live)
    kept = NEW.restore(live, "promote").kept
    live.rename(tmp_path / "elsewhere")
    assert not roll_back(live, kept).exists()
    assert seen(live) == before


def test_a_roll_back_to_a_folder_that_is_gone_changes_nothing(tmp_path: Path, live: Path) -> None:
    with pytest.raises(NotFoundError, match="can't be rolled back"):
        roll_back(live, tmp_path / "live_before_nothing")
    assert (live / "a.ts").read_bytes() == b"old"


def test_several_promotions_within_a_second_keep_all_former_folders(tmp_path: Path, live: Path) -> None:
    kept = {NEW.restore(live, "promote").kept for _ in range(3)}
    assert len(kept) == 3
    assert None not in kept


def test_leaving_before_the_end_leaves_nothing_and_the_target_as_it_was(tmp_path: Path, live: Path) -> None:
    for target in (live, tmp_path / "not there"):
        with FolderRestore(target, "promote", job_id=JOB) as restore:
            NEW.extract_to(restore)
            assert stat.S_IMODE(restore.folder.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == [live]
    assert (live / "a.ts").read_bytes() == b"old"


def test_of_two_restores_to_one_folder_the_second_is_told_so_and_others_are_not(tmp_path: Path) -> None:
    with FolderRestore(tmp_path / "target", "new", job_id="restore_1") as first:
        with (
            pytest.raises(BusyError, match=r"another restore to .*target is under way"),
            FolderRestore(tmp_path / "target", "new", job_id="restore_2"),
        ):
            pass
        with FolderRestore(tmp_path / "targe", "new", job_id="restore_3"):
            pass
        NEW.extract_to(first)
        first.take_place()
    assert os.listdir(tmp_path) == ["target"]  # noqa: PTH208


def test_what_a_killed_restore_left_is_removed_by_the_next_one_to_the_same_target(tmp_path: Path, live: Path) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from holdfast.sources.staging import FolderRestore

        for name in ("live", "elsewhere"):
            restore = FolderRestore(Path({str(tmp_path)!r}) / name, "promote", job_id="restore_dead").__enter__()
            restore.write("half", b"x", 0o600)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    mine = tmp_path / ".live.holdfast-looks like one"
    mine.mkdir()
    assert (tmp_path / ".live.holdfast-restore_dead" / "half").exists()
    NEW.restore(live, "promote")
    assert not (tmp_path / ".live.holdfast-restore_dead").exists()
    assert (tmp_path / ".elsewhere.holdfast-restore_dead" / "half").exists()
    assert mine.exists()


def test_a_long_name_can_be_restored_to(tmp_path: Path) -> None:
    target = tmp_path / ("ü" * 127)
    assert NEW.restore(target).kept is None
    kept = NEW.restore(target, "promote").kept
    assert kept is not None
    assert kept.exists()


def test_the_live_folder_is_whole_wherever_its_replacement_is_killed(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from holdfast.sources import placing
        from tests.repository.dying import die_before_each_step
        from tests.sources.restored_folder import NEW

        def prepare(folder, _=None):
            (folder / "live").mkdir(parents=True)
            (folder / "live" / "a.ts").write_bytes(b"old")

        def work(folder, steps):
            def mortal(call):
                def run(*args, **kwargs):
                    nonlocal steps
                    if steps is not None:
                        steps -= 1
                        if steps < 0:
                            os.kill(os.getpid(), signal.SIGKILL)
                    return call(*args, **kwargs)
                return run

            for owner, name in ((Path, "rename"), (Path, "mkdir"), (placing, "_exchange_at_once"), (placing, "sync_path")):
                setattr(owner, name, mortal(getattr(owner, name)))
            NEW.restore(folder / "live", "promote")

        def look(folder, _=None):
            live = folder / "live"
            now = {str(path.relative_to(live)): path.read_bytes() for path in live.rglob("*.ts")}
            assert now in ({"a.ts": b"old"}, {"a.ts": b"new", "b/c.ts": b"new"}), now
            NEW.restore(live, "promote")
            names = sorted(path.name for path in folder.iterdir())
            assert not [name for name in names if name.startswith(".")], names
            assert b"old" in [(folder / name / "a.ts").read_bytes() for name in names if name != "live"], names

        print(die_before_each_step(prepare, work, look, Path(sys.argv[1])))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 8
