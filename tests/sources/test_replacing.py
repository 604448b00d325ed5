"""A file that is replaced is never half there, and all that was replaced can be undone, wherever the work was cut off."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import BusyError, DamagedError, NotFoundError, RefusedError, WorkFailedError
from holdfast.sources.replacing import replace_file, replace_link, roll_back
from tests.sources.files import seen


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A folder with configuration in use."""
    path = tmp_path / "etc"
    path.mkdir()
    (path / "app.toml").write_bytes(b"old")
    (path / "app.toml").chmod(0o640)
    os.utime(path / "app.toml", ns=(1, 1_500_000_000_000_000_001))
    (path / "link").symlink_to("app.toml")
    return path


@pytest.fixture
def keep_in(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "restore_1"


def test_a_file_is_replaced_and_the_former_one_is_kept_as_it_was(live: Path, keep_in: Path) -> None:
    kept = replace_file(live / "app.toml", b"new", 0o600, keep_in=keep_in)
    assert (live / "app.toml").read_bytes() == b"new"
    assert stat.S_IMODE((live / "app.toml").stat().st_mode) == 0o600
    assert kept is not None
    assert kept.parent == keep_in
    assert (kept.read_bytes(), stat.S_IMODE(kept.stat().st_mode), kept.stat().st_mtime_ns) == (
        b"old",
        0o640,
        1_500_000_000_000_000_001,
    )
    assert stat.S_IMODE(keep_in.stat().st_mode) == 0o700
    assert len(list(live.iterdir())) == 2


def test_all_that_was_replaced_or_made_is_undone_at_once(live: Path, keep_in: Path) -> None:
    odd = os.fsdecode(b"caf\xe9\n" + b"n" * 240)
    (live / odd).write_bytes(b"odd")
    before = seen(live)
    replace_file(live / "app.toml", io.BytesIO(b"x" * 3_000_000), 0o644, keep_in=keep_in)
    replace_file(live / "app.toml", b"twice", 0o600, keep_in=keep_in)
    replace_link(live / "link", "elsewhere", keep_in=keep_in)
    replace_file(live / odd, b"new", 0o644, keep_in=keep_in)
    assert replace_file(live / "conf.d" / "deep" / "new.toml", b"made", 0o644, keep_in=keep_in) is None
    assert replace_link(live / "other link", "app.toml", keep_in=keep_in) is None
    assert (live / "conf.d" / "deep" / "new.toml").read_bytes() == b"made"
    undone = roll_back(keep_in)
    assert seen(live) == before
    assert len(undone) == 6
    assert roll_back(keep_in) == []


def test_what_came_after_the_restore_is_not_lost_by_the_roll_back(live: Path, keep_in: Path) -> None:
    replace_file(live / "app.toml", b"restored", 0o644, keep_in=keep_in)
    replace_file(live / "made" / "new.toml", b"restored", 0o644, keep_in=keep_in)
    (live / "app.toml").write_bytes(b"edited since")
    (live / "made" / "new.toml").write_bytes(b"edited, too")
    (live / "made" / "another's").touch()
    roll_back(keep_in)
    assert (live / "app.toml").read_bytes() == b"old"
    assert [path.name for path in (live / "made").iterdir()] == ["another's"]
    undone = [path.read_bytes() for path in keep_in.iterdir() if path.suffix == ".undone"]
    assert sorted(undone) == [b"edited since", b"edited, too"]


def test_nothing_is_written_through_a_link_or_over_a_folder(live: Path, keep_in: Path) -> None:
    (live / "folder").mkdir()
    os.mkfifo(live / "pipe")
    before = seen_links(live)
    with pytest.raises(RefusedError, match="link is a link, and the backup has a file"):
        replace_file(live / "link", b"x", 0o644, keep_in=keep_in)
    for name in ("folder", "pipe"):
        with pytest.raises(RefusedError, match="in the way"):
            replace_file(live / name, b"x", 0o644, keep_in=keep_in)
    with pytest.raises(WorkFailedError, match="Not a directory"):
        replace_file(live / "app.toml" / "below", b"x", 0o644, keep_in=keep_in)
    assert seen_links(live) == before
    assert (live / "app.toml").read_bytes() == b"old"


def seen_links(folder: Path) -> list[tuple[str, int]]:
    return sorted((path.name, path.lstat().st_ino) for path in folder.iterdir())


def test_a_file_that_another_changes_meanwhile_is_not_replaced_nor_rolled_back(live: Path, keep_in: Path) -> None:
    class Slow(io.BytesIO):
        """Content that takes its time, in which another writes the file."""

        def read(self, size: int | None = -1) -> bytes:
            (live / "app.toml").write_bytes(b"another's")
            return super().read(size)

    with pytest.raises(BusyError, match="another changed it"):
        replace_file(live / "app.toml", Slow(b"new"), 0o644, keep_in=keep_in)
    assert roll_back(keep_in) == []
    assert (live / "app.toml").read_bytes() == b"another's"
    assert len(list(live.iterdir())) == 2


def test_a_source_that_fails_half_way_leaves_the_file_as_it_was(live: Path, keep_in: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise DamagedError("an entry is damaged")
            return super().read(5)

    before = seen(live)
    with pytest.raises(DamagedError):
        replace_file(live / "app.toml", Failing(b"0123456789"), 0o644, keep_in=keep_in)
    with pytest.raises(DamagedError):
        replace_file(live / "new" / "app.toml", Failing(b"0123456789"), 0o644, keep_in=keep_in)
    roll_back(keep_in)
    assert seen(live) == before


def test_rights_of_another_user_are_not_given_and_the_owner_stays(live: Path, keep_in: Path) -> None:
    if os.geteuid() == 0:
        os.chown(live / "app.toml", 65534, 65534)
    owner = (live / "app.toml").stat().st_uid
    replace_file(live / "app.toml", b"new", 0o6755, keep_in=keep_in)
    found = (live / "app.toml").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (owner, 0o755)


def test_what_is_kept_on_another_file_system_comes_back_as_well(live: Path) -> None:
    other = Path("/dev/shm") / f"holdfast-{os.getpid()}-{live.stat().st_ino}"
    before = seen(live)
    try:
        replace_file(live / "app.toml", b"new", 0o600, keep_in=other)
        replace_link(live / "link", "x", keep_in=other)
        roll_back(other)
        assert seen(live) == before
    finally:
        for path in other.iterdir():
            path.unlink()
        other.rmdir()


def test_several_threads_may_replace_at_once(live: Path, keep_in: Path) -> None:
    before = seen(live)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda number: replace_file(live / f"d{number % 3}" / f"{number}", b"x", 0o644, keep_in=keep_in), range(24))
        )
    assert len(list(live.rglob("d*/*"))) == 24
    assert len(roll_back(keep_in)) == 24
    assert seen(live) == before


