"""A restored folder takes its place whole or not at all, holds what was backed up, and never touches anything else."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import (
    BusyError,
    DamagedError,
    HoldfastError,
    NotFoundError,
    RefusedError,
    SettingsError,
    SourceDeniedError,
    TargetNotEmptyError,
    UnsafePathError,
)
from holdfast.repository import Compression, Repository, UserKey
from holdfast.sources import placing
from holdfast.sources.files import FileRecord, SourceFile
from holdfast.sources.placing import roll_back
from holdfast.sources.staging import FolderRestore
from holdfast.sources.tar import TarStream
from holdfast.sources.tree import walk
from holdfast.storage import LocalStorage
from tests.repository.making import one_bit_off
from tests.sources.files import make_tree, seen

JOB = "restore_1_abc"


class Backup:
    """What a backup of some files holds."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        stream = TarStream(files, [])
        self.data = stream.readall()
        self.records = stream.records

    def extract_to(self, restore: FolderRestore) -> None:
        restore.extract(io.BytesIO(self.data), self.records)

    def restore(self, target: Path, mode: str = "new") -> FolderRestore:
        with FolderRestore(target, mode, job_id=JOB) as restore:  # type: ignore[arg-type]
            self.extract_to(restore)
            assert restore.check(self.records) == []
            restore.take_place()
        return restore


def _file(path: str, data: bytes = b"x", mode: int = 0o644) -> SourceFile:
    return SourceFile(path, "file", mode, content=data)


def _link(path: str, target: str) -> SourceFile:
    return SourceFile(path, "link", 0o777, link_target=target)


