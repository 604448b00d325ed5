"""A folder of functions is backed up whole: each function alone, all that they share, and no secret."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import NotFoundError
from holdfast.sources.contract import Part
from holdfast.sources.functions.directory import FunctionDirectory, never_kept
from holdfast.sources.staging import FolderRestore
from tests.sources.conformance import SourceConformance, stored

CONFIG = """
project_id = "sample"

[functions.hello]
verify_jwt = false
entrypoint = "./functions/hello/main.ts"
import_map = "./functions/hello/deno.json"
static_files = ["./functions/hello/*.html"]

[functions.off]
enabled = false
"""

FILES = {
    "config.toml": CONFIG,
    "seed.sql": "SELECT 1;\n",
    "functions/deno.json": "{}",
    "functions/_shared/cors.ts": "export const cors = {};\n",
    "functions/hello/main.ts": "Deno.serve(() => new Response('hello'));\n",
    "functions/hello/deno.json": "{}",
    "functions/hello/page.html": "<p>hello</p>\n",
    "functions/hello/node_modules/dep/index.js": "x",
    "functions/off/index.ts": "",
    "functions/two words/index.ts": "",
    "functions/caf\xe9~%41/index.ts": "",
}


def _make(root: Path, files: dict[str, str] = FILES) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return _make(tmp_path / "supabase")


def _read(root: Path) -> dict[str, tuple[list[str], dict[str, Any], list[str]]]:
    """Return of each part the paths, what is known, and what was left out."""
    source = FunctionDirectory(root)
    read = {part.name: stored(source, part) for part in source.parts()}
    return {name: ([one.path for one in records], facts, left_out) for name, (_, records, facts, left_out) in read.items()}


class TestFunctionDirectory(SourceConformance):
    @pytest.fixture
    def source(self, root: Path) -> FunctionDirectory:
        return FunctionDirectory(root)


def test_each_function_is_a_part_and_all_else_is_the_project(root: Path) -> None:
    read = _read(root)
    assert {name: paths for name, (paths, _, _) in read.items()} == {
        "project": [
            "config.toml",
            "functions",
            "functions/_shared",
            "functions/_shared/cors.ts",
            "functions/deno.json",
            "seed.sql",
        ],
        "function/caf%C3%A9%7E%2541": ["functions/café~%41", "functions/café~%41/index.ts"],
        "function/hello": [
            "functions/hello",
            "functions/hello/deno.json",
            "functions/hello/main.ts",
            "functions/hello/node_modules",
            "functions/hello/node_modules/dep",
            "functions/hello/node_modules/dep/index.js",
            "functions/hello/page.html",
        ],
        "function/off": ["functions/off", "functions/off/index.ts"],
        "function/two%20words": ["functions/two words", "functions/two words/index.ts"],
    }
    assert read["project"][1]["functions"] == ["café~%41", "hello", "off", "two words"]


def test_what_redeploying_needs_is_known_of_each_function_also_where_the_configuration_says_nothing(root: Path) -> None:
    read = _read(root)
    assert read["function/hello"][1] == {
        "slug": "hello",
        "entrypoint": "functions/hello/main.ts",
        "verify_jwt": False,
        "import_map": "functions/hello/deno.json",
        "static_files": ["functions/hello/*.html"],
        "enabled": True,
        "secret_files_left_out": [],
    }
    assert read["function/off"][1] == {
        "slug": "off",
        "entrypoint": "functions/off/index.ts",
        "verify_jwt": True,
        "import_map": None,
        "static_files": [],
        "enabled": False,
        "secret_files_left_out": [],
    }


@pytest.mark.parametrize(
    "text",
    [b"[functions.hello\n", b"\xff\xfe", b"a = " + b"[" * 100_000, b"functions = 5"],
    ids=["no toml", "no text", "too deep", "other"],
)
def test_a_configuration_that_can_not_be_read_is_kept_as_it_is_and_said(root: Path, text: bytes) -> None:
    (root / "config.toml").write_bytes(text)
    read = _read(root)
    assert "config.toml" in read["project"][0]
    for part, (paths, facts, left_out) in read.items():
        assert paths
        assert facts["config_problem"].startswith("config.toml ")
        told = [f"settings of functions: {facts['config_problem']}"]
        assert left_out == (told if part == "project" else [])
    assert read["function/hello"][1]["verify_jwt"] is True


def test_odd_settings_of_a_function_do_not_harm_its_backup(root: Path) -> None:
    (root / "config.toml").write_text(
        'functions.hello = 5\n[functions.off]\nentrypoint = 1\nstatic_files = "x"\nverify_jwt = "no"\n'
    )
    read = _read(root)
    assert read["function/hello"][1]["entrypoint"] == "functions/hello/index.ts"
    assert read["function/off"][1]["static_files"] == []
    assert read["function/off"][1]["verify_jwt"] is True


def test_no_secret_file_is_kept_and_each_is_named(root: Path) -> None:
    canary = "canary-ba5eba11"
    secrets = ["functions/.env", ".env.local", "signing_keys.json", "functions/hello/.env", "functions/hello/.envrc"]
    _make(root, {**dict.fromkeys(secrets, f"KEY={canary}\n"), "functions/hello/.env.example": "KEY=\n"})
    source = FunctionDirectory(root)
    for part in source.parts():
        data, _, facts, left_out = stored(source, part)
        assert canary.encode() not in data
        assert canary not in repr((facts, left_out))
    read = _read(root)
    assert read["project"][1]["secret_files_left_out"] == [".env.local", "functions/.env", "signing_keys.json"]
    assert read["function/hello"][1]["secret_files_left_out"] == ["functions/hello/.env", "functions/hello/.envrc"]
    assert "functions/hello/.env.example" in read["function/hello"][0]


def test_what_editors_and_tools_leave_lying_around_is_not_kept(root: Path) -> None:
    rubbish = [".git/config", "functions/hello/.DS_Store", ".temp/project-ref"]
    _make(root, dict.fromkeys(rubbish, ""))
    kept = [path for paths, _, _ in _read(root).values() for path in paths]
    assert sorted(kept) == sorted({parent for path in FILES for parent in _with_parents(path)})


def _with_parents(path: str) -> list[str]:
    return [path, *(str(parent) for parent in Path(path).parents if parent.name)]


def test_a_folder_without_functions_has_no_parts(tmp_path: Path) -> None:
    _make(
        tmp_path,
        {"config.toml": CONFIG, "functions/_shared/x.ts": "", "functions/empty/.env": "", "functions/node_modules/x": ""},
    )
    (tmp_path / "functions" / "hollow").mkdir()
    assert FunctionDirectory(tmp_path).parts() == []
    assert FunctionDirectory(tmp_path / "functions" / "hollow").parts() == []


def test_a_missing_folder_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="BACKUP_FUNCTIONS_PATH"):
        FunctionDirectory(tmp_path / "nowhere").parts()


def test_a_folder_that_is_a_link_is_the_same_folder_and_links_within_it_stay_links(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    (root / "functions" / "alias").symlink_to("hello")
    read = _read(tmp_path / "link")
    assert "functions/alias" in read["project"][0]
    assert "function/alias" not in read


def test_a_function_that_is_removed_before_it_is_read_fails_alone_and_one_that_comes_is_not_lost(root: Path) -> None:
    source = FunctionDirectory(root)
    parts = source.parts()
    for path in (root / "functions" / "off" / "index.ts", root / "functions" / "off"):
        path.unlink() if path.is_file() else path.rmdir()
    _make(root, {"functions/late/index.ts": "late"})
    with pytest.raises(NotFoundError, match="functions/off can't be read"):
        source.read(Part("function/off", "tar"))
    records = [record.path for part in parts if part.name != "function/off" for record in stored(source, part)[1]]
    assert "functions/late/index.ts" in records


def test_a_function_that_may_not_be_read_is_a_part_whose_reading_says_so(tmp_path: Path) -> None:
    root = _make(tmp_path / "supabase")
    (root / "functions" / "off").chmod(0)
    handle = os.open(root, os.O_RDONLY)
    script = f"""
        import os
        from pathlib import Path
        from holdfast.errors import SourceDeniedError
        from holdfast.sources.functions.directory import FunctionDirectory

        os.fchdir({handle})
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        source = FunctionDirectory(Path("/proc/self/cwd"))
        for part in source.parts():
            try:
                content = source.read(part)
            except SourceDeniedError as error:
                print(part.name, error.reason)
            else:
                assert list(content.files) and not content.left_out
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, pass_fds=[handle]
        )
    finally:
        os.close(handle)
        (root / "functions" / "off").chmod(0o755)
    assert done.stdout == "function/off this user may not read it\n", done.stderr


def test_the_secrets_of_a_live_folder_are_still_there_after_a_restore_has_taken_its_place(root: Path) -> None:
    source = FunctionDirectory(root)
    read = [stored(source, part) for part in source.parts()]
    secrets = {".env": "ROOT=1", "functions/hello/.env": "HELLO=1", ".git/objects/ab/cd": "x"}
    _make(root, {**secrets, "functions/hello/main.ts": "broken", "functions/hello/new.ts": "x"})
    with FolderRestore(root, "promote", job_id="restore_1") as restore:
        carried = restore.carry_over_files(never_kept(root))
        for data, records, _, _ in read:
            restore.extract(io.BytesIO(data), records)
        assert restore.check([*carried, *(record for _, records, _, _ in read for record in records)]) == []
        restore.take_place()
    now = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    assert now == FILES | secrets
