"""Configuration put back where it was, and how that is undone."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dotenv import dotenv_values

from holdfast.catalog import Catalog
from holdfast.configuration import update_backup_config
from holdfast.errors import DamagedError, NotFoundError, PlanInvalidError, RefusedError, SettingsError, UnsafePathError
from holdfast.sources.configuration.diff import Change, FileChange, PlanChange
from holdfast.sources.configuration.places import Places
from holdfast.sources.configuration.plans import plans_document
from holdfast.sources.configuration.restore import ConfigurationRestore, RestoreTarget
from holdfast.sources.configuration.undoing import roll_back
from tests.postgres.servers import running_server
from tests.recovery.sample_plans import document, plan, step
from tests.sources.configuration.conftest import KEY, Place

HERE = RestoreTarget()
NAMES = [f"{number:02}.toml" for number in range(12)]


@pytest.fixture(scope="module")
def catalog() -> Iterator[Catalog]:
    with running_server(18) as server, Catalog(server.create_database("holdfast")) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def keep(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def tree(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """All that is in a folder, with modes."""
    return {
        str(path.relative_to(folder)): (
            stat.S_IMODE(path.lstat().st_mode),
            str(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def made_and_changed(place: Place) -> tuple[ConfigurationRestore, dict[str, object], dict[str, object]]:
    """Back up a dozen files and more, and change them all."""
    for name in NAMES:
        place.write(f"settings/{name}", f"name = '{name}'\n", 0o640)
    place.write("settings/odd\udcff\nname.bin", b"\x00\xff")
    (place.folder / "settings" / "current").symlink_to("00.toml")
    made = place.back_up(files=("settings/**",))
    before = tree(place.folder)
    for name in NAMES[:10]:
        place.write(f"settings/{name}", "name = 'another'\n", 0o600)
    for name in (*NAMES[10:], "odd\udcff\nname.bin", "current"):
        (place.folder / "settings" / name).unlink()
    (place.folder / "settings" / "current").symlink_to("01.toml")
    place.write("settings/more.toml", "")
    return ConfigurationRestore(place.repository, made), dict(before), dict(tree(place.folder))


def test_every_file_comes_back_to_its_place_with_its_mode_and_nothing_else_is_touched(place: Place, keep: Path) -> None:
    restore, before, _ = made_and_changed(place)
    told: list[str] = []
    done = restore.restore(HERE, keep_in=keep, on_restored=told.append)
    assert tree(place.folder) == before | {"settings/more.toml": (0o644, b"")}
    assert len(told) == len(done.files) == 14
    assert restore.plan(HERE).equal


def test_what_a_restore_would_change_is_told_and_not_done(place: Place) -> None:
    place.write("app.toml", "level = 'info'\n")
    place.write("gone.toml", "")
    restore = ConfigurationRestore(place.repository, place.back_up(files=("*",)))
    place.write("app.toml", "level = 'debug'\n")
    (place.folder / "gone.toml").unlink()
    assert restore.plan(HERE).files == [
        FileChange("app.toml", "changed", ["content"], [Change("level", "changed", "****", "****")]),
        FileChange("gone.toml", "added"),
    ]
    assert set(tree(place.folder)) == {"app.toml"}


def test_a_restore_that_is_rolled_back_leaves_everything_as_it_was(place: Place, keep: Path) -> None:
    restore, _, changed = made_and_changed(place)
    restore.restore(HERE, keep_in=keep)
    assert len(roll_back(keep)) == 14
    assert tree(place.folder) == changed
    assert roll_back(keep) == []


def test_a_restore_that_was_killed_in_the_middle_can_be_rolled_back(place: Place, keep: Path) -> None:
    restore, before, changed = made_and_changed(place)
    script = f"""
import os, signal, sys
from pathlib import Path
from holdfast.repository import Repository, UserKey
from holdfast.sources.configuration.restore import ConfigurationRestore, RestoreTarget
from holdfast.storage import LocalStorage
repository = Repository.open(LocalStorage(Path(sys.argv[1])), key=UserKey.parse({KEY!r}))
def die(name):
    if name.endswith("06.toml"):
        os.kill(os.getpid(), signal.SIGKILL)