def test_a_roll_back_of_nothing_or_of_what_can_not_be_read_is_an_error(live: Path, keep_in: Path) -> None:
    with pytest.raises(NotFoundError):
        roll_back(keep_in)
    keep_in.mkdir(parents=True)
    with pytest.raises(NotFoundError, match=r"nothing in .* that a restore has replaced"):
        roll_back(keep_in)
    for text in ("", "{}", '{"schema": 2}', '{"schema": 1, "replaced": [{}]}'):
        (keep_in / "replaced.json").write_text(text)
        with pytest.raises(DamagedError, match=r"replaced\.json"):
            roll_back(keep_in)


def test_where_one_former_file_is_lost_the_others_still_come_back(live: Path, keep_in: Path) -> None:
    (live / "second").write_bytes(b"old, too")
    for name in ("app.toml", "second"):
        replace_file(live / name, b"new", 0o644, keep_in=keep_in)
    (keep_in / "0001").unlink()
    with pytest.raises(NotFoundError, match="0001"):
        roll_back(keep_in)
    assert (live / "app.toml").read_bytes() == b"old"
    assert (live / "second").read_bytes() == b"new"


_DYING = """
    import os, signal, sys
    from pathlib import Path
    from holdfast.errors import NotFoundError
    from holdfast.sources.replacing import replace_file, roll_back
    from tests.repository.dying import die_before_each_step

    def prepare(folder, _=None):
        (folder / "live").mkdir(parents=True)
        (folder / "live" / "app.toml").write_bytes(b"old")
        os.utime(folder / "live" / "app.toml", ns=(1, 1_500_000_000_000_000_001))

    def replace_all(folder):
        for name in ("app.toml", "deep/new.toml"):
            replace_file(folder / "live" / name, b"new", 0o600, keep_in=folder / "kept")

    def mortal(steps, deed):
        def step():
            nonlocal steps
            if steps is not None:
                steps -= 1
                if steps < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        def dying(call):
            def run(*args, **kwargs):
                step()
                return call(*args, **kwargs)
            return run
        for owner, name in ((Path, "replace"), (Path, "unlink"), (Path, "mkdir"), (os, "link"), (os, "fsync"), (os, "fchmod")):
            setattr(owner, name, dying(getattr(owner, name)))
        deed()

    def assert_as_before(folder):
        live = folder / "live"
        assert os.listdir(live) == ["app.toml"], os.listdir(live)
        assert (live / "app.toml").read_bytes() == b"old"
        assert (live / "app.toml").stat().st_mtime_ns == 1_500_000_000_000_000_001
"""


def _die_everywhere(folder: Path, script: str) -> int:
    """Run a script that dies before each step in turn; return how often it did."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_DYING) + textwrap.dedent(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_wherever_a_replacement_is_killed_the_file_is_whole_and_a_roll_back_undoes_it(tmp_path: Path) -> None:
    deaths = _die_everywhere(
        tmp_path,
        """
        def look(folder, _=None):
            assert (folder / "live" / "app.toml").read_bytes() in (b"old", b"new")
            try:
                roll_back(folder / "kept")
            except NotFoundError:
                pass  # it died before it began
            assert_as_before(folder)

        work = lambda folder, steps: mortal(steps, lambda: replace_all(folder))
        print(die_before_each_step(prepare, work, look, Path(sys.argv[1])))
        """,
    )
    assert deaths > 20


def test_a_roll_back_that_is_killed_anywhere_can_be_done_again(tmp_path: Path) -> None:
    deaths = _die_everywhere(
        tmp_path,
        """
        def work(folder, steps):
            replace_all(folder)
            mortal(steps, lambda: roll_back(folder / "kept"))

        def look(folder, _=None):
            roll_back(folder / "kept")
            assert_as_before(folder)
            assert [path.read_bytes() for path in (folder / "kept").iterdir() if path.suffix == ".undone"] == [b"new", b"new"]

        print(die_before_each_step(prepare, work, look, Path(sys.argv[1])))
        """,
    )
    assert deaths > 10
