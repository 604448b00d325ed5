"""Finding PostgreSQL's tools: the nearest version that suffices, the settings' folder first, a helpful error otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.postgres.tools import bundled_folder, find_tool


def fake_tools(folder: Path, version: str, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        tool = folder / name
        tool.write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) {version}"\n')
        tool.chmod(0o755)
    return folder


def test_the_bundled_tools_are_found_for_servers_of_their_versions() -> None:
    assert find_tool("pg_dump", at_least_major=16, search=bundled_folder(16)).major == 16
    assert find_tool("pg_restore", at_least_major=18).major >= 18
    assert bundled_folder(3) is None


def test_the_nearest_version_that_suffices_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [fake_tools(tmp_path / name, version, "psql") for name, version in [("a", "97.1"), ("b", "95.3"), ("c", "96beta1")]]
    monkeypatch.setenv("PATH", ":".join(str(folder) for folder in folders))
    assert find_tool("psql", at_least_major=96).path.parent == folders[2]
    assert find_tool("psql", at_least_major=97).major == 97


def test_programs_whose_folder_says_that_they_are_too_old_are_not_started_where_another_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where none fits they are asked, for a name may lie."""
    old = fake_tools(tmp_path / "postgresql" / "95" / "bin", "97.2", "psql")
    started = tmp_path / "started"
    (old / "psql").write_text(f'#!/bin/sh\ntouch {started}\necho "psql (PostgreSQL) 97.2"\n')
    new = fake_tools(tmp_path / "new", "96.1", "psql")
    later = fake_tools(tmp_path / "later", "96.2", "psql")
    monkeypatch.setenv("PATH", f"{old}:{new}:{later}")
    assert find_tool("psql", at_least_major=96).path.parent == new
    assert not started.exists()
    assert find_tool("psql", at_least_major=97).path.parent == old
    assert find_tool("psql", at_least_major=96, search=old).path.parent == old


def test_a_tool_that_was_upgraded_meanwhile_is_known_by_its_new_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_tools(tmp_path / "a", "95.1", "psql")
    monkeypatch.setenv("PATH", str(folder))
    assert find_tool("psql", at_least_major=95).version_text == "95.1"
    fake_tools(tmp_path / "b", "95.20", "psql").joinpath("psql").replace(folder / "psql")
    assert find_tool("psql", at_least_major=95).version_text == "95.20"


def test_a_folder_in_the_settings_comes_first(tmp_path: Path) -> None:
    own = fake_tools(tmp_path / "own", "99.9 (Ubuntu 99.9-1)", "pg_dump")
    tool = find_tool("pg_dump", at_least_major=16, search=own)
    assert (tool.path, tool.version_text) == (own / "pg_dump", "99.9 (Ubuntu 99.9-1)")


def test_without_a_fitting_tool_the_error_says_which_version_to_install(tmp_path: Path) -> None:
    broken = fake_tools(tmp_path / "broken", "no version at all", "pg_dump")
    with pytest.raises(SettingsError) as caught:
        find_tool("pg_dump", at_least_major=99, search=broken)
    assert "pg_dump of PostgreSQL 99 or newer is needed" in str(caught.value)
    assert "18 in" in str(caught.value)
    assert "BACKUP_POSTGRES_TOOLS" in str(caught.value)


def test_debian_s_wrapper_that_picks_a_version_by_itself_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fake_tools(tmp_path / "wrapper", "98.1", "pg_wrapper")
    (real / "pg_dump").symlink_to(real / "pg_wrapper")
    monkeypatch.setenv("PATH", str(real))
    with pytest.raises(SettingsError):
        find_tool("pg_dump", at_least_major=98)