restore = ConfigurationRestore(repository, repository.latest("config"))
restore.restore(RestoreTarget(), keep_in=Path(sys.argv[2]), on_restored=die)
"""
    done = subprocess.run([sys.executable, "-c", script, str(place.objects), str(keep)], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert changed != tree(place.folder) != before
    assert len(roll_back(keep)) == 7
    assert tree(place.folder) == changed
    restore.restore(HERE, keep_in=keep.with_name("again"))
    assert tree(place.folder) == before | {"settings/more.toml": (0o644, b"")}


def test_a_restore_that_fails_in_the_middle_leaves_everything_as_it_was(place: Place, keep: Path) -> None:
    restore, _, _ = made_and_changed(place)
    (place.folder / "settings" / "07.toml").unlink()
    (place.folder / "settings" / "07.toml").mkdir()
    changed = tree(place.folder)
    with pytest.raises(RefusedError, match=r"07\.toml is in the way"):
        restore.restore(HERE, keep_in=keep)
    assert tree(place.folder) == changed


def test_damage_is_found_before_any_file_is_changed_for_good(place: Place, keep: Path) -> None:
    restore, _, changed = made_and_changed(place)
    for chunk in (place.objects / "chunks").rglob("*"):
        if chunk.is_file():
            chunk.chmod(0o600)
            chunk.write_bytes(b"x" * chunk.stat().st_size)
    with pytest.raises(DamagedError):
        restore.restore(HERE, keep_in=keep)
    assert tree(place.folder) == changed


def test_one_file_can_be_restored_by_its_name_or_by_where_it_lay(place: Place, keep: Path) -> None:
    restore, before, changed = made_and_changed(place)
    wanted = [f"file:{place.folder}/settings/03.toml", "file:settings/11.toml"]
    restore.restore(HERE, wanted, keep_in=keep)
    restored = {name: before[name] for name in ("settings/03.toml", "settings/11.toml")}
    assert tree(place.folder) == changed | restored


def test_files_can_be_restored_below_another_root(place: Place, keep: Path, tmp_path: Path) -> None:
    restore, before, changed = made_and_changed(place)
    restore.restore(RestoreTarget(root=tmp_path / "root"), keep_in=keep)
    assert tree(tmp_path / "root" / str(place.folder).lstrip("/")) == before
    assert tree(place.folder) == changed


def test_a_link_never_leads_a_file_out_of_the_root(place: Place, keep: Path, tmp_path: Path) -> None:
    restore, _, changed = made_and_changed(place)
    inside = tmp_path / "root" / str(place.folder).lstrip("/")
    inside.mkdir(parents=True)
    (inside / "settings").symlink_to(place.folder / "settings")
    with pytest.raises(UnsafePathError, match="would leave"):
        restore.restore(RestoreTarget(root=tmp_path / "root"), keep_in=keep)
    assert tree(place.folder) == changed


@pytest.mark.parametrize("origin", ["", "relative", "/etc/../passwd", "/a\0b", "/a//b"])
def test_a_place_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(UnsafePathError):
        Places({"a": origin}).place_of("a", None)


def test_nothing_is_written_through_a_link_that_stands_in_a_files_place(place: Place, keep: Path, tmp_path: Path) -> None:
    file = place.write("app.toml", "level = 'info'\n")
    restore = ConfigurationRestore(place.repository, place.back_up(files=("*",)))
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="is a link"):
        restore.restore(HERE, keep_in=keep)
    assert not (tmp_path / "elsewhere").exists()


def test_a_backup_made_through_a_linked_folder_holds_where_the_files_really_lay(place: Place, keep: Path) -> None:
    place.write("v1/app.toml", "level = 'info'\n")
    (place.folder / "current").symlink_to("v1")
    restore = ConfigurationRestore(place.repository, place.back_up(files=("current/*.toml", "*")))
    (place.folder / "v1" / "app.toml").unlink()
    (place.folder / "current").unlink()
    restore.restore(HERE, keep_in=keep)
    assert tree(place.folder) == {"v1/app.toml": (0o644, b"level = 'info'\n"), "current": (0o777, "v1")}


def test_variables_are_put_into_an_env_file_that_keeps_its_comments_and_order(
    place: Place, keep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"APP_LEVEL": "info", "APP_TEXT": "two words, it's", "APP_NEW": "1"}.items():
        monkeypatch.setenv(name, value)
    restore = ConfigurationRestore(place.repository, place.back_up(environment=("APP_*",)))
    text = "# ours\nAPP_TEXT=other # why\n\nOTHER=1\nAPP_LEVEL=info\n"
    file = place.write(".env", text, 0o640)
    target = RestoreTarget(env_file=file)
    restore.restore(target, ["environment:APP_TEXT"], keep_in=keep)
    assert file.read_text() == text.replace("APP_TEXT=other", 'APP_TEXT="two words, it\'s"')
    restore.restore(target, keep_in=keep.with_name("other"))
    assert dotenv_values(file) == {"APP_TEXT": "two words, it's", "OTHER": "1", "APP_LEVEL": "info", "APP_NEW": "1"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    roll_back(keep.with_name("other"))
    roll_back(keep)
    assert file.read_text() == text


def test_an_env_file_that_can_not_be_understood_is_left_as_it_is_and_that_is_said(
    place: Place, keep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_LEVEL", "info")
    restore = ConfigurationRestore(place.repository, place.back_up(environment=("APP_*",)))
    file = place.write(".env", 'OTHER="never closed\nAPP_LEVEL=debug\n')
    target = RestoreTarget(env_file=file)
    with pytest.raises(RefusedError, match=r"nothing was added to .*\.env"):
        restore.plan(target)
    with pytest.raises(RefusedError, match=r"nothing was added to .*\.env"):
        restore.restore(target, keep_in=keep)
    assert file.read_text() == 'OTHER="never closed\nAPP_LEVEL=debug\n'


def test_an_env_file_that_is_made_is_for_its_owner_alone(place: Place, keep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LEVEL", "info")
    restore = ConfigurationRestore(place.repository, place.back_up(environment=("APP_*",)))
    file = place.folder / "new" / ".env"
    restore.restore(RestoreTarget(env_file=file), keep_in=keep)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("APP_LEVEL=info\n", 0o600)


def test_settings_come_back_into_the_catalog_and_a_roll_back_undoes_that_too(place: Place, keep: Path, catalog: Catalog) -> None:
    place.write("app.toml", "level = 'info'\n")
    update_backup_config(catalog=catalog, databaseBackupInterval=12, backupStorageConfig={"bucket": "first-bucket"})
    restore = ConfigurationRestore(place.repository, place.back_up(files=("*",), backup_config=catalog.config))
    update_backup_config(catalog=catalog, databaseBackupInterval=48, configBackupRetention=7)
    place.write("app.toml", "level = 'debug'\n")
    target = RestoreTarget(catalog=catalog)
    assert restore.plan(target).backup_config == [Change("databaseBackupInterval", "changed", "48", "12")]
    restore.restore(target, keep_in=keep)
    assert catalog.config()["databaseBackupInterval"] == 12
    assert catalog.config()["configBackupRetention"] == 7
    assert set(roll_back(keep, catalog)) == {f"file:{place.folder}/app.toml", "backup_config:databaseBackupInterval"}
    assert catalog.config()["databaseBackupInterval"] == 48
    assert (place.folder / "app.toml").read_text() == "level = 'debug'\n"
    restore.restore(target, ["backup_config:databaseBackupInterval"], keep_in=keep.with_name("one"))
    assert catalog.config()["databaseBackupInterval"] == 12


def test_settings_that_this_version_does_not_know_leave_files_as_they_were(place: Place, keep: Path, catalog: Catalog) -> None:
    place.write("app.toml", "level = 'info'\n")
    made = place.back_up(files=("*",), backup_config=lambda: {"settingOfTomorrow": 1})
    place.write("app.toml", "level = 'debug'\n")
    with pytest.raises(SettingsError, match="settingOfTomorrow"):
        ConfigurationRestore(place.repository, made).restore(RestoreTarget(catalog=catalog), keep_in=keep)
    assert (place.folder / "app.toml").read_text() == "level = 'debug'\n"


def test_recovery_plans_come_back_and_a_roll_back_undoes_that_too(place: Place, keep: Path, catalog: Catalog) -> None:
    tested = datetime(2026, 1, 2, tzinfo=UTC)
    plans = catalog.plans
    for one in (plan("changed"), plan("gone"), plan("same")):
        plans.put(one)
    restore = ConfigurationRestore(
        place.repository, place.back_up(environment=("PATH",), recovery_plans=lambda: plans_document(catalog))
    )
    plans.put(plan("changed", priority="low", steps=[step("other")]))
    plans.remove("gone")
    plans.put(plan("newer"))
    plans.note_tested("same", tested)
    before = {one.id: one for one in plans.list()}
    target = RestoreTarget(catalog=catalog)
    foreseen = [PlanChange("changed", "changed", ["priority", "steps.0.id"]), PlanChange("gone", "added")]
    assert restore.plan(target).recovery_plans == foreseen
    assert restore.restore(target, ["recovery_plans"], keep_in=keep).recovery_plans == foreseen
    assert {one.id: one for one in plans.list()} == before | {"changed": plan("changed"), "gone": plan("gone")}
    assert set(roll_back(keep, catalog)) == {"recovery_plans:changed", "recovery_plans:gone"}
    assert {one.id: one for one in plans.list()} == before
    assert plans.removed() == {"gone"}
    restore.restore(target, ["recovery_plans:gone"], keep_in=keep.with_name("one"))
    assert {one.id for one in plans.list()} == {"changed", "gone", "newer", "same"}
    assert plans.find("changed") == before["changed"]


def test_a_plan_that_this_version_can_not_carry_out_leaves_everything_as_it_was(
    place: Place, keep: Path, catalog: Catalog
) -> None:
    place.write("app.toml", "level = 'info'\n")
    odd = {"odd": document("odd", steps=[step(type="of_tomorrow")])}
    made = place.back_up(files=("*",), recovery_plans=lambda: odd)
    place.write("app.toml", "level = 'debug'\n")
    with pytest.raises(PlanInvalidError, match="of_tomorrow"):
        ConfigurationRestore(place.repository, made).restore(RestoreTarget(catalog=catalog), keep_in=keep)
    assert (place.folder / "app.toml").read_text() == "level = 'debug'\n"
    assert catalog.plans.find("odd") is None


@pytest.mark.parametrize(
    "name", ["file:nothing.toml", "environment:NOTHING", "backup_config:nothing", "recovery_plans:nothing", "recovery_plans"]
)
def test_what_a_backup_has_not_is_said(place: Place, keep: Path, catalog: Catalog, name: str) -> None:
    restore = ConfigurationRestore(place.repository, place.back_up(environment=("PATH",)))
    target = RestoreTarget(env_file=place.folder / ".env", catalog=catalog)
    with pytest.raises(NotFoundError, match="nothing of that name was backed up"):
        restore.restore(target, [name], keep_in=keep)


def test_a_secret_that_was_left_out_is_said_to_be(place: Place, keep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", "hunter2")
    restore = ConfigurationRestore(place.repository, place.back_up(environment=("PATH", "APP_*")))
    with pytest.raises(NotFoundError, match="looks like a secret"):
        restore.plan(RestoreTarget(env_file=place.folder / ".env"), ["environment:APP_TOKEN"])


@pytest.mark.parametrize("name", ["PATH", "environment:PATH", "backup_config:x", "recovery_plans:x"])
def test_what_has_no_place_and_what_names_nothing_is_refused(place: Place, name: str) -> None:
    restore = ConfigurationRestore(place.repository, place.back_up(environment=("PATH",), backup_config=lambda: {"x": 1}))
    with pytest.raises(SettingsError):
        restore.plan(HERE, [name])


def test_two_restores_at_once_do_not_undo_each_other(place: Place, keep: Path) -> None:
    restore, before, changed = made_and_changed(place)
    again = ConfigurationRestore(place.repository, place.repository.latest("config"))
    folders = [keep / "one", keep / "two"]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda one, folder: one.restore(HERE, keep_in=folder), [restore, again], folders))
    assert tree(place.folder) == before | {"settings/more.toml": (0o644, b"")}
    assert sorted(len(one.files) for one in done) == [0, 14]
    (kept,) = (folder for folder in folders if folder.exists())
    roll_back(kept)
    assert tree(place.folder) == changed


def test_two_restores_never_keep_what_they_replaced_in_one_folder(place: Place, keep: Path) -> None:
    restore, _, _ = made_and_changed(place)
    restore.restore(HERE, ["file:settings/00.toml"], keep_in=keep)
    with pytest.raises(RefusedError, match="is not empty"):
        restore.restore(HERE, keep_in=keep)


def test_a_roll_back_by_a_folder_that_is_not_there_is_refused(keep: Path) -> None:
    with pytest.raises(NotFoundError):
        roll_back(keep)
