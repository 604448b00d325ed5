"""A restored folder holds what was backed up, or says how it differs, and nothing is written anywhere else."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import (
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
from holdfast.sources.files import FileRecord, SourceFile
from holdfast.sources.staging import FolderRestore
from holdfast.sources.tar import TarStream
from holdfast.sources.tree import walk
from holdfast.storage import LocalStorage
from tests.repository.making import one_bit_off
from tests.sources.files import make_tree, seen
from tests.sources.restored_folder import JOB, NEW, Backup, file_of, link_of, live

__all__ = ["live"]


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
    evil = Backup([link_of("out", "../outside"), file_of(path)])
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
        restore.extract(*_tar_of(link_of("a", "../victim")))
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
    backup = Backup([file_of("run", mode=0o4755), SourceFile("shared", "folder", 0o2775), SourceFile("tmp", "folder", 0o1777)])
    restore = backup.restore(tmp_path / "target")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "target").iterdir()}
    assert modes == {"run": 0o755, "shared": 0o775, "tmp": 0o1777}
    assert [note.partition(":")[0] for note in restore.notes] == ["run", "shared"]


def test_each_way_in_which_a_restored_folder_can_differ_is_said(tmp_path: Path) -> None:
    names = ["fine", "content", "size", "mode", "missing", "kind"]
    backup = Backup([*[file_of(name, b"12345") for name in names], link_of("link", "a"), SourceFile("folder", "folder", 0o755)])
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
    hello = Backup([SourceFile("functions/hello", "folder", 0o755), file_of("functions/hello/index.ts", b"restored")])
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
    Backup([file_of("functions/hello/index.ts")]).restore(tmp_path / "target")
    assert stat.S_IMODE((tmp_path / "target" / "functions").stat().st_mode) == 0o755


def test_parts_may_be_extracted_by_several_threads_at_once(tmp_path: Path) -> None:
    parts = [Backup([file_of(f"functions/f{part}/{file}.ts") for file in range(30)]) for part in range(8)]
    with FolderRestore(tmp_path / "target", "new", job_id=JOB) as restore:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda part: part.extract_to(restore), parts))
        assert restore.check([record for part in parts for record in part.records]) == []


def test_a_full_disk_is_said_and_leaves_the_target_and_nothing_else(tmp_path: Path) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from holdfast.errors import WorkFailedError
        from holdfast.sources.files import SourceFile
        from holdfast.sources.staging import FolderRestore
        from tests.sources.restored_folder import Backup, NEW

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
