"""What goes into a tar comes out of it: by GNU tar, and by us; what can't be read is named, and what is damaged is noticed."""

from __future__ import annotations

import hashlib
import io
import os
import random
import socket
import subprocess
import sys
import tarfile
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import DamagedError, SourceFailedError, UnsafePathError
from holdfast.sources.contract import LeftOut
from holdfast.sources.files import FileRecord, SourceFile
from holdfast.sources.tar import TarStream, read_tar
from holdfast.sources.tree import walk
from tests.sources.files import make_tree, seen


def _tar(*files: SourceFile) -> bytes:
    left_out: list[LeftOut] = []
    data = TarStream(files, left_out).readall()
    assert left_out == []
    return data


def _left_out(*files: SourceFile) -> tuple[list[FileRecord], list[str]]:
    left_out: list[LeftOut] = []
    stream = TarStream(files, left_out)
    stream.readall()
    return stream.records, [str(one) for one in left_out]


def _read_all(data: bytes) -> list[tuple[SourceFile, bytes | None]]:
    return [(file, None if content is None else content.read()) for file, content in read_tar(io.BytesIO(data))]


def _file(name: str, path: Path) -> SourceFile:
    return SourceFile(name, "file", 0o644, content=path)


def test_gnu_tar_unpacks_every_name_mode_time_and_link(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "source")
    (tmp_path / "by-tar").mkdir()
    done = subprocess.run(
        ["tar", "-xp", "-C", str(tmp_path / "by-tar")], input=_tar(*walk(source)), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert seen(tmp_path / "by-tar") == seen(source)


def test_what_is_remembered_of_each_file_is_what_was_stored(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "source")
    stream = TarStream(walk(source), [])
    come_back = _read_all(stream.readall())
    assert len(stream.records) == len(seen(source))
    for record, (file, data) in zip(stream.records, come_back, strict=True):
        assert (record.path, record.kind, record.mode, record.link_target) == (file.path, file.kind, file.mode, file.link_target)
        assert record.size_bytes == len(data or b"")
        assert record.sha256 == (None if data is None else hashlib.sha256(data).hexdigest())
        assert file.modified_ns == (source / file.path).lstat().st_mtime_ns
        assert FileRecord.from_json(record.to_json()) == record


def test_the_same_folder_gives_the_same_bytes_however_it_is_read(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "source")
    first = _tar(*walk(source))
    stream = TarStream(walk(source), [])
    buffer = bytearray(70_001)
    parts = []
    while count := stream.readinto(buffer):
        parts.append(bytes(buffer[:count]))
    assert b"".join(parts) == first


def test_a_document_that_is_on_no_disk_is_a_file_like_any_other() -> None:
    data = _tar(SourceFile("made/up.json", "file", 0o600, 5_500_000_000, content=b"{}"))
    assert _read_all(data) == [(SourceFile("made/up.json", "file", 0o600, 5_500_000_000), b"{}")]


_NAMES = st.lists(
    st.binary(min_size=1, max_size=200).filter(lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..")),
    min_size=1,
    max_size=4,
).map(lambda parts: os.fsdecode(b"/".join(parts)))


@given(
    path=_NAMES,
    target=_NAMES,
    content=st.binary(max_size=1500),
    mode=st.integers(0, 0o7777),
    modified_ns=st.integers(-(2**62), 2**62),
)
@settings(max_examples=200, deadline=None)
def test_any_name_any_time_and_any_content_come_back(path: str, target: str, content: bytes, mode: int, modified_ns: int) -> None:
    file = SourceFile(path, "file", mode, modified_ns, content=content)
    link = SourceFile(path + "-link", "link", 0o777, modified_ns, link_target=target)
    folder = SourceFile(path + "-folder", "folder", mode, modified_ns)
    come_back = _read_all(_tar(file, link, folder))
    assert come_back == [(SourceFile(path, "file", mode, modified_ns), content), (link, None), (folder, None)]


def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(128 << 20)
    script = f"""
        import resource
        from pathlib import Path
        from holdfast.sources.files import SourceFile
        from holdfast.sources.tar import TarStream, read_tar

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stream = TarStream([SourceFile("large", "file", 0o644, content=Path({str(large)!r}))], [])
        size = 0
        for file, content in read_tar(stream):
            while block := content.read(1 << 20):
                size += len(block)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(size == 128 << 20, grown_kib < 40_000, stream.records[0].size_bytes == size)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.stdout == "True True True\n", done.stderr


def test_a_file_that_never_stands_still_is_left_out_by_name_and_the_others_are_kept(tmp_path: Path) -> None:
    (tmp_path / "calm").write_bytes(b"calm")
    restless = Path("/proc/self/status")  # says that it holds nothing, and then holds something, always
    records, left_out = _left_out(_file("restless", restless), _file("calm", tmp_path / "calm"))
    assert left_out == ["restless: it changed while it was read, 5 times"]
    assert [record.path for record in records] == ["calm"]


def test_a_file_that_is_replaced_again_and_again_is_never_a_mix_of_two_versions(tmp_path: Path) -> None:
    path = tmp_path / "config"
    versions = [bytes([number]) * 3_000_000 for number in range(2)]
    path.write_bytes(versions[0])
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.wait(0.05):
            number ^= 1
            path.write_bytes(versions[number])  # in place: it is short for a moment, and half new

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            data = TarStream([_file("config", path)], []).readall()
            assert all(len(set(content or b"")) <= 1 for _, content in _read_all(data))
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "it is not there any more"),
        (lambda path: path.mkdir(), "it is a folder"),
        (os.mkfifo, "it is a pipe"),
        (lambda path: path.symlink_to("/etc/passwd"), "a link has taken its place"),
    ],
    ids=["nothing", "folder", "pipe", "link"],
)
def test_what_is_no_file_any_more_when_it_is_read_is_left_out_by_name(tmp_path: Path, make: object, reason: str) -> None:
    make(tmp_path / "odd")  # type: ignore[operator]
    (tmp_path / "good").write_bytes(b"good")
    records, left_out = _left_out(_file("odd", tmp_path / "odd"), _file("good", tmp_path / "good"))
    assert left_out == [f"odd: {reason}"]
    assert [record.path for record in records] == ["good"]


def test_a_device_and_a_file_that_the_disk_does_not_give_are_left_out_by_name() -> None:
    records, left_out = _left_out(_file("nothing", Path("/dev/null")), _file("memory", Path("/proc/self/mem")))
    assert records == []
    assert left_out == ["nothing: it is a device", "memory: Input/output error"]


def test_a_file_that_may_not_be_read_is_left_out_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "for-all"
    folder.mkdir(mode=0o755)
    (folder / "secret").write_bytes(b"s")
    (folder / "secret").chmod(0)
    handle = os.open(folder, os.O_RDONLY)
    script = f"""
        import os
        from pathlib import Path
        from holdfast.sources.files import SourceFile
        from holdfast.sources.tar import TarStream
        from holdfast.sources.tree import walk

        os.fchdir({handle})
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        left_out = []
        stream = TarStream(walk(Path(".")), left_out)
        stream.readall()
        print(stream.records, [str(one) for one in left_out])
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, pass_fds=[handle]
        )
    finally:
        os.close(handle)
    assert done.stdout == "[] ['secret: this user may not read it']\n", done.stderr


def test_a_full_temporary_folder_is_said_and_not_taken_for_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(6 << 20))
    (tmp_path / "full").mkdir()
    script = """
        import sys
        from pathlib import Path
        from holdfast.errors import WorkFailedError
        from holdfast.sources.files import SourceFile
        from holdfast.sources.tar import TarStream

        left_out = []
        try:
            TarStream([SourceFile("large", "file", 0o644, content=Path(sys.argv[1]))], left_out).readall()
        except WorkFailedError as error:
            print(type(error).__name__, error.reason, "TMPDIR" in str(error), left_out)
    """
    as_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    full = tmp_path / "full"
    command = (
        f'mount -t tmpfs -o size=2m tmpfs "{full}" && TMPDIR="{full}" "{sys.executable}" -W error -c "$0" "{tmp_path / "large"}"'
    )
    done = subprocess.run(
        ["unshare", "--mount", *as_user, "sh", "-c", command, textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "WorkFailedError No space left on device True []\n", done.stderr


def test_names_that_no_text_can_hold_are_shown_so_that_a_person_can_read_them(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    _, left_out = _left_out(_file(name, tmp_path / name))
    assert left_out == [r"caf\xe9: it is not there any more"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", "a//b", "", ".", "a/.", "a/", "nul\0"])
def test_a_path_that_would_leave_its_folder_is_refused_on_both_ways(path: str) -> None:
    with pytest.raises(UnsafePathError):
        _tar(SourceFile(path, "file", 0o644, content=b""))
    if path.rstrip("/") in ("", "a") or "\0" in path:
        return  # a tar can't say it
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo(path))
    with pytest.raises(UnsafePathError, match="no path within a folder"):
        _read_all(buffer.getvalue())


def test_a_source_that_names_a_file_twice_is_refused() -> None:
    with pytest.raises(SourceFailedError, match=r"a\.ts can't be stored: the source names it twice"):
        _tar(*[SourceFile("a.ts", "file", 0o644, content=b"")] * 2)


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_what_no_backup_holds_is_not_taken(kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("odd")
        info.type, info.linkname = kind, "x"
        tar.addfile(info)
    with pytest.raises(DamagedError, match="odd"):
        _read_all(buffer.getvalue())


def test_a_tar_that_is_cut_short_anywhere_is_damaged() -> None:
    data = _tar(SourceFile("a", "file", 0o644, content=b"a" * 700), SourceFile("n" * 300, "file", 0o644, 1, content=b"b" * 5))
    for length in range(0, len(data) - 1024, 64):
        with pytest.raises(DamagedError):
            _read_all(data[:length])


def test_a_damaged_header_is_never_taken_for_the_end() -> None:
    data = _tar(SourceFile("a", "file", 0o644, content=b"a" * 700), SourceFile("b", "file", 0o644, content=b"b"))
    damaged = bytearray(data)
    damaged[512 + 1024 + 3] ^= 1  # in the second header
    with pytest.raises(DamagedError):
        _read_all(bytes(damaged))


def test_noise_is_damaged_and_nothing_worse() -> None:
    rng = random.Random(1)
    data = _tar(SourceFile("a", "file", 0o644, 1, content=b"a" * 700), SourceFile("ü" * 90, "link", 0o777, link_target="x" * 200))
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 8)):
            damaged[rng.randrange(len(data) - 1024)] = rng.randrange(256)
        with suppress(DamagedError, UnsafePathError):
            _read_all(bytes(damaged))


def test_a_stream_is_read_to_its_end_for_there_it_proves_itself() -> None:
    stream = io.BytesIO(_tar(SourceFile("a", "file", 0o644, content=b"a")) + bytes(100_000))
    list(read_tar(stream))
    assert stream.read() == b""


def test_a_socket_in_a_folder_is_left_out_by_name(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        handle = os.open(tmp_path, os.O_RDONLY)
        try:
            listening.bind(f"/proc/self/fd/{handle}/s")
        finally:
            os.close(handle)
        left_out: list[LeftOut] = []
        assert list(walk(tmp_path, left_out=left_out)) == []
    assert [str(one) for one in left_out] == ["s: it is a socket"]
