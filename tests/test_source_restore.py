"""A backup of functions, configuration or secrets comes back as it was; one that would not is told, and changes nothing."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from holdfast.errors import (
    DamagedError,
    HoldfastError,
    NotFoundError,
    NotProvenError,
    RefusedError,
    TargetNotEmptyError,
    UnsafePathError,
)
from holdfast.repository import Manifest, Repository
from holdfast.sources.configuration.source import ConfigurationOptions, ConfigurationSource
from holdfast.sources.files import SourceFile
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.sources.placing import roll_back
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.source import SecretsSource
from holdfast.sources.tar import TarStream
from holdfast.sources.tree import walk
from holdfast.storage import LocalStorage
from tests.flows.sources import SECRET, make_configuration, make_env_file, make_functions, tree
from tests.repository.making import one_bit_off
from tests.repository.replicas import objects, replica
from tests.sources.backing_up import KEY, back_up, bring_back, commit, contents, largest_chunk, verify

LEVELS = ("stored", "read", "restored", "proven")
Parts = dict[str, tuple[str, bytes]]
Truth = dict[str, Any]


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "repository")


@pytest.fixture
def repository(storage: LocalStorage) -> Iterator[Repository]:
    with closing(Repository.create(storage, key=KEY)) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_functions(tmp_path / "supabase")


@pytest.fixture
def made(repository: Repository, folder: Path) -> Manifest:
    """A backup of two functions, of which one is large enough for a chunk of its own."""
    (folder / "functions" / "publish" / "page.html").write_text("<p>a page of the pipeline</p>\n" * 3000)
    return back_up(repository, FunctionDirectory(folder))


def test_functions_come_back_as_they_were_and_a_full_folder_is_left_alone(
    repository: Repository, made: Manifest, folder: Path, tmp_path: Path
) -> None:
    report = bring_back(repository, made, tmp_path / "target")
    assert tree(tmp_path / "target") == tree(folder)
    assert (report.files, report.problems, report.kept) == (6, [], None)
    with pytest.raises(TargetNotEmptyError):
        bring_back(repository, made, tmp_path / "target")


def test_one_function_comes_back_alone_into_a_new_folder_and_beside_the_others_into_a_live_one(
    repository: Repository, made: Manifest, folder: Path, tmp_path: Path
) -> None:
    before = tree(folder)
    bring_back(repository, made, tmp_path / "alone", only=["hello"])
    assert tree(tmp_path / "alone").keys() == {"functions", "functions/hello", "functions/hello/index.ts"}
    for path in ("functions/hello/index.ts", "functions/publish/index.ts", "config.toml"):
        (folder / path).write_text("changed since")
    (folder / "functions" / "hello" / "added.ts").write_text("added since")
    (folder / "functions" / "hello" / ".env").write_text(f"TOKEN={SECRET}\n")
    changed = tree(folder)
    report = bring_back(repository, made, folder, mode="promote", only=["hello"])
    now = tree(folder)
    assert now["functions/hello/index.ts"] == before["functions/hello/index.ts"]
    assert {path for path in now if now[path] != changed[path]} == {"functions/hello/index.ts"}
    assert changed.keys() - now.keys() == {"functions/hello/added.ts"}
    assert report.kept is not None
    roll_back(folder, Path(report.kept))
    assert tree(folder) == changed
    with pytest.raises(NotFoundError, match="it holds hello, publish"):
        bring_back(repository, made, folder, mode="promote", only=["farewell"])


def test_files_of_secrets_of_a_live_folder_are_carried_over_and_never_were_in_the_backup(
    repository: Repository, folder: Path
) -> None:
    (folder / "functions" / ".env").write_text(f"TOKEN={SECRET}\n")
    (folder / "functions" / ".env").chmod(0o600)
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    manifest = back_up(repository, FunctionDirectory(folder))
    before = tree(folder)
    assert SECRET.encode() not in b"".join(b"".join(repository.read(entry)) for entry in manifest.entries)
    (folder / "config.toml").write_text("broken")
    bring_back(repository, manifest, folder, mode="promote")
    assert tree(folder) == before


def test_documents_come_back_as_files_that_a_person_and_a_shell_can_read(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "two words, 'quotes' \"both\" and\nanother line"
    monkeypatch.setenv("PIPELINE_TITLE", odd)
    settings = make_configuration(tmp_path / "work" / "settings")
    source = ConfigurationSource(
        ConfigurationOptions(tmp_path / "work", files=("settings/*",), environment=("PIPELINE_*",)),
        backup_config=lambda: {"retention_days": {"value": 30}},
    )
    report = bring_back(repository, back_up(repository, source), tmp_path / "config")
    assert (report.files, report.documents) == (3, 2)
    assert tree(tmp_path / "config" / "settings") == tree(settings)
    documents = tmp_path / "config" / "_holdfast"
    assert json.loads((documents / "environment.json").read_text()) == {"PIPELINE_TITLE": odd}
    assert dotenv_values(documents / "environment.env") == {"PIPELINE_TITLE": odd}
    assert json.loads((documents / "backup_config.json").read_text()) == {"retention_days": {"value": 30}}
    assert {path.stat().st_mode & 0o777 for path in documents.iterdir()} == {0o600}
    env_file = EnvFile(make_env_file(tmp_path / "secrets.env"), name="env")
    with closing(SecretsSource([env_file], repository.secret_digest)) as secrets:
        bring_back(repository, back_up(repository, secrets), tmp_path / "secrets")
    assert [path for path in tree(tmp_path / "secrets") if path.endswith(".json")] == ["_holdfast/provider/env.json"]


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_harmed_chunk_is_found_by_each_level_that_looks_so_far_and_the_next_backup_heals_it(
    repository: Repository, storage: LocalStorage, made: Manifest, folder: Path, tmp_path: Path, harm: str
) -> None:
    chunk = largest_chunk(storage)
    whole = storage.get(chunk)
    for level in LEVELS:
        if harm == "missing":
            storage.delete(chunk)
        else:
            storage.put(chunk, one_bit_off(whole), replace=True)
        proof = verify(repository, made, level, tmp_path / "spool")
        assert proof.ok == (harm == "changed" and level == "stored"), level
        assert proof.ok or any(chunk in problem for problem in proof.problems)
        with pytest.raises(DamagedError):
            bring_back(repository, made, tmp_path / "target")
        storage.put(chunk, whole, replace=True)
    assert {path.name for path in tmp_path.iterdir()} - {"spool"} == {"repository", "supabase"}, "half a restore was left"
    storage.put(chunk, one_bit_off(whole), replace=True)
    assert not verify(repository, made, "proven", tmp_path / "spool").ok
    back_up(repository, FunctionDirectory(folder))
    assert verify(repository, made, "proven", tmp_path / "spool").ok
    assert repository.verified_level(made.id) == "proven"


@pytest.mark.parametrize("harm", ["changed", "missing"])
@pytest.mark.parametrize("level", ["read", "proven"])
def test_a_harmed_chunk_is_read_from_a_replica_and_healed_by_a_verification(
    repository: Repository, storage: LocalStorage, made: Manifest, folder: Path, tmp_path: Path, harm: str, level: str
) -> None:
    good = objects(storage)
    chunk = largest_chunk(storage)
    storage.delete(chunk)
    if harm == "changed":
        storage.put(chunk, one_bit_off(good[chunk]))
    with closing(Repository.open(storage, key=KEY, replicas=[replica("second", good)])) as opened:
        bring_back(opened, made, tmp_path / "target")
        assert tree(tmp_path / "target") == tree(folder)
        assert opened.spared_count == 1
        proof = verify(opened, made, level, tmp_path / "spool")
    assert (proof.ok, storage.get(chunk)) == (True, good[chunk])
    assert repository.check().ok


Change = Callable[[Parts, Truth], None]


def _other_files(changed: Callable[[list[SourceFile]], list[SourceFile]]) -> Change:
    """Store other files of hello than the truth says."""

    def change(parts: Parts, truth: Truth) -> None:
        files = [
            SourceFile("functions/hello", "folder", truth["parts"]["function/hello"]["files"][0]["mode"]),
            SourceFile("functions/hello/index.ts", "file", 0o644, content=b'Deno.serve(() => new Response("hello"))\n'),
        ]
        parts["function/hello"] = ("tar", TarStream(changed(files), []).readall())

    return change


def _hello(kind: Any, mode: int, content: bytes | None = None, link_target: str | None = None) -> Change:
    one = SourceFile("functions/hello/index.ts", kind, mode, content=content, link_target=link_target)
    return _other_files(lambda files: [files[0], one])


def _leaving(parts: Parts, truth: Truth) -> None:
    """Store a path that leads out of the folder, as no honest backup does."""
    path = "functions/hello/index.ts"
    outside = "../../../../outside.txt1"
    assert len(path) == len(outside)
    honest = TarStream([SourceFile(path, "file", 0o644, content=b"x")], []).readall()
    header = bytearray(honest[:512].replace(path.encode(), outside.encode()))
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    parts["function/hello"] = ("tar", bytes(header) + honest[512:])
    truth["parts"]["function/hello"]["files"] = [{**truth["parts"]["function/hello"]["files"][1], "path": outside}]


DIFFERENCES: dict[str, tuple[Change, str, type[HoldfastError]]] = {
    "content": (_hello("file", 0o644, b'Deno.serve(() => new Response("HELLO"))\n'), "its content is another", NotProvenError),
    "size": (_hello("file", 0o644, b"short"), "it has 5 bytes, and had 40", NotProvenError),
    "mode": (_hello("file", 0o755, b'Deno.serve(() => new Response("hello"))\n'), "its mode is 755", NotProvenError),
    "kind": (_hello("link", 0o777, link_target="deno.json"), "it is a link, and was a file", NotProvenError),
    "a file less": (_other_files(lambda files: files[:1]), "does not hold the files", DamagedError),
    "no tar": (lambda parts, _: parts.update({"function/hello": ("tar", b"no tar at all" * 99)}), "tar", DamagedError),
    "a part less": (lambda parts, _: parts.pop("function/hello") and None, "does not hold the parts", DamagedError),
    "a part more": (lambda parts, _: parts.update({"function/new": parts["project"]}), "does not hold the parts", DamagedError),
    "a kind that nobody knows": (
        lambda parts, _: parts.update({"function/hello": ("zip", parts["function/hello"][1])}),
        "does not hold the parts",
        DamagedError,
    ),
    "a path that leads out": (_leaving, "no path within a folder", UnsafePathError),
    "a truth with a field less": (lambda _, truth: truth.pop("left_out") and None, "a field is missing", DamagedError),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_what_comes_back_otherwise_than_the_source_was_fails_the_proof_and_no_restore_of_it_takes_a_place(
    repository: Repository, made: Manifest, tmp_path: Path, difference: str
) -> None:
    change, problem, error = DIFFERENCES[difference]
    parts, truth = contents(repository, made)
    change(parts, truth)
    other = commit(repository, parts, truth)
    assert verify(repository, other, "read", tmp_path / "spool").ok, "every byte is as it was stored"
    proof = verify(repository, other, "proven", tmp_path / "spool")
    assert not proof.ok
    assert any(problem in one for one in proof.problems), proof.problems
    assert repository.verified_level(other.id) is None
    with pytest.raises(error, match=problem):
        bring_back(repository, other, tmp_path / "target")
    assert {path.name for path in tmp_path.iterdir()} == {"repository", "spool", "supabase"}, "half a restore was left"
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_backup_without_its_truth_is_refused_by_name(repository: Repository, made: Manifest, tmp_path: Path) -> None:
    parts, _ = contents(repository, made)
    other = commit(repository, parts, None)
    with pytest.raises(DamagedError, match=f"{other.id} has no truth"):
        bring_back(repository, other, tmp_path / "target")
    assert not verify(repository, other, "proven", tmp_path / "spool").ok


def test_a_truth_that_a_newer_holdfast_wrote_is_refused_and_proves_nothing_either_way(
    repository: Repository, made: Manifest, tmp_path: Path
) -> None:
    parts, truth = contents(repository, made)
    newer = commit(repository, parts, {**truth, "schema": 2})
    with pytest.raises(RefusedError, match=r"schema 2.*Use the Holdfast that made the backup"):
        bring_back(repository, newer, tmp_path / "target")
    with pytest.raises(RefusedError):
        verify(repository, newer, "proven", tmp_path / "spool")
    assert repository.verified_level(newer.id) == "stored", "a good backup was called bad"


def test_two_thousand_files_come_back_in_little_memory_and_time(repository: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "supabase" / "functions" / "many"
    folder.mkdir(parents=True)
    page = b"a line of a page\n" * 1500
    for number in range(2000):
        (folder / f"{number:04}.html").write_bytes(b"%d\n" % number + page)
    manifest = back_up(repository, FunctionDirectory(tmp_path / "supabase"))
    began, before = time.monotonic(), _peak_bytes()
    report = bring_back(repository, manifest, tmp_path / "target")
    assert report.files == 2000
    assert [one.path for one in walk(tmp_path / "target")] == [one.path for one in walk(tmp_path / "supabase")]
    assert _peak_bytes() - before < manifest.size_bytes, "all files were in memory at once"
    assert time.monotonic() - began < 60


def _peak_bytes() -> int:
    """The most memory that this process ever had; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)
