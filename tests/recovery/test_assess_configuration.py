"""Configuration that was lost, emptied or spoilt is told apart from what somebody edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.recovery.deadline import Deadline
from holdfast.recovery.service import Health, Service
from holdfast.recovery.triggers import trigger_of
from holdfast.repository import Repository, UserKey
from holdfast.storage import LocalStorage
from tests.recovery.assessed import AssessedWorld, look
from tests.sources.configuration.conftest import KEY, Place

PATTERN = "settings/*"
FILES = {
    "settings/limits.json": '{"rate": 10, "burst": 20}',
    "settings/workers.toml": "[workers]\ncount = 4\n",
    "settings/feed.yaml": "title: Notes\nitems: [1, 2]\n",
    "settings/rebuild.sh": "#!/bin/sh\necho rebuild\n",
    "settings/odd.json": "{never was JSON",
    "settings/logo.bin": b"\x00\x01\x02",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A working directory with configuration, and a backup of it."""
    found = Place(tmp_path)
    for path, text in FILES.items():
        found.write(path, text)
    monkeypatch.chdir(found.folder)
    monkeypatch.setenv("SAMPLE_MODE", "quiet")
    found.back_up(files=(PATTERN,), environment=("SAMPLE_*",))
    return found


def world(place: Place, *, files: str = PATTERN) -> AssessedWorld:
    return AssessedWorld(
        place.folder.parent, repository=place.repository, BACKUP_CONFIG_FILES=files, BACKUP_CONFIG_ENV="SAMPLE_*"
    )


def test_configuration_that_is_as_it_was_or_edited_well_is_healthy(place: Place) -> None:
    assert look(world(place), "config").reason.startswith("6 files of the newest good backup")
    place.write("settings/limits.json", '{"rate": 99}')
    place.write("settings/rebuild.sh", "#!/bin/sh\necho more\n")
    place.write("settings/odd.json", "{still no JSON")
    place.write("settings/logo.bin", b"\x00\x09")
    place.write("settings/new.json", "{not JSON, and not in the backup")
    verdict = look(world(place), "config")
    assert verdict.state == "healthy"
    assert verdict.evidence["changed"] == [
        "settings/limits.json",
        "settings/odd.json",
        "settings/rebuild.sh",
        "settings/logo.bin",
    ]
    assert trigger_of(verdict) is None


@pytest.mark.parametrize(
    ("path", "content", "state", "event"),
    [
        ("settings/limits.json", "", "damaged", "config_corruption_detected"),
        ("settings/workers.toml", b"\x93\xff\x00\x13", "damaged", "config_corruption_detected"),
        ("settings/rebuild.sh", b"\x00\x00\x00", "damaged", "config_corruption_detected"),
        ("settings/limits.json", '{"rate": 10,', "damaged", "config_corruption_detected"),
    ],
)
def test_a_file_that_was_spoilt_is_named(place: Place, path: str, content: str | bytes, state: str, event: str) -> None:
    place.write(path, content)
    verdict = look(world(place), "config")
    assert (verdict.state, verdict.affected, verdict.ask) == (state, (path,), None)
    assert path in verdict.reason
    assert trigger_of(verdict) == event


@pytest.mark.parametrize(
    ("path", "content"),
    [("settings/limits.json", '{"rate": 10, // no more\n "burst": 20}'), ("settings/feed.yaml", "title: [1, 2\n")],
)
def test_a_file_that_somebody_may_be_editing_is_never_replaced_without_asking(place: Place, path: str, content: str) -> None:
    place.write(path, content)
    verdict = look(world(place), "config")
    assert (verdict.state, verdict.affected, trigger_of(verdict)) == ("failing", (path,), "config_validation_failed")
    assert verdict.ask == f"somebody may be editing {path}, and what was changed there would be lost"


