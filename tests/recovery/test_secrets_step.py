"""Steps that rotate secrets: what leaked gets a new value, everything else keeps its own, and what can't be rotated is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.errors import DatabaseUnreachableError, RefusedError, SourceUnreachableError, WorkFailedError
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.recovery.rotating import Rotating
from holdfast.recovery.verdict import Verdict
from holdfast.settings import Settings
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.postgres_roles import PostgresRoles
from tests.postgres.servers import running_server
from tests.recovery.stepping import SteppingWorld, foreseen, problems, run, step_of, work_on

KIND = "secrets"
CANARY = "canary-value-of-a-secret-8841"
ENV = f"""\
# of the shop
API_KEY={CANARY}
OTHER_KEY={CANARY}-other
DATABASE_URL=postgresql://shop:{CANARY}@db/shop
BACKUP_ENCRYPTION_KEY={CANARY}-opens-everything
BACKUP_STORAGE_SECRET_KEY={CANARY}-storage
APP_PASSWORD={CANARY}-app
"""


@pytest.fixture
def env(tmp_path: Path) -> Path:
    file = tmp_path / ".env"
    file.write_text(ENV)
    file.chmod(0o600)
    return file


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with running_server(18) as one:
        yield one


def values(env: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in env.read_text().splitlines() if "=" in line)


def world_of(env: Path, *further: PostgresRoles) -> SteppingWorld:
    return SteppingWorld(env.parent, providers=[EnvFile(env), *further], BACKUP_SECRETS_ENV_FILE=env)


def test_what_assessment_step_and_event_name_gets_new_values_and_nothing_else_does(env: Path) -> None:
    verdict = Verdict("secrets", "compromised", "a value stands in a log", affected=("env-file/API_KEY",))
    given = {"verdicts": [verdict], "facts": {"secrets": "env-file/OTHER_KEY"}}
    work = work_on(world_of(env), KIND, parameters={"names": ["env-file/APP_PASSWORD"]}, **given)
    assert foreseen(work) == [f"rotate env-file/{name}" for name in ("API_KEY", "APP_PASSWORD", "OTHER_KEY")]
    assert env.read_text() == ENV
    before = values(env)
    done = run(work)
    changed = {name for name, value in values(env).items() if value != before[name]}
    assert changed == {"API_KEY", "APP_PASSWORD", "OTHER_KEY"}
    assert done.output["rotated"] == ["env-file/API_KEY", "env-file/APP_PASSWORD", "env-file/OTHER_KEY"]
    assert "has to read it again" in done.notes[0]
    assert not any(value in str(done) for value in (*before.values(), *values(env).values()))


def test_what_is_only_gone_is_no_leak_and_is_left_to_the_restore(env: Path) -> None:
    verdict = Verdict("secrets", "incomplete", "gone", affected=("env-file/TAKEN_AWAY",))
    done = run(work_on(world_of(env), KIND, parameters={}, verdicts=[verdict]))
    assert (done.needed, env.read_text()) == (False, ENV)


def test_where_nothing_tells_what_leaked_nothing_is_rotated_and_how_to_name_it_is_said(env: Path) -> None:
    work = work_on(world_of(env), KIND, parameters={"scope": "compromised"})
    assert foreseen(work) == ["rotate nothing: nothing tells which secrets others may know, so none was rotated"]
    done = run(work)
    assert not done.needed
    assert "holdfast emit secrets_compromise_detected" in done.notes[0]
    assert env.read_text() == ENV


def test_what_can_not_be_rotated_fails_the_step_only_after_the_others_were_and_our_own_is_never_touched(env: Path) -> None:
    work = work_on(world_of(env), KIND, parameters={"scope": "all", "names": ["nowhere/X"]})
    before = values(env)
    with pytest.raises(WorkFailedError) as error:
        run(work)
    changed = {name for name, value in values(env).items() if value != before[name]}
    assert changed == {"API_KEY", "APP_PASSWORD", "OTHER_KEY"}
    said = str(error.value)
    assert "4 of 7 secrets were not rotated" in said
    for name, why in {
        "nowhere/X": "no provider of the settings keeps it",
        "env-file/DATABASE_URL": "its value is an address",
        "env-file/BACKUP_ENCRYPTION_KEY": "holdfast keys rotate",
        "env-file/BACKUP_STORAGE_SECRET_KEY": "would lock Holdfast out",
    }.items():
        (line,) = [line for line in str(error.value.reason).splitlines() if line.startswith(name)]
        assert why in line
    assert CANARY not in said


@pytest.mark.parametrize(
    "value", ["sk_live_" + "a1B2" * 6, "ghp_" + "a1B2" * 9, f"eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoi{'x' * 12}.{'y' * 20}"]
)
def test_what_another_service_gives_out_is_never_replaced_by_a_random_text(env: Path, value: str) -> None:
    env.write_text(f"API_KEY={value}\nOTHER_KEY={CANARY}\n")
    verdict = Verdict("secrets", "compromised", "in a log", affected=("env-file/API_KEY", "env-file/OTHER_KEY"))
    with pytest.raises(WorkFailedError, match="1 of 2 secrets were not rotated: env-file/API_KEY") as error:
        run(work_on(world_of(env), KIND, parameters={}, verdicts=[verdict]))
    assert "Have that service give out another one" in str(error.value.reason)
    assert value not in str(error.value)
    assert values(env)["API_KEY"] == value
    assert values(env)["OTHER_KEY"] != CANARY


class _Blocks(EnvFile):
    """Stands for the Secret blocks of a Prefect server, of which only the names count here."""

    kind = "prefect"


def test_the_blocks_in_which_settings_of_a_target_travel_are_never_rotated(env: Path) -> None:
    rotating = Rotating([_Blocks(env)], Settings(), lambda _: None)
    assert rotating.found("prefect/mine")[1] == "mine"
    for name in ("shop-encryption-key", "shop-pagerduty-key", "BACKUP_ENCRYPTION_KEY", "PREFECT_API_KEY"):
        with pytest.raises(RefusedError):
            rotating.found(f"prefect/{name}")


def test_a_second_attempt_rotates_nothing_again_and_takes_what_was_changed_by_hand_for_done(env: Path) -> None:
    world = world_of(env)
    parameters = {"names": ["env-file/API_KEY", "env-file/DATABASE_URL"]}
    with pytest.raises(WorkFailedError):
        run(work_on(world, KIND, parameters=parameters))
    rotated = values(env)["API_KEY"]
    with pytest.raises(WorkFailedError, match="1 of 2"):
        run(work_on(world, KIND, parameters=parameters))
    env.write_text(env.read_text().replace(f"shop:{CANARY}", "shop:changed-by-hand"))
    done = run(work_on(world, KIND, parameters=parameters))
    assert done.output == {"rotated": [], "rotatedBefore": parameters["names"], "byHand": []}
    assert values(env)["API_KEY"] == rotated
    kept = (world.settings.home / "kept" / "exec-1" / "do_it-rotated.json").read_text()
    assert CANARY not in kept
    assert rotated not in kept


def test_a_role_gets_a_password_that_somebody_knows_and_our_own_login_none(server: EmbeddedServer, env: Path) -> None:
    with closing(connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE app LOGIN PASSWORD 'old'")
        cursor.execute("CREATE ROLE lonely LOGIN")
    roles = PostgresRoles(server.url())
    ours = str(server.url().user)
    names = [f"postgres-roles/{name}" for name in ("app", "lonely", ours)]
    into = {f"postgres-roles/{name}": variable for name, variable in (("app", "APP_PASSWORD"), (ours, "OURS"))}
    with pytest.raises(WorkFailedError) as error:
        run(work_on(world_of(env, roles), KIND, parameters={"names": names, "into": into}))
    assert "2 of 3 secrets were not rotated" in error.value.message
    assert "nobody would know the new one" in str(error.value.reason)
    assert "change BACKUP_DATABASE_URL right after" in str(error.value.reason)
    assert "OURS" not in values(env)
    with closing(connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolpassword FROM pg_authid WHERE rolname IN ('app', 'lonely') ORDER BY rolname")
        (app,), (lonely,) = cursor.fetchall()
    assert (app.startswith("SCRAM"), lonely) == (True, None)
    assert values(env)["APP_PASSWORD"] != f"{CANARY}-app"


def test_a_provider_that_does_not_answer_is_worth_another_try_and_hinders_no_other(env: Path) -> None:
    gone = PostgresRoles(DatabaseUrl.parse("postgresql://ops@127.0.0.1:1/shop"))
    parameters = {"names": ["postgres-roles/app", "env-file/API_KEY"], "into": {"postgres-roles/app": "APP_PASSWORD"}}
    with pytest.raises(SourceUnreachableError) as error:
        run(work_on(world_of(env, gone), KIND, parameters=parameters))
    assert error.value.retryable
    assert "rotated were: env-file/API_KEY" in str(error.value.reason)
    with pytest.raises(DatabaseUnreachableError):
        run(work_on(world_of(env, gone), KIND, parameters={"scope": "all"}))


def test_a_drill_rotates_a_copy_and_leaves_the_file_and_the_home_as_they_were(env: Path) -> None:
    world = world_of(env)
    done = run(work_on(world, KIND, parameters={"scope": "compromised"}, mode="drill"))
    assert done.summary == "3 of 6 secrets could be rotated"
    assert any("an address" in note for note in done.notes)
    assert env.read_text() == ENV
    assert list(world.settings.home.iterdir()) == []
    with pytest.raises(WorkFailedError):
        run(work_on(world, KIND, parameters={"names": ["env-file/DATABASE_URL"]}, mode="drill"))


def test_a_drill_looks_whether_roles_could_be_rotated(server: EmbeddedServer, env: Path) -> None:
    with closing(connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE drilled LOGIN PASSWORD 'old'")
        cursor.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'drilled'")
        before = cursor.fetchall()
        world = world_of(env, PostgresRoles(server.url()))
        parameters = {"names": ["postgres-roles/drilled"], "into": {"postgres-roles/drilled": "DRILLED"}}
        done = run(work_on(world, KIND, parameters=parameters, mode="drill"))
        assert done.output["rotated"] == ["postgres-roles/drilled"]
        for wrong in ({"names": ["postgres-roles/nobody"]}, {"names": ["postgres-roles/drilled"]}):
            with pytest.raises(WorkFailedError):
                run(work_on(world, KIND, parameters=wrong, mode="drill"))
        cursor.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'drilled'")
        assert cursor.fetchall() == before
    assert env.read_text() == ENV


def test_a_plan_is_told_what_is_wrong() -> None:
    assert problems(step_of(KIND, action="rotate", scope="all", names=["env-file/A"])) == []
    assert problems(step_of(KIND, action="delete")) != []
