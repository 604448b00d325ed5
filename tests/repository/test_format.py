"""Format 1 stays readable: by this engine, and by a second reader written from the document alone."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.repository import Compression, ReadParts, Repository, UserKey, check_storage
from holdfast.repository.compression import Algorithm
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.storage import LocalStorage
from tests.sources.backing_up import back_up as back_up_source
from tests.sources.files import make_tree, seen

from .independent_reader import Reader
from .making import back_up, noise, read_all, text

_HERE = Path(__file__).parent
_READER = _HERE / "independent_reader.py"
_KNOWN = json.loads((_HERE / "fixtures" / "contents.json").read_text(encoding="utf-8"))
_KINDS = [("encrypted", "raw"), ("encrypted", "passphrase"), ("plain", None)]


def _key(kind: str | None) -> str | None:
    return None if kind is None else str(_KNOWN["keys"][kind])


@pytest.fixture(params=_KINDS, ids=lambda kind: "-".join(filter(None, kind)))
def checked_in(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str | None]:
    """A copy of a repository that was made when format 1 was, and its key."""
    name, kind = request.param
    shutil.copytree(_HERE / "fixtures" / name, tmp_path / name)
    return tmp_path / name, _key(kind)


def test_a_repository_made_long_ago_is_read_checked_and_written_to(checked_in: tuple[Path, str | None]) -> None:
    folder, text_key = checked_in
    key = UserKey.parse(text_key) if text_key else None
    storage = LocalStorage(folder)
    assert check_storage(storage, key).ok
    repository = Repository.open(storage, key=key)
    found = {}
    for one in repository.backups():
        contents = read_all(repository, one.manifest)
        found[one.id] = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        assert repository.verified_level(one.id) == "stored"
        assert any(entry.root.depth for entry in one.manifest.entries)
    assert found == _KNOWN["sha256"]
    again = back_up(repository, "backup_new", read_all(repository, repository.latest("database")))
    assert again.new_chunks == 0, "content is cut and named as it was then"
    assert repository.check().ok


def test_a_stranger_reads_it_with_the_document_alone(checked_in: tuple[Path, str | None]) -> None:
    folder, key = checked_in
    command = [sys.executable, _READER, folder, *([key] if key else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == sum(len(entries) for entries in _KNOWN["sha256"].values())
    reader = Reader(folder, key)
    found = {
        backup["id"]: {entry["name"]: hashlib.sha256(reader.read(entry)).hexdigest() for entry in backup["entries"]}
        for backup in reader.backups()
    }
    assert found == _KNOWN["sha256"]


def test_a_stranger_with_another_key_reads_nothing() -> None:
    with pytest.raises(SystemExit, match="opens no key file"):
        Reader(_HERE / "fixtures" / "encrypted", UserKey.generate()[1])


@pytest.mark.parametrize("encrypt", [True, False])
@pytest.mark.parametrize("algorithm", ["gzip", "zstd", "none"])
def test_a_stranger_reads_what_is_written_today(folder: Path, encrypt: bool, algorithm: Algorithm) -> None:
    key, text_key = UserKey.generate()
    repository = Repository.create(LocalStorage(folder), key=key if encrypt else None, encrypt=encrypt)
    contents = {"a": text(1, 3_000_000), "b": noise(1, 3_000_000), "c": b""}
    manifest = back_up(repository, "backup_1", contents, compression=Compression(algorithm), backup_type="config")
    reader = Reader(folder, text_key)
    (backup,) = reader.backups()
    assert {entry["name"]: reader.read(entry) for entry in backup["entries"]} == contents
    assert hashlib.sha256(json.dumps(backup, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest() == (
        manifest.checksum
    )


@pytest.mark.parametrize("encrypt", [True, False])
def test_a_stranger_reads_what_is_pinned_and_what_a_clean_up_and_a_check_did(folder: Path, encrypt: bool) -> None:
    key, text_key = UserKey.generate()
    repository = Repository.create(LocalStorage(folder), key=key if encrypt else None, encrypt=encrypt)
    back_up(repository, "backup_1", {"a": b"1"})
    pin = repository.pin("backup_1", "for the auditors")
    plan = repository.cleanups.put_plan({"schema": 1, "doomed": []}, repository.now)
    repository.cleanups.put_done(plan, {"schema": 1, "forgotten": []})
    repository.checks.put(ReadParts.none(2, pin.at))
    reader = Reader(folder, text_key)
    found = {
        name: json.loads(reader.unseal(kind, name.encode(), (folder / name).read_bytes()))
        for kind, name in (("pin", "pins/backup_1"), ("cleanup", plan), ("cleanup", f"{plan}-done"), ("check", "checks/parts"))
    }
    at = pin.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    said = {"schema": 1, "backup_id": "backup_1", "state": "pinned", "at": at, "by": pin.by, "reason": "for the auditors"}
    read = {"schema": 1, "began_at": at, "read_at": [None, None], "bad": []}
    assert list(found.values()) == [said, {"schema": 1, "doomed": []}, {"schema": 1, "forgotten": []}, read]


def test_a_stranger_brings_functions_back_with_the_document_and_tar_alone(folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "supabase", tmp_path / "target"
    (source / "functions").mkdir(parents=True)
    make_tree(source / "functions" / "everything")
    (source / "config.toml").write_text("[functions.everything]\nverify_jwt = false\n")
    key, text_key = UserKey.generate()
    back_up_source(Repository.create(LocalStorage(folder), key=key), FunctionDirectory(source))

    reader = Reader(folder, text_key)
    (backup,) = reader.backups()
    read = {entry["name"]: reader.read(entry) for entry in backup["entries"]}
    truth = json.loads(read.pop("truth"))
    target.mkdir()
    for name, part in truth["parts"].items():
        assert part["kind"] == "tar"
        subprocess.run(["tar", "-xp", "-C", target], input=read.pop(name), check=True)
    assert read == {}, "the truth names every entry"
    assert seen(target) == seen(source)
    for file in (file for part in truth["parts"].values() for file in part["files"]):
        path = os.fsdecode(base64.b64decode(file["path_base64"])) if "path_base64" in file else file["path"]
        assert (target / path).is_symlink() == (file["kind"] == "link")
        if file["kind"] == "file":
            assert hashlib.sha256((target / path).read_bytes()).hexdigest() == file["sha256"]
    assert truth["parts"]["function/everything"]["facts"]["verify_jwt"] is False


def test_the_second_reader_is_short_and_shares_no_code_with_the_engine() -> None:
    source = _READER.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 100
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not [name for name in imported if name is None or name.startswith(("holdfast", "tests"))]