def test_a_file_that_is_gone_is_asked_about_unless_the_settings_name_it(place: Place) -> None:
    (place.folder / "settings/feed.yaml").unlink()
    verdict = look(world(place), "config")
    assert (verdict.state, verdict.affected) == ("incomplete", ("settings/feed.yaml",))
    assert verdict.ask is not None
    assert "settings/feed.yaml" in verdict.ask
    assert look(world(place, files="settings/feed.yaml,settings/*"), "config").ask is None


def test_configuration_of_which_nothing_is_left_is_lost(place: Place) -> None:
    for path in FILES:
        (place.folder / path).unlink()
    (place.folder / "settings").rmdir()
    verdict = look(world(place), "config")
    assert (verdict.state, len(verdict.affected)) == ("lost", 6)


def test_what_took_a_files_place_and_what_may_not_be_read_are_told(place: Place) -> None:
    (place.folder / "settings/feed.yaml").unlink()
    (place.folder / "settings/feed.yaml").mkdir()
    verdict = look(world(place), "config")
    assert (verdict.state, verdict.evidence["reasons"]["settings/feed.yaml"]) == ("damaged", "it is a folder now")


def test_a_variable_that_this_process_lacks_is_told_and_no_loss(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMPLE_MODE")
    verdict = look(world(place), "config")
    assert (verdict.state, verdict.evidence["missingVariables"]) == ("healthy", ["SAMPLE_MODE"])


def test_without_a_backup_or_any_configuration_nothing_is_wrong(place: Place, tmp_path: Path) -> None:
    place.write("settings/limits.json", "{")
    assert look(AssessedWorld(tmp_path, BACKUP_CONFIG_FILES=PATTERN), "config").state == "healthy"
    assert look(AssessedWorld(tmp_path), "config").state == "unknown"


def test_the_backup_of_another_hosts_folder_says_nothing_of_this_one(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "another-host")
    for path in FILES:
        (place.folder / path).unlink()
    assert look(world(place), "config").state == "lost"
    monkeypatch.chdir(tmp_path)
    assert look(world(place), "config").state == "unknown"


def test_backups_that_can_not_be_read_are_said_and_no_fault_of_the_configuration(place: Place) -> None:
    for manifest in (place.objects / "manifests").rglob("*"):
        if manifest.is_file():
            manifest.write_bytes(b"spoilt")
    again = Repository.open(LocalStorage(place.objects), key=UserKey.parse(KEY))
    verdict = look(AssessedWorld(place.folder.parent, repository=again, BACKUP_CONFIG_FILES=PATTERN), "config")
    assert verdict.state == "healthy"
    assert "there is no good config backup" in verdict.evidence["notCompared"]


class Answering(Service):
    """A service that is as it says."""

    def __init__(self, name: str, ok: bool | None) -> None:
        self.name = name
        self._ok = ok

    def health(self, deadline: Deadline) -> Health:
        deadline.require()
        return Health(self._ok, "it says so")

    def restart(self, deadline: Deadline, *, force: bool = False) -> list[str]:
        raise AssertionError("a look restarted a service")

    def start(self, deadline: Deadline) -> list[str]:
        raise AssertionError("a look started a service")

    def wait_for_health(self, deadline: Deadline) -> Health:
        raise AssertionError("a look waited")

    def foresee(self) -> str:
        return ""


def test_services_that_fail_are_named_and_those_that_can_not_be_asked_are_told(tmp_path: Path) -> None:
    services = [Answering("web", True), Answering("worker", False), Answering("cron", None)]
    verdict = look(AssessedWorld(tmp_path, services=services), "services")
    assert (verdict.state, verdict.affected) == ("failing", ("worker",))
    healthy = look(AssessedWorld(tmp_path, services=[services[0], services[2]]), "services")
    assert (healthy.state, healthy.reason) == ("healthy", "1 service answered well; cron can't be asked")
    assert look(AssessedWorld(tmp_path, services=services[2:]), "services").state == "unknown"
    assert look(AssessedWorld(tmp_path), "services").state == "unknown"
