"""`holdfast secrets`: what backups know is listed and compared, values are rotated, and none is ever printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.repository import Compression, Repository, UserKey
from holdfast.source_backup import SourceBackup, SourceBackupOptions
from holdfast.sources.dotenv import Dotenv
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.source import SecretsSource
from holdfast.storage import LocalStorage
from tests.cli.conftest import KEY, PASSWORD, Home, Ran, with_password
from tests.cli.test_startup import PREFECT, imported_by

CANARY = "canary-of-the-commands"
ROLE = "holdfast_of_the_commands"


@pytest.fixture
def env(home: Home, tmp_path: Path) -> Path:
    """A repository, and an .env file that the settings name."""
    file = tmp_path / "app.env"
    file.write_text(f"STRIPE={CANARY}\nMAIL='{CANARY}2'\n")
    home.settings["BACKUP_SECRETS_ENV_FILE"] = str(file)
    home.json("repo", "init")
    return file


@pytest.fixture
def role(source_server: EmbeddedServer) -> Iterator[DatabaseUrl]:
    """A login role, and the address of its server."""
    url = source_server.url()
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{CANARY}'")
        yield url
        cursor.execute(f"DROP ROLE {ROLE}")


def back_up(home: Home, env: Path) -> None:
    repository = Repository.open(LocalStorage(home.path / "repository"), key=UserKey.parse(SecretStr(KEY)))
    source = SecretsSource([EnvFile(env)], repository.secret_digest)
    with (
        repository.lease("backup") as lease,
        SourceBackup(repository, lease, source, SourceBackupOptions(Compression("none")), job_id="secrets_1_aaaaaaaaa") as made,
    ):
        made.run()


def values(env: Path) -> dict[str, str]:
    return {name: one.value for name, one in Dotenv.parse(env.read_text()).values().items()}


def said(*ran: Ran) -> str:
    return "".join(one.out + one.err for one in ran)


def test_what_a_backup_knows_is_listed_and_compared_without_prefect(home: Home, env: Path) -> None:
    back_up(home, env)
    env.write_text(f"STRIPE={CANARY}\nNEW={CANARY}3\n")
    found = home.json("secrets", "diff")
    (provider,) = found["providers"]
    assert (found["same"], found["backup"]) == (False, "secrets_1_aaaaaaaaa")
    assert (provider["missing"], provider["changed"], provider["new"], provider["unchanged"]) == (["MAIL"], [], ["NEW"], 1)
    shown = [home.run("secrets", "list"), home.run("secrets", "diff", "secrets_1_aaaaaaaaa")]
    assert [one.code for one in shown] == [0, 0]
    assert "MAIL" in shown[0].out
    assert "missing" in shown[1].out
    assert "1 unchanged" in shown[1].out
    assert CANARY not in said(*shown) + str(found)
    code, names = imported_by(home, "secrets", "diff", "--json")
    assert code == 0
    assert names.isdisjoint(PREFECT)


def test_a_new_value_is_put_in_force_and_not_shown(home: Home, env: Path) -> None:
    back_up(home, env)
    ran = home.run("secrets", "rotate", "env-file", "STRIPE", "--verbose")
    new = values(env)["STRIPE"]
    assert ran.code == 0
    assert new != CANARY
    assert values(env)["MAIL"] == f"{CANARY}2"
    assert new not in said(ran)
    assert CANARY not in said(ran)
    assert home.json("secrets", "diff")["providers"][0]["changed"] == ["STRIPE"]
    env.write_text(f"STRIPE={CANARY}\nMAIL='{CANARY}2'\n")
    assert home.run("secrets", "diff").out == "All secrets are as backup secrets_1_aaaaaaaaa knows them.\n"


def test_the_new_password_of_a_role_goes_into_the_env_file_and_nowhere_else(home: Home, env: Path, role: DatabaseUrl) -> None:
    home.settings |= {"BACKUP_DATABASE_URL": with_password(role), "BACKUP_SECRETS_PROVIDERS": "postgres-roles"}
    refused = home.error(4, "secrets", "rotate", "postgres-roles", ROLE)
    assert "nobody would know" in refused["reason"]
    ran = home.run("secrets", "rotate", "postgres-roles", ROLE, "--into", "APP_PASSWORD")
    assert ran.code == 0
    assert len(values(env)["APP_PASSWORD"]) == 64
    assert values(env)["APP_PASSWORD"] not in said(ran)
    assert PASSWORD not in said(ran)


def test_what_can_not_be_done_is_said_with_the_name(home: Home, env: Path) -> None:
    assert home.error(3, "secrets", "list")["code"] == "HF-300"
    assert "'OTHER'" in home.error(3, "secrets", "rotate", "env-file", "OTHER")["message"]
    assert "env-file" in home.error(3, "secrets", "rotate", "aws", "OTHER")["reason"]
    assert "PostgreSQL" in home.error(2, "secrets", "rotate", "env-file", "STRIPE", "--force")["message"]
    back_up(home, env)
    env.unlink()
    failed = home.json("secrets", "diff", code=3)
    assert str(env) in failed["providers"][0]["error"]["message"]
