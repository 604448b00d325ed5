"""Steps that change one value of the configuration: that one and no other; what was there comes back; a secret is put nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, RefusedError, ServiceFailedError, SettingsError
from holdfast.opening import open_catalog
from holdfast.postgres.embedded import EmbeddedServer
from tests.postgres.servers import running_server
from tests.recovery.services import opened
from tests.recovery.stepping import SteppingWorld, foreseen, problems, run, step_of, undo, work_on

KIND = "config_update"
CANARY = "canary-of-a-value-5512"
YAML = "# of the shop\nserver:\n  port: 8080   # of the proxy\n  api_key: {canary}\n"
ENV = f"# of the shop\nLEVEL='info'\nAPI_KEY={CANARY}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with running_server(18) as one:
        yield one


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SteppingWorld:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(YAML.format(canary=CANARY))
    (tmp_path / "shop.yaml").chmod(0o640)
    (tmp_path / "other.yaml").write_text("a: 1\n")
    (tmp_path / ".env").write_text(ENV)
    restart = f"sh -c 'cat shop.yaml >> {tmp_path}/seen'"
    broken = f"sh -c 'cat shop.yaml >> {tmp_path}/seen; exit 1'"
    services = [opened("good", kind="command", restart=restart), opened("broken", kind="command", restart=broken)]
    return SteppingWorld(
        tmp_path, services=services, BACKUP_CONFIG_FILES=["shop.yaml"], BACKUP_SECRETS_ENV_FILE=tmp_path / ".env"
    )


def test_a_value_of_a_file_changes_and_an_undo_brings_the_former_file_back(world: SteppingWorld, tmp_path: Path) -> None:
    file, before = tmp_path / "shop.yaml", (tmp_path / "shop.yaml").read_text()
    key = "file:shop.yaml#server.port"
    parameters = {"configKey": key, "configValue": 9090, "restartRequired": True, "services": ["good"]}
    work = work_on(world, KIND, parameters=parameters)
    assert foreseen(work)[0] == f"change {key} from 8080 to 9090"
    assert file.read_text() == before
    done = run(work)
    assert file.read_text() == before.replace("8080", "9090") == (tmp_path / "seen").read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    assert json.loads(json.dumps(done.undo)) == done.undo
    assert CANARY not in str(done)

    back = undo(work, done.undo)
    assert back.summary == f"{key} is 8080 again"
    assert file.read_text() == before
    assert (tmp_path / "seen").read_text().endswith(before)
    undo(work, done.undo)
    assert file.read_text() == before


def test_an_undo_leaves_alone_what_somebody_has_changed_since(world: SteppingWorld, tmp_path: Path) -> None:
    work = work_on(world, KIND, parameters={"configKey": "file:shop.yaml#server.port", "configValue": 9090})
    done = run(work)
    (tmp_path / "shop.yaml").write_text("server: {port: 7070}\n")
    with pytest.raises(RefusedError, match="somebody has changed it since"):
        undo(work, done.undo)
    assert (tmp_path / "shop.yaml").read_text() == "server: {port: 7070}\n"


def test_where_a_service_does_not_come_up_the_former_value_is_put_back_and_a_second_attempt_begins_anew(
    world: SteppingWorld, tmp_path: Path
) -> None:
    before = (tmp_path / "shop.yaml").read_text()
    parameters = {"configKey": "file:shop.yaml#server.port", "configValue": 9090, "restartRequired": True}
    for _ in range(2):
        with pytest.raises(ServiceFailedError) as error:
            run(work_on(world, KIND, parameters=parameters))
        assert "file:shop.yaml#server.port was put back to 8080" in str(error.value.reason)
        assert (tmp_path / "shop.yaml").read_text() == before
    assert (tmp_path / "seen").read_text().count("9090") == 4


def test_a_second_attempt_after_a_death_still_knows_what_was_there_before(world: SteppingWorld, tmp_path: Path) -> None:
    """The first one died after it had changed the file, and before anybody heard of it."""
    before = (tmp_path / "shop.yaml").read_text()
    work = work_on(world, KIND, parameters={"configKey": "file:shop.yaml#server.port", "configValue": 9090})
    run(work)
    done = run(work)
    assert done.needed
    assert done.output["former"] == "8080"
    undo(work, done.undo)
    assert (tmp_path / "shop.yaml").read_text() == before


def test_a_value_that_is_not_there_is_told_with_its_file(world: SteppingWorld, tmp_path: Path) -> None:
    work = work_on(world, KIND, parameters={"configKey": "file:shop.yaml#server.nothing", "configValue": 1})
    with pytest.raises(NotFoundError, match=rf"{tmp_path}/shop\.yaml: it has no value server\.nothing"):
        run(work)


def test_a_value_that_is_there_already_is_not_needed_and_restarts_nothing(world: SteppingWorld, tmp_path: Path) -> None:
    parameters = {"configKey": "file:shop.yaml#server.port", "configValue": "8080", "restartRequired": True}
    assert not run(work_on(world, KIND, parameters=parameters)).needed
    assert not (tmp_path / "seen").exists()


def test_a_variable_changes_in_its_line_and_a_new_one_goes_again_by_an_undo(world: SteppingWorld, tmp_path: Path) -> None:
    env = tmp_path / ".env"
    for name, value, after in (
        ("LEVEL", "debug it", ENV.replace("'info'", "'debug it'")),
        ("NEW", True, f"{ENV}NEW=true\n"),
        ("LEVEL", None, ENV.replace("LEVEL='info'\n", "")),
    ):
        work = work_on(world, KIND, parameters={"configKey": f"environment:{name}", "configValue": value})
        done = run(work)
        assert env.read_text() == after
        undo(work, done.undo)
        assert sorted(env.read_text().replace("'", "").split()) == sorted(ENV.replace("'", "").split())
        env.write_text(ENV)
    kept = [file.read_text() for file in (world.settings.home / "kept").rglob("*") if file.is_file()]
    assert CANARY not in "".join(kept)


def test_a_setting_is_kept_in_the_catalog_and_comes_back_by_an_undo(server: EmbeddedServer, tmp_path: Path) -> None:
    url = server.create_database("catalog_of_updates").with_password().get_secret_value()
    world = SteppingWorld(tmp_path, BACKUP_CATALOG_URL=url)
    work = work_on(world, KIND, parameters={"configKey": "databaseBackupInterval", "configValue": 12})
    done = run(work)
    with open_catalog(world.settings) as catalog:
        assert catalog.config()["databaseBackupInterval"] == 12
        as_text = work_on(world, KIND, parameters={"configKey": "database_backup_interval", "configValue": "12"})
        assert not run(replace(as_text, execution_id="exec-2")).needed
        undo(work, done.undo)
        assert catalog.config().get("databaseBackupInterval") is None
        wrong = {"configKey": "databaseBackupInterval", "configValue": "often"}
        for mode in ("run", "drill"):
            with pytest.raises(SettingsError, match="databaseBackupInterval"):
                run(work_on(world, KIND, parameters=wrong, mode=mode))
        run(work_on(world, KIND, parameters=wrong | {"configValue": 6}, mode="drill"))
        assert catalog.config().get("databaseBackupInterval") is None


def test_a_drill_changes_a_copy_and_leaves_file_home_and_services_as_they_were(world: SteppingWorld, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    for key, value in (("file:shop.yaml#server.port", 9090), ("environment:LEVEL", "debug")):
        parameters = {"configKey": key, "configValue": value, "restartRequired": True}
        assert "could become" in run(work_on(world, KIND, parameters=parameters, mode="drill")).summary
    with pytest.raises(NotFoundError):
        run(work_on(world, KIND, parameters={"configKey": "file:shop.yaml#server.x", "configValue": 1}, mode="drill"))
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before
    assert list(world.settings.home.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("file:shop.yaml#server.api_key", "x"),
        ("environment:API_KEY", "x"),
        ("environment:LEVEL", "ghp_0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f"),
        ("environment:BACKUP_ENCRYPTION_KEY", "x"),
        ("file:other.yaml#a", 2),
        ("file:/etc/passwd#a", 2),
    ],
)
def test_a_secret_and_a_file_that_is_not_backed_up_are_never_changed(
    world: SteppingWorld, tmp_path: Path, key: str, value: object
) -> None:
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    with pytest.raises((RefusedError, NotFoundError)) as error:
        run(work_on(world, KIND, parameters={"configKey": key, "configValue": value}))
    assert CANARY not in str(error.value)
    assert str(value) not in str(error.value) or len(str(value)) < 8
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("databaseBackupIntervall", 12, "did you mean databaseBackupInterval"),
        ("encryptionKey", "x", "looks like a secret"),
        ("encryptionKeyFile", "x", "belongs to one host"),
        ("environment:API_KEY", "x", "looks like a secret"),
        ("environment:a=b", "x", "name of a variable"),
        ("environment:LEVEL", [1], "no list or object"),
        ("file:shop.yaml", 1, "takes the path of a file and the dotted path"),
        ("file:shop.properties#a", 1, "can't be changed safely"),
        ("file:shop.yaml#api.token", "x", "looks like a secret"),
    ],
)
def test_a_plan_is_told_by_day_what_could_not_be_changed_at_night(key: str, value: object, why: str) -> None:
    (found,) = problems(step_of(KIND, configKey=key, configValue=value))
    assert why in found
    assert found.startswith("parameters.config")


def test_a_right_step_has_no_problems_and_one_without_a_value_has() -> None:
    assert problems(step_of(KIND, configKey="backupStorageConfig.bucket", configValue="b", restartRequired=True)) == []
    assert problems(step_of(KIND, configKey="environment:LEVEL", configValue=None, services=["web"])) == []
    assert problems(step_of(KIND, configKey="environment:LEVEL")) != []
