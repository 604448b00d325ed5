"""A `.env` file: every way to write a value is understood, one value is replaced, and nothing else of the file changes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, RefusedError, SettingsError, SourceFailedError
from holdfast.sources.dotenv import Dotenv
from holdfast.sources.secrets.contract import PLACEHOLDER, SecretRecord
from holdfast.sources.secrets.env_file import EnvFile
from tests.postgres.servers import server_folder
from tests.sources.dotenv_example import EXAMPLE, VALUES
from tests.sources.secrets.digests import keyed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text(EXAMPLE)
    path.chmod(0o640)
    return path


def values_in(path: Path) -> dict[str, str]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    return {name: one.value for name, one in Dotenv.parse(text).values().items()}


def test_records_tell_names_digests_and_times_and_no_value(file: Path) -> None:
    found = EnvFile(file).read(keyed)
    assert {record.name: record.digest for record in found.records} == {
        name: keyed(value.encode()) for name, value in VALUES.items()
    }
    record = found.records[0]
    assert record.changed_at is not None
    assert int(record.changed_at.timestamp()) == int(file.stat().st_mtime)
    assert record.attributes["mode"] == "0640"
    assert [SecretRecord.from_json(one.to_json()) for one in found.records] == found.records
    assert [str(one) for one in found.left_out] == [
        "env-file, line 13: it is not NAME=value",
        "env-file, line 14: it is not NAME=value",
    ]


def test_the_same_file_gives_the_same_records_again(file: Path) -> None:
    assert EnvFile(file).read(keyed) == EnvFile(file).read(keyed)


@pytest.mark.parametrize(
    "text",
    [
        'KEY="-----BEGIN\nQUJDREVG=\nNEXT=1\n',
        "KEY=-----BEGIN\nQUJD+REVG\nQUJDREVG==\nNEXT=1\n",
        'KEY=-----BEGIN\nQUJD+REVG\nQUJDREVG=="\nNEXT=1\n',
        'KEY=-----BEGIN\nQUJD+REVG\nQUJDREVG="\nNEXT=1\n',
    ],
)
def test_a_piece_of_a_broken_key_never_becomes_a_name(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(text)
    found = EnvFile(tmp_path / ".env").read(keyed)
    assert "QUJDREVG" not in str(found)
    assert {record.name for record in found.records} <= {"KEY", "NEXT"}
    assert found.left_out


def test_one_value_is_replaced_and_every_other_byte_stays(file: Path) -> None:
    for name in sorted(VALUES.keys() - {"KEY"}):
        before, was = file.read_text(), values_in(file)
        rotation = EnvFile(file).rotate(name)
        new = values_in(file)[name]
        assert rotation.name == name
        assert new not in repr(rotation)
        assert len(new) == 64
        assert values_in(file) == was | {name: new}
        lines = [line for line in before.splitlines() if line.startswith(("#", "this", "UNSET"))]
        assert [line for line in file.read_text().splitlines() if line in lines] == lines
        assert file.stat().st_mode & 0o777 == 0o640
    assert '="' in file.read_text()
    assert "# and a comment" in file.read_text()
    assert "# said twice" in file.read_text()
    assert sorted(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "value", ["postgresql://me:canary@host/db", '"-----BEGIN KEY-----\nMIIB\n-----END KEY-----"', "'{\"a\": 1}'", "8080", "True"]
)
def test_what_a_random_text_can_not_stand_for_is_not_replaced(tmp_path: Path, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"IT={value}\n")
    with pytest.raises(RefusedError, match="IT of env-file was not rotated") as refused:
        EnvFile(path).rotate("IT")
    assert "canary" not in str(refused.value)
    assert path.read_text() == f"IT={value}\n"


ROTATE_ON_AND_ON = """
import sys
from pathlib import Path
from holdfast.sources.secrets.env_file import EnvFile

while True:
    EnvFile(Path(sys.argv[1])).rotate("HASH")
    print(flush=True)
