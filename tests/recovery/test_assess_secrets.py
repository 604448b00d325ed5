"""A secret that leaked is found and named, its value told to nobody; what may stand in a file raises no alarm."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from examples.content_pipeline.sample_files import lay_out
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.recovery.assessing import secrets
from holdfast.recovery.assessing.leaks import needles_of, search
from holdfast.recovery.assessing.secrets import with_named
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.triggers import trigger_of
from holdfast.repository import Repository, UserKey
from holdfast.sources.configuration.source import ConfigurationOptions, ConfigurationSource
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.sources.secrets.contract import SecretProvider
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.postgres_roles import PostgresRoles
from holdfast.sources.secrets.source import SecretsSource
from holdfast.storage.memory import MemoryStorage
from tests.postgres.servers import running_server
from tests.recovery.assessed import AssessedWorld, look
from tests.sources.backing_up import back_up

VALUE = "canary-Zq81.vKw0/mT"
PASSWORD = "canary4pass+word"
ENV = f"""
API_KEY={VALUE}
DATABASE_URL=postgresql://app:{PASSWORD.replace("+", "%2B")}@localhost/content
DEBUG_TOKEN=postgres
SITE_TITLE="Notes from the pipeline"
LOG_LEVEL=information
EMPTY=
"""


class Place:
    """A working directory with secrets, watched logs, configuration and functions; and a backup of the secrets' names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = self.write(".env", ENV)
        self.log = self.write("logs/app.log", "Notes from the pipeline, information, postgres\n")
        self.write("settings/app.json", '{"level": "information"}')
        self.write("supabase/functions/hello/index.ts", "Deno.serve(() => new Response('postgres'))")
        self.write("supabase/functions/.env", ENV)
        self.repository = Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))

    def write(self, path: str, text: str | bytes) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
        return place

    def back_up(self, *providers: SecretProvider) -> None:
        back_up(self.repository, SecretsSource(providers or (EnvFile(self.env),), self.repository.secret_digest))

    def world(self, *providers: SecretProvider, repository: Repository | None = None) -> AssessedWorld:
        return AssessedWorld(
            self.folder,
            repository=repository or self.repository,
            providers=providers or (EnvFile(self.env),),
            BACKUP_SECRETS_ENV_FILE=self.env,
            BACKUP_LEAK_FILES="logs/*,.env",
            BACKUP_CONFIG_FILES="settings/*",
            BACKUP_FUNCTIONS_PATH=self.folder / "supabase",
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    found = Place(tmp_path / "work")
    found.back_up()
    return found


def test_secrets_that_are_as_they_were_are_well_though_words_of_them_stand_everywhere(place: Place) -> None:
    verdict = look(place.world(), "secrets")
    assert (verdict.state, verdict.reason) == ("healthy", "6 secrets of 1 place are there")
    assert verdict.evidence["filesSearched"] == 3
    assert trigger_of(verdict) is None


def test_a_value_that_was_rotated_is_told_and_is_no_fault(place: Place) -> None:
    EnvFile(place.env).rotate("DEBUG_TOKEN")
    verdict = look(place.world(), "secrets")
    assert (verdict.state, verdict.evidence["changed"]) == ("healthy", ["env-file/DEBUG_TOKEN"])


@pytest.mark.parametrize("thorough", [True, False])
def test_a_value_in_a_watched_log_is_compromised_until_it_is_rotated(
    place: Place, thorough: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    place.write("logs/app.log", "line\n" * 300_000 + f"GET /?key={VALUE} 200\n")
    verdict = look(place.world(), "secrets", thorough=thorough)
    assert (verdict.state, verdict.affected, verdict.ask) == ("compromised", ("env-file/API_KEY",), None)
    assert verdict.evidence["leaks"] == {"env-file/API_KEY": [str(place.log)]}
    assert trigger_of(verdict) == "secrets_compromise_detected"
    assert VALUE not in json.dumps(verdict.document()) + caplog.text
    place.write(".env", ENV.replace(VALUE, "another-8Kd.value0"))
    assert look(place.world(), "secrets", thorough=thorough).state == "healthy"


def test_a_password_within_an_address_is_found_in_either_spelling(place: Place) -> None:
    for spelling in (PASSWORD, PASSWORD.replace("+", "%2B")):
        place.write("logs/app.log", f"connecting with {spelling}\n")
        assert look(place.world(), "secrets").affected == ("env-file/DATABASE_URL",)


def test_a_value_in_configuration_or_a_function_is_asked_about_for_it_may_be_meant(place: Place) -> None:
    place.write("supabase/functions/hello/index.ts", f"const key = '{VALUE}'")
    verdict = look(place.world(), "secrets")
    assert (verdict.state, verdict.affected) == ("compromised", ("env-file/API_KEY",))
    assert verdict.ask is not None
    assert "on purpose" in verdict.ask


def test_a_configuration_file_that_the_backup_knows_to_hold_a_secret_is_no_news(place: Place) -> None:
    place.write("settings/app.json", json.dumps({"api_key": VALUE}))
    assert look(place.world(), "secrets").state == "compromised"
    place.write("settings/more.json", "{}")
    back_up(place.repository, ConfigurationSource(ConfigurationOptions(place.folder, files=("settings/*",))))
    assert look(place.world(), "secrets").state == "healthy"


def test_a_quick_look_searches_the_end_of_a_long_log_and_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_LAST_BYTES", 1000)
    place.write("logs/app.log", VALUE + "\nline" * 1000)
    quick = look(place.world(), "secrets", thorough=False)
    assert (quick.state, quick.evidence["searchedInPart"]) == ("healthy", [str(place.log)])
    assert look(place.world(), "secrets").state == "compromised"


def test_a_value_across_two_blocks_of_a_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"x" * ((1 << 20) - 5) + VALUE.encode())
    needles = list(needles_of("env-file/API_KEY", "API_KEY", VALUE.encode(), always_secret=False))
    found = search([(file, "log"), (tmp_path / "none", "none")], needles, Deadline(60, "A search"), last_bytes=None)
    assert found.found == {"env-file/API_KEY": ["log"]}
    assert found.not_read == ["none"]
    assert VALUE not in repr(needles)


def test_of_a_document_only_what_is_secret_is_searched_for() -> None:
    document = json.dumps({"username": "content_app_1", "host": "db-1.example.com", "password": VALUE}).encode()
    assert {one.text for one in needles_of("aws/db", "db", document, always_secret=True)} == {
        VALUE.encode(),
        VALUE.replace("/", "%2F").encode(),
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_ANON_KEY", VALUE),
        ("NEXT_PUBLIC_API_KEY", VALUE),
        ("STRIPE_KEY", "pk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        ("SUPABASE_KEY", "sb_publishable_4eC39HqLyjWDarjtT1zdp7dc"),
    ],
)
def test_a_key_that_is_meant_for_everybody_leaks_nowhere(name: str, value: str) -> None:
    assert list(needles_of(f"env-file/{name}", name, value.encode(), always_secret=False)) == []
    assert list(needles_of("env-file/API_KEY", "API_KEY", VALUE.encode(), always_secret=False)) != []


def test_names_that_are_gone_are_incomplete_and_placeholders_are_told(place: Place) -> None:
    place.write(".env", ENV.replace("API_KEY", "#API_KEY"))
    verdict = look(place.world(), "secrets")
    assert (verdict.state, verdict.affected) == ("incomplete", ("env-file/API_KEY",))
    assert verdict.ask is not None
    place.write(".env", ENV.replace(VALUE, "__holdfast_placeholder__" + "0" * 32))
    verdict = look(place.world(), "secrets")
    assert (verdict.state, verdict.evidence["placeholders"]) == ("healthy", ["env-file/API_KEY"])
    place.env.unlink()
    assert len(look(place.world(), "secrets").affected) == 6


def test_without_a_backup_leaks_are_found_and_nothing_else_is_judged(place: Place, tmp_path: Path) -> None:
    empty = Repository.create(MemoryStorage(), key=UserKey.parse("22" * 32))
    assert look(place.world(repository=empty), "secrets").state == "healthy"
    place.write("logs/app.log", VALUE)
    assert look(place.world(repository=empty), "secrets").state == "compromised"
    assert look(AssessedWorld(tmp_path), "secrets").state == "unknown"


def test_secrets_that_an_event_names_are_compromised_and_a_pasted_value_is_not_repeated(place: Place) -> None:
    verdict = look(place.world(), "secrets")
    token = "sk-live-4242424242424242"
    named = with_named(verdict, {"secrets": ["env-file/API_KEY", f"env-file/{token}", 7]})
    assert (named.state, named.affected) == ("compromised", ("env-file/API_KEY",))
    assert named.evidence["namesNotUnderstood"] == 2
    assert token not in json.dumps(named.document())
    assert with_named(verdict, {"reason": "x"}) == verdict


@pytest.fixture(scope="module")
def database() -> Iterator[DatabaseUrl]:
    with running_server(18) as server:
        yield server.create_database("roles")


def test_a_role_with_power_that_the_backup_does_not_know_is_unauthorized(place: Place, database: DatabaseUrl) -> None:
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE app LOGIN; CREATE ROLE risen LOGIN")
        roles = PostgresRoles(database)
        place.back_up(roles)
        cursor.execute("CREATE ROLE harmless LOGIN; CREATE ROLE no_login SUPERUSER")
        assert look(place.world(roles), "secrets").state == "healthy"
        cursor.execute("CREATE ROLE intruder LOGIN SUPERUSER; ALTER ROLE risen CREATEROLE")
        verdict = look(place.world(roles), "secrets")
    expected = ("postgres-roles/intruder", "postgres-roles/risen")
    assert (verdict.state, verdict.affected, tuple(verdict.evidence["unauthorized"])) == ("compromised", expected, expected)
    assert verdict.ask is not None
    assert trigger_of(verdict) == "unauthorized_access"


def test_the_sample_as_it_is_laid_out_raises_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = lay_out(tmp_path / "sample")
    monkeypatch.chdir(tmp_path / "sample")
    repository = Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))
    providers = [EnvFile(sample.env_file)]
    back_up(repository, SecretsSource(providers, repository.secret_digest))
    back_up(repository, FunctionDirectory(sample.functions))
    back_up(repository, ConfigurationSource(ConfigurationOptions(sample.settings.parent, files=("settings/*",))))
    world = AssessedWorld(
        tmp_path,
        repository=repository,
        providers=providers,
        BACKUP_SECRETS_ENV_FILE=sample.env_file,
        BACKUP_CONFIG_FILES="settings/*",
        BACKUP_FUNCTIONS_PATH=sample.functions,
        BACKUP_LEAK_FILES="**/*",
    )
    for thorough in (True, False):
        assert {look(world, one, thorough=thorough).state for one in ("secrets", "config", "function")} == {"healthy"}
    (sample.settings / "left-behind.log").write_text(sample.secrets["SMTP_PASSWORD"])
    assert look(world, "secrets").affected == ("env-file/SMTP_PASSWORD",)