NEW = Backup([_file("a.ts", b"new"), SourceFile("b", "folder", 0o755), _file("b/c.ts", b"new")])


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A folder that is in use."""
    path = tmp_path / "live"
    path.mkdir(mode=0o750)
    (path / "a.ts").write_bytes(b"old")
    return path


def test_everything_comes_back_as_it_was_names_modes_times_links_and_all(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "source")
    Backup(walk(source)).restore(tmp_path / "target")
    assert seen(tmp_path / "target") == seen(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_a_folder_that_went_through_a_repository_comes_back_and_one_that_was_damaged_there_does_not(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "source")
    storage = LocalStorage(tmp_path / "repository")
    repository = Repository.create(storage, key=UserKey.parse("11" * 32))
    stream = TarStream(walk(source), [])
    with repository.lease("backup") as lease, repository.writer(lease, compression=Compression("zstd")) as writer:
        entry = writer.store("files", "tar", stream)
    with FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore, repository.open_entry(entry) as stored:
        restore.extract(stored, stream.records)
        assert restore.check(stream.records) == []
        restore.take_place()
    assert seen(tmp_path / "target") == seen(source)
    chunks = sorted(storage.list("chunks"), key=lambda one: one.size_bytes)
    storage.put(chunks[-1].name, one_bit_off(storage.get(chunks[-1].name)), replace=True)
    other = FolderRestore(tmp_path / "other", "new", job_id=JOB)
    with other, repository.open_entry(entry) as stored, pytest.raises(DamagedError):
        other.extract(stored, stream.records)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repository", "source", "target"]


def test_an_empty_folder_may_be_restored_into(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    NEW.restore(tmp_path / "target")
    assert (tmp_path / "target" / "b" / "c.ts").read_bytes() == b"new"


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


def test_a_folder_that_holds_something_is_not_restored_into(tmp_path: Path, live: Path) -> None:
    with pytest.raises(TargetNotEmptyError, match="exists and is not empty"), FolderRestore(live, "new", job_id=JOB):
        pass
    (tmp_path / "file").touch()
    for mode in ("new", "promote"):
        with pytest.raises(TargetNotEmptyError, match="is no folder"):
            FolderRestore(tmp_path / "file", mode, job_id=JOB).preflight()  # type: ignore[arg-type]


def test_a_target_that_something_came_into_meanwhile_is_not_taken(tmp_path: Path) -> None:
    with FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore:
        NEW.extract_to(restore)
        (tmp_path / "target").mkdir()
        (tmp_path / "target" / "precious").touch()
        with pytest.raises(TargetNotEmptyError):
            restore.take_place()
    assert os.listdir(tmp_path / "target") == ["precious"]  # noqa: PTH208
    assert os.listdir(tmp_path) == ["target"]  # noqa: PTH208


def test_a_target_that_can_not_be_is_refused_with_its_reason(tmp_path: Path, live: Path) -> None:
    (tmp_path / "link").symlink_to(live)
    with pytest.raises(RefusedError, match="is a link"):
        FolderRestore(tmp_path / "link", "promote", job_id=JOB).preflight()
    with pytest.raises(NotFoundError, match=r"there is no folder .*missing"):
        FolderRestore(tmp_path / "missing" / "target", "new", job_id=JOB).preflight()
    with pytest.raises(NotFoundError):
        FolderRestore(live / "a.ts" / "target", "new", job_id=JOB).preflight()
    with pytest.raises(RefusedError, match="mount point"):
        FolderRestore(Path("/proc"), "promote", job_id=JOB).preflight()
    with pytest.raises(RefusedError):
        FolderRestore(Path("/"), "promote", job_id=JOB)
    with pytest.raises(SettingsError):
        FolderRestore(tmp_path / "target", "new", job_id="../up")


def test_a_place_that_may_not_be_written_to_is_refused_before_anything_is_read() -> None:
    with pytest.raises(SourceDeniedError, match="may not write there"):
        FolderRestore(Path("/proc/self/target"), "new", job_id=JOB).preflight()


def test_a_parent_that_is_a_link_is_where_it_leads_however_it_is_turned_meanwhile(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("one")
    with FolderRestore(tmp_path / "current" / "target", "new", job_id=JOB) as restore:
        NEW.extract_to(restore)
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to("two")
        restore.take_place()
    assert (tmp_path / "one" / "target" / "a.ts").exists()
    assert list((tmp_path / "two").iterdir()) == []


@pytest.mark.parametrize("path", ["out/file", "out/deeper/file"])
def test_a_link_in_a_backup_never_leads_a_later_file_out_of_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside").mkdir()
    evil = Backup([_link("out", "../outside"), _file(path)])
    with FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore:
        with pytest.raises(UnsafePathError, match="out is a link"):
            evil.extract_to(restore)
        with pytest.raises(UnsafePathError, match="out is a link"):
            restore.write(path, b"x", 0o600)
        with pytest.raises(UnsafePathError):
            restore.write("../outside/file", b"x", 0o600)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_file_is_never_written_over_a_link_or_twice(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"safe")
    with FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore:
        restore.extract(*_tar_of(_link("a", "../victim")))
        with pytest.raises(DamagedError, match="a comes twice"):
            restore.write("a", b"x", 0o600)
        with pytest.raises(UnsafePathError):
            restore.extract(*_tar_of(SourceFile("a", "folder", 0o755)))
    assert (tmp_path / "victim").read_bytes() == b"safe"


def _tar_of(*files: SourceFile) -> tuple[io.BytesIO, list[FileRecord]]:
    backup = Backup(files)
    return io.BytesIO(backup.data), backup.records


def test_a_path_out_of_the_folder_in_a_tar_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../escaped"))
    buffer.seek(0)
    with pytest.raises(UnsafePathError), FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore:
        restore.extract(buffer, [])
    assert list(tmp_path.iterdir()) == []


def test_a_tar_that_holds_other_files_than_the_truth_says_is_damaged(tmp_path: Path) -> None:
    for records in (NEW.records[1:], [*NEW.records, NEW.records[0]], NEW.records[::-1]):
        with (
            pytest.raises(DamagedError, match="the files that the truth names"),
            FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore,
        ):
            restore.extract(io.BytesIO(NEW.data), records)


def test_rights_of_another_user_are_not_restored_and_that_is_said(tmp_path: Path) -> None:
    backup = Backup([_file("run", mode=0o4755), SourceFile("shared", "folder", 0o2775), SourceFile("tmp", "folder", 0o1777)])
    restore = backup.restore(tmp_path / "target")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "target").iterdir()}
    assert modes == {"run": 0o755, "shared": 0o775, "tmp": 0o1777}
    assert [note.partition(":")[0] for note in restore.notes] == ["run", "shared"]


def test_each_way_in_which_a_restored_folder_can_differ_is_said(tmp_path: Path) -> None:
    names = ["fine", "content", "size", "mode", "missing", "kind"]
    backup = Backup([*[_file(name, b"12345") for name in names], _link("link", "a"), SourceFile("folder", "folder", 0o755)])
    with FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore:
        backup.extract_to(restore)
        place = restore.folder
        (place / "content").write_bytes(b"1234X")
        (place / "size").write_bytes(b"1234")
        (place / "mode").chmod(0o600)
        (place / "missing").unlink()
        (place / "kind").unlink()
        (place / "kind").mkdir()
        (place / "link").unlink()
        (place / "link").symlink_to("b")
        (place / "folder" / "extra").touch()
        assert sorted(restore.check(backup.records)) == [
            "content: its content is another",
            "folder/extra: it is there, and was not backed up",
            "kind: it is a folder, and was a file",
            "link: it leads elsewhere",
            "missing: it is missing",
            "mode: its mode is 600, and should be 644",
            "size: it has 4 bytes, and had 5",
        ]


def test_one_function_alone_is_restored_and_all_else_of_the_live_folder_stays(tmp_path: Path) -> None:
    live = tmp_path / "live"
    for name in ("hello", "other"):
        (live / "functions" / name).mkdir(parents=True)
        (live / "functions" / name / "index.ts").write_bytes(b"old")
    (live / "functions" / "hello" / "gone.ts").touch()
    other = (live / "functions" / "other" / "index.ts").stat()
    hello = Backup([SourceFile("functions/hello", "folder", 0o755), _file("functions/hello/index.ts", b"restored")])
    with FolderRestore(live, "promote", job_id=JOB) as restore:
        carried = restore.carry_over(lambda path: path == "functions/hello")
        hello.extract_to(restore)
        assert restore.check([*carried, *hello.records]) == []
        restore.take_place()
    assert sorted(os.fsdecode(path) for path in seen(live)) == [
        "functions",
        "functions/hello",
        "functions/hello/index.ts",
        "functions/other",
        "functions/other/index.ts",
    ]
    assert (live / "functions" / "hello" / "index.ts").read_bytes() == b"restored"
    assert (live / "functions" / "other" / "index.ts").stat().st_mtime_ns == other.st_mtime_ns


def test_a_part_alone_needs_no_record_of_the_folders_above_it(tmp_path: Path) -> None:
    Backup([_file("functions/hello/index.ts")]).restore(tmp_path / "target")
    assert stat.S_IMODE((tmp_path / "target" / "functions").stat().st_mode) == 0o755


def test_parts_may_be_extracted_by_several_threads_at_once(tmp_path: Path) -> None:
    parts = [Backup([_file(f"functions/f{part}/{file}.ts") for file in range(30)]) for part in range(8)]
    with FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda part: part.extract_to(restore), parts))
        assert restore.check([record for part in parts for record in part.records]) == []


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
        from tests.sources.test_staging import NEW

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


def test_a_full_disk_is_said_and_leaves_the_target_and_nothing_else(tmp_path: Path) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from holdfast.errors import WorkFailedError
        from holdfast.sources.files import SourceFile
        from holdfast.sources.staging import FolderRestore
        from tests.sources.test_staging import Backup, NEW

        disk = Path(sys.argv[1])
        NEW.restore(disk / "live")
        large = Backup([SourceFile("large", "file", 0o644, content=os.urandom(6 << 20))])
        try:
            large.restore(disk / "live", "promote")
        except WorkFailedError as error:
            print("no space is left there" in str(error), [path.name for path in disk.iterdir()])
        print((disk / "live" / "a.ts").read_bytes())
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    as_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = f'mount -t tmpfs -o size=4m tmpfs "{disk}" && "{sys.executable}" -W error -c "$0" "{disk}"'
    done = subprocess.run(
        ["unshare", "--mount", *as_user, "sh", "-c", command, textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "True ['live']\nb'new'\n", done.stderr


def test_a_damaged_backup_leaves_nothing_behind(tmp_path: Path, live: Path) -> None:
    with pytest.raises(HoldfastError), FolderRestore(live, "promote", job_id=JOB) as restore:
        restore.extract(io.BytesIO(NEW.data[:1100]), NEW.records)
    assert list(tmp_path.iterdir()) == [live]
    assert (live / "a.ts").read_bytes() == b"old"
