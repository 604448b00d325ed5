"""What `config diff` tells of two configurations, and what it keeps to itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.errors import NotFoundError, PrefectUnreachableError
from holdfast.repository import Manifest
from holdfast.sources.configuration.diff import Change, ConfigurationDiff, FileChange, ObjectChange, diff
from holdfast.sources.configuration.state import state_of_backup, state_of_source
from tests.sources.configuration.conftest import CANARY, Place


def between(place: Place, before: Manifest, after: Manifest | None = None, **live: Any) -> ConfigurationDiff:
    """Compare two backups, or one with what is there now; and see that the outcome is a JSON document."""
    earlier = state_of_backup(place.repository, before)
    later = state_of_source(place.source(**live)) if after is None else state_of_backup(place.repository, after)
    found = diff(earlier, later)
    assert json.loads(json.dumps(found.to_json()))["equal"] == found.equal
    return found


def test_an_unchanged_configuration_differs_in_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LEVEL", "info")
    place.write("app.toml", "a = 1\n")
    wanted = {
        "files": ("*",),
        "environment": ("APP_*",),
        "backup_config": lambda: {"a": 1},
        "prefect": lambda: {"flows": {"x": {}}},
    }
    made = place.back_up(**wanted)
    for found in (between(place, made, **wanted), between(place, made, place.back_up(**wanted))):
        assert found.equal
        assert not found.not_compared


def test_variables_that_came_went_or_changed_are_named_without_their_values(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_OLD", "1")
    monkeypatch.setenv("APP_LEVEL", "info")
    monkeypatch.setenv("APP_HOST", "first.example.com")
    wanted = {"environment": ("APP_*",)}
    made = place.back_up(**wanted)
    monkeypatch.delenv("APP_OLD")
    monkeypatch.setenv("APP_NEW", "1")
    monkeypatch.setenv("APP_LEVEL", "debug")
    monkeypatch.setenv("APP_HOST", "second.example.com")
    assert between(place, made, **wanted).environment == [
        Change("APP_HOST", "changed", "f…m (17 characters)", "s…m (18 characters)"),
        Change("APP_LEVEL", "changed", "****", "****"),
        Change("APP_NEW", "added", None, "****"),
        Change("APP_OLD", "removed", "****", None),
    ]


@pytest.mark.parametrize(
    ("name", "before", "after", "key"),
    [
        ("a.toml", "[x]\ny = 1\n", "[x]\ny = 2\n", "x.y"),
        ("a.yaml", "x: {y: [1, 2]}\n", "x: {y: [1, 3]}\n", "x.y.1"),
        ("a.json", '{"x": {"y": true}}', '{"x": {"y": false}}', "x.y"),
        ("a.ini", "[x]\ny = 1\n", "[x]\ny = 2\n", "x.y"),
        (".env", "Y=1\n", "Y=2\n", "Y"),
    ],
)
def test_the_keys_that_changed_in_a_file_are_named(place: Place, name: str, before: str, after: str, key: str) -> None:
    place.write(name, before)
    made = place.back_up(files=(name,))
    place.write(name, after)
    assert between(place, made, files=(name,)).files == [
        FileChange(name, "changed", ["content"], [Change(key, "changed", "****", "****")])
    ]


def test_files_that_came_went_or_changed_are_named_and_how(place: Place) -> None:
    for name in ("content.conf", "mode.conf", "gone.conf", "kind.conf"):
        place.write(name, "one")
    (place.folder / "link.conf").symlink_to("one")
    made = place.back_up(files=("*",))
    place.write("content.conf", "two")
    place.write("new.conf", "")
    (place.folder / "mode.conf").chmod(0o600)
    for name in ("gone.conf", "kind.conf", "link.conf"):
        (place.folder / name).unlink()
    for name in ("kind.conf", "link.conf"):
        (place.folder / name).symlink_to("two")
    assert between(place, made, files=("*",)).files == [
        FileChange("content.conf", "changed", ["content"]),
        FileChange("gone.conf", "removed"),
        FileChange("kind.conf", "changed", ["kind"]),
        FileChange("link.conf", "changed", ["link target"]),
        FileChange("mode.conf", "changed", ["mode"]),
        FileChange("new.conf", "added"),
    ]


def test_a_file_that_was_meant_by_its_name_and_is_gone_is_removed(place: Place) -> None:
    place.write("app.toml", "")
    made = place.back_up(files=("app.toml",))
    (place.folder / "app.toml").unlink()
    assert between(place, made, files=("app.toml",)).files == [FileChange("app.toml", "removed")]


def test_settings_of_the_catalog_are_shown_for_they_are_no_secrets(place: Place) -> None:
    before = {"databaseBackupInterval": 24, "backupStorageConfig": {"bucket": "one"}, "functionBackupRetention": 90}
    after = {"databaseBackupInterval": 12, "backupStorageConfig": {"bucket": "two"}, "lockSeconds": 10, "apiToken": CANARY}
    made = place.back_up(backup_config=lambda: before)
    assert between(place, made, backup_config=lambda: after).backup_config == [
        Change("apiToken", "added", None, "****"),
        Change("backupStorageConfig.bucket", "changed", "one", "two"),
        Change("databaseBackupInterval", "changed", "24", "12"),
        Change("functionBackupRetention", "removed", "90", None),
        Change("lockSeconds", "added", None, "10"),
    ]


def test_prefects_objects_are_named_with_the_fields_that_changed(place: Place) -> None:
    before = {"deployments": {"flow/daily": {"schedules": [{"cron": "0 3 * * *", "active": True}]}, "flow/old": {}}}
    after = {"deployments": {"flow/daily": {"schedules": [{"cron": "0 4 * * *", "active": True}]}}, "variables": {"level": {}}}
    made = place.back_up(prefect=lambda: before)
    assert between(place, made, prefect=lambda: after).prefect == [
        ObjectChange("deployments", "flow/daily", "changed", ["schedules.0.cron"]),
        ObjectChange("deployments", "flow/old", "removed"),
        ObjectChange("variables", "level", "added"),
    ]


def test_a_part_that_one_side_does_not_know_is_not_compared_and_that_is_said(place: Place) -> None:
    place.write("app.toml", "")

    def unreachable() -> dict[str, Any]:
        raise PrefectUnreachableError("no Prefect server answers")

    made = place.back_up(files=("*",), prefect=lambda: {"flows": {"x": {}}}, backup_config=lambda: {"a": 1})
    found = between(place, made, files=("*",), prefect=unreachable)
    assert found.equal
    assert found.not_compared == {"backup_config": "live lacks it", "prefect": "live lacks it: no Prefect server answers"}


def test_what_one_side_left_out_is_not_taken_for_removed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", CANARY)
    place.write("app.toml", f"password = '{CANARY}'")
    wanted = {"files": ("*",), "environment": ("APP_*",)}
    found = between(place, place.back_up(**wanted, include_secrets=True), **wanted)
    assert found.equal
    assert set(found.not_compared) == {"environment:APP_TOKEN", "file:app.toml"}


def test_no_value_is_told_even_where_secrets_were_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"files": ("*",), "environment": ("APP_*",), "include_secrets": True}
    monkeypatch.setenv("APP_TOKEN", CANARY)
    monkeypatch.setenv("APP_PASSWORD", "twelve plain words")
    place.write("app.toml", f"password = '{CANARY}'\nmood = 'short'")
    made = place.back_up(**wanted)
    monkeypatch.setenv("APP_TOKEN", CANARY[::-1])
    monkeypatch.setenv("APP_PASSWORD", "other plain words")
    place.write("app.toml", f"password = '{CANARY[::-1]}'\nmood = 'other'")
    text = json.dumps(between(place, made, **wanted).to_json(), ensure_ascii=False)
    assert len(json.loads(text)["environment"]) == 2
    for value in (CANARY, CANARY[::-1], "short", "other", "characters"):
        assert value not in text


def test_odd_names_can_be_told(place: Place) -> None:
    made = place.back_up(files=("*",), environment=("PATH",))
    place.write("\udcff\n.toml", "a = 1")
    found = between(place, made, files=("*",), environment=("PATH",))
    assert [file.path for file in found.files] == ["\\xff\n.toml"]


def test_a_backup_of_another_type_is_refused(place: Place) -> None:
    made = place.back_up(environment=("PATH",))
    object.__setattr__(made, "type", "function")
    with pytest.raises(NotFoundError, match="none of the configuration"):
        state_of_backup(place.repository, made)