"""


def test_a_file_is_whole_whenever_a_rotation_is_killed(file: Path) -> None:
    for rounds in (1, 2, 5):
        command = [sys.executable, "-c", ROTATE_ON_AND_ON, str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(rounds):
                assert child.stdout.readline()
            child.kill()
        assert values_in(file) | {"HASH": "pa#ss"} == VALUES
    EnvFile(file).rotate("HASH")
    assert sorted(file.parent.iterdir()) == [file]


def test_what_a_killed_rotation_left_is_cleared_away(file: Path) -> None:
    left = file.with_name("..env.holdfast-new")
    left.write_text("half a fi")
    EnvFile(file).rotate("HASH")
    assert sorted(file.parent.iterdir()) == [file]


def test_a_name_given_twice_keeps_no_old_value(file: Path) -> None:
    EnvFile(file).rotate("PLAIN")
    assert "abc123" not in file.read_text()
    assert "again" not in file.read_text()


def test_windows_line_ends_and_bytes_that_are_no_text_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b'A=one\r\n# caf\xe9\r\nB="two"\r\n')
    EnvFile(path).rotate("B")
    assert path.read_bytes() == b'A=one\r\n# caf\xe9\r\nB="' + values_in(path)["B"].encode() + b'"\r\n'


def test_a_linked_file_is_changed_where_it_lies(file: Path) -> None:
    link = file.parent / "link"
    link.symlink_to(file)
    EnvFile(link).rotate("HASH")
    assert link.is_symlink()
    assert values_in(file)["HASH"] != "pa#ss"


def test_rotations_at_once_lose_none(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("".join(f"S{number}=old\n" for number in range(12)))
    threads = [threading.Thread(target=EnvFile(path).rotate, args=(f"S{number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(values_in(path).values()) - {"old"}) == 12


def test_missing_names_come_back_as_placeholders_and_present_ones_keep_their_values(file: Path) -> None:
    records = [*EnvFile(file).read(keyed).records, SecretRecord("env-file", "LOST"), SecretRecord("env-file", "no name")]
    planned = EnvFile(file).restore(records, dry_run=True)
    assert file.read_text() == EXAMPLE
    done = EnvFile(file).restore(records)
    assert (done.created, done.kept) == (planned.created, planned.kept) == (["LOST"], sorted(VALUES))
    assert [one.name for one in done.left_out] == ["no name"]
    after = values_in(file)
    assert after.pop("LOST").startswith(PLACEHOLDER)
    assert after == VALUES
    again = EnvFile(file).restore(records)
    assert again.created == []
    states = {record.name: record.attributes["state"] for record in EnvFile(file).read(keyed).records}
    assert states["LOST"] == "placeholder"
    assert states["EMPTY"] == "empty"


def test_what_stands_in_a_broken_line_is_not_taken_for_missing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    text = 'ONE=first\nTWO="second" and more\n'
    path.write_text(text)
    provider = EnvFile(path)
    found = provider.read(keyed)
    assert [str(one) for one in found.left_out] == ["env-file, TWO: line 2: something follows its closing quote"]
    done = provider.restore([SecretRecord("env-file", name) for name in ("ONE", "TWO", "THREE")])
    assert (done.created, done.kept) == (["THREE"], ["ONE", "TWO"])
    assert path.read_text().startswith(text)
    for change in (lambda: provider.rotate("TWO"), lambda: provider.put("TWO", "value")):
        with pytest.raises(RefusedError, match="line 2"):
            change()
    assert "second" in path.read_text()


def test_nothing_is_added_behind_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    text = 'ONE=first\nTWO="second\nTHREE=third\n'
    path.write_text(text)
    for dry_run in (True, False):
        with pytest.raises(RefusedError, match="line 2"):
            EnvFile(path).restore([SecretRecord("env-file", "THREE")], dry_run=dry_run)
    with pytest.raises(RefusedError, match="line 2"):
        EnvFile(path).put("THREE", "value")
    assert path.read_text() == text
    EnvFile(path).rotate("ONE")
    assert path.read_text().endswith(text.partition("\n")[2])


def test_a_lost_file_comes_back_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    records = [SecretRecord("env-file", "ONE"), SecretRecord("env-file", "TWO")]
    assert EnvFile(path).restore(records, dry_run=True).created == ["ONE", "TWO"]
    assert not path.exists()
    EnvFile(path).restore(records)
    assert path.stat().st_mode & 0o777 == 0o600
    assert all(value.startswith(PLACEHOLDER) for value in values_in(path).values())
    assert len(set(values_in(path).values())) == 2


def test_a_value_from_elsewhere_is_put_under_its_name(file: Path) -> None:
    EnvFile(file).put("DATABASE_PASSWORD", "first")
    EnvFile(file).put("DATABASE_PASSWORD", "second")
    assert values_in(file) == VALUES | {"DATABASE_PASSWORD": "second"}
    with pytest.raises(SettingsError, match="can't be a name"):
        EnvFile(file).put("9 lives", "value")
    with pytest.raises(RefusedError) as refused:
        EnvFile(file).put("PLAIN", "canary'\n")
    assert "canary" not in str(refused.value)


def test_it_is_told_which_functions_use_a_secret(file: Path, tmp_path: Path) -> None:
    functions = tmp_path / "functions"
    (functions / "hello" / "node_modules").mkdir(parents=True)
    (functions / "hello" / "index.ts").write_text('Deno.env.get("PLAIN"); Deno.env.get("PLAINER")')
    (functions / "hello" / "node_modules" / "x.js").write_text("process.env.PLAIN")
    (functions / "photo.png").write_text("PLAIN")
    used = {record.name: record.used_in for record in EnvFile(file, used_in=[functions, tmp_path / "none"]).read(keyed).records}
    assert used["PLAIN"] == ["functions/hello/index.ts"]
    assert used["HASH"] == []


def test_what_can_not_be_read_or_found_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    with pytest.raises(NotFoundError, match=r"\.env"):
        EnvFile(path).read(keyed)
    with pytest.raises(NotFoundError):
        EnvFile(path).rotate("ANY")
    path.write_text("A=canary-value\n")
    with pytest.raises(NotFoundError, match="'B'") as missing:
        EnvFile(path).rotate("B")
    assert "canary" not in str(missing.value)
    path.write_bytes(b"#" * (5 << 20))
    with pytest.raises(SourceFailedError, match="too large"):
        EnvFile(path).read(keyed)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(SourceFailedError):
        EnvFile(path).read(keyed)
    path.unlink()
    path.mkdir()
    with pytest.raises(SourceFailedError, match="a folder"):
        EnvFile(path).read(keyed)


AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from holdfast.sources.secrets.env_file import EnvFile

if os.geteuid() == 0:  # root may write anywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
EnvFile(Path(sys.argv[1])).rotate("HASH")
"""


def test_a_folder_that_may_not_be_written_leaves_the_file_as_it_was() -> None:
    with server_folder() as folder:  # not pytest's, which others may not enter
        (folder / ".env").write_text(EXAMPLE)
        (folder / ".env").chmod(0o644)
        folder.chmod(0o555)
        command = [sys.executable, "-c", AS_ANOTHER_USER, folder / ".env"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        folder.chmod(0o755)
        assert "SourceDeniedError" in done.stderr
        assert "pa#ss" not in done.stderr
        assert (folder / ".env").read_text() == EXAMPLE
        assert list(folder.iterdir()) == [folder / ".env"]
