"""No value of any secret, old or new, and no plain digest of one, is in what is returned, logged, raised or stored."""

from __future__ import annotations

import hashlib
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr

from holdfast.errors import HoldfastError
from holdfast.postgres.connection import DatabaseUrl
from holdfast.repository import Compression, Repository, UserKey
from holdfast.source_backup import SourceBackup, SourceBackupOptions
from holdfast.sources.dotenv import Dotenv
from holdfast.sources.secrets.contract import SecretProvider, SecretRecord
from holdfast.sources.secrets.diff import secrets_diff
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.kept import kept_secrets
from holdfast.sources.secrets.postgres_roles import PostgresRoles
from holdfast.sources.secrets.restore import RestoreSecrets
from holdfast.sources.secrets.source import SecretsSource
from holdfast.sources.secrets.supabase import SupabaseSecrets
from holdfast.sources.secrets.vault import SupabaseVault
from holdfast.sources.supabase import ManagementApi
from holdfast.storage import LocalStorage
from holdfast.storage.retrying import RetryPolicy
from tests.sources.secrets.aws_server import Region, own_region, secrets_manager
from tests.sources.secrets.conftest import RunSql
from tests.sources.supabase.server import REF, TOKEN, ManagementServer

HASTY = RetryPolicy(tries=1)


@dataclass
class Canaries:
    """Values that must show nowhere, and all that is said and stored."""

    values: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    def value(self, place: str) -> str:
        """Make the value that a secret of this place is to have."""
        made = f"canary-{place}-7f3Kq9ZtXw"
        self.values.add(made)
        return made

    def say(self, *things: object) -> None:
        self.said += [f"{thing!r} {thing!s}" for thing in things]

    def failure(self, work: Callable[[], object]) -> None:
        """Do what must fail, and keep all that the error holds, the errors behind it too."""
        with pytest.raises(HoldfastError) as caught:
            work()
        error: BaseException | None = caught.value
        self.say("".join(traceback.format_exception(caught.value)))
        while error is not None:
            self.say(error, error.args, error.__dict__)
            error = error.__cause__ or error.__context__

    def found(self) -> list[str]:
        """Tell which values, and which plain digests of values, were said."""
        everything = "\n".join(self.said)
        return [form for value in self.values for form in _forms(value) if form in everything]


def _forms(value: str) -> list[str]:
    data = value.encode()
    return [value, hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest(), data.hex()]


@dataclass
class Places:
    """Every place of secrets, with a canary in each."""

    canaries: Canaries
    env: Path
    region: Region
    project: ManagementServer
    database: DatabaseUrl
    run_sql: RunSql

    def providers(self) -> list[SecretProvider]:
        return [
            EnvFile(self.env),
            self.region.provider(),
            SupabaseSecrets(self.api(TOKEN)),
            PostgresRoles(self.database),
            SupabaseVault(self.database),
        ]

    def api(self, token: str) -> ManagementApi:
        return ManagementApi(self.project.address, REF, SecretStr(token), timeout_seconds=5, policy=HASTY)

    def values(self) -> set[str]:
        """Look up what all secrets are now."""
        rows = self.run_sql("SELECT decrypted_secret FROM vault.decrypted_secrets UNION ALL SELECT rolpassword FROM pg_authid")
        kept = {str(value) for (value,) in rows if value}
        kept |= {one.value for one in Dotenv.parse(self.env.read_text()).assignments}
        with self.region.client() as client:
            texts = [self.region.value(one["Name"]) for one in client.list_secrets()["SecretList"]]
        kept |= {value for text in texts for value in (json.loads(text).values() if text.startswith("{") else [text])}
        return kept


@pytest.fixture
def places(vault: DatabaseUrl, run_sql: RunSql, tmp_path: Path) -> Iterator[Places]:
    canaries = Canaries()
    env = tmp_path / ".env"
    env.write_text(f"ONE={canaries.value('env')}\nBROKEN='{canaries.value('broken')}\n")
    run_sql(f"SELECT vault.create_secret('{canaries.value('vault')}', 'one', 'about it')")
    run_sql(f"CREATE ROLE app LOGIN PASSWORD '{canaries.value('role')}'; CREATE ROLE plain LOGIN PASSWORD 'of-the-test'")
    run_sql(f"""ALTER ROLE app SET "app.key" = '{canaries.value("setting")}'""")
    with ExitStack() as held:
        region = held.enter_context(own_region(held.enter_context(secrets_manager())))
        project = held.enter_context(ManagementServer())
        project.project.secrets["ONE"] = (hashlib.sha256(canaries.value("project").encode()).hexdigest(), "2026-11-23T20:04:12Z")
        with region.client() as client:
            client.create_secret(Name="plain", SecretString=canaries.value("aws"))
            client.create_secret(Name="many", SecretString=json.dumps({"user": "shop", "password": canaries.value("aws-field")}))
        yield Places(canaries, env, region, project, vault, run_sql)


def test_no_value_and_no_plain_digest_shows_anywhere(places: Places, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canaries = places.canaries
    with ExitStack() as held:
        providers = [held.enter_context(closing(provider)) for provider in places.providers()]
        for repository in (_repository(tmp_path / "sealed", encrypt=True), _repository(tmp_path / "plain", encrypt=False)):
            _use(places, providers, repository)
        _fail(places, providers)
    stored = [path.read_bytes().decode("latin-1") for path in tmp_path.glob("*/**/*") if path.is_file()]
    assert len(stored) > 20
    canaries.values |= {value for value in places.values() if len(value) > 20}
    canaries.say(*stored, caplog.text, *(vars(record) for record in caplog.records))
    assert len(canaries.values) >= 13, "the values from before and after rotation"
    assert any("env-file" in said for said in canaries.said)
    assert canaries.found() == []


def _repository(folder: Path, *, encrypt: bool) -> Repository:
    key = UserKey.parse("11" * 32) if encrypt else None
    return Repository.create(LocalStorage(folder), key=key, encrypt=encrypt)


def _use(places: Places, providers: list[SecretProvider], repository: Repository) -> None:
    """Back up, rotate, compare, lose and restore, and keep all that is said."""
    canaries = places.canaries
    source = SecretsSource(providers, repository.secret_digest)
    with (
        repository.lease("backup") as lease,
        SourceBackup(repository, lease, source, SourceBackupOptions(Compression("none")), job_id="secrets_1_aaaaaaaaa") as backup,
    ):
        manifest = backup.run()
    canaries.say(manifest, backup.left_out, providers)
    kept = kept_secrets(repository, manifest)
    assert len(kept) == 5
    canaries.say(kept, [b"".join(repository.read(entry)).decode() for entry in manifest.entries])
    by_kind: dict[str, Any] = {provider.kind: provider for provider in providers}
    canaries.say(by_kind["env-file"].rotate("ONE"), by_kind["aws"].rotate("plain"), by_kind["aws"].rotate("many#password"))
    canaries.say(by_kind["supabase"].rotate("ONE"), by_kind["supabase-vault"].rotate("one"))
    delivered: list[str] = []
    canaries.say(by_kind["postgres-roles"].rotate("app", deliver=delivered.append))
    canaries.values |= {*delivered, *(value for value in places.values() if len(value) > 20)}
    canaries.say(secrets_diff(kept, providers, repository.secret_digest))
    lost = [replace(one, records=[*one.records, SecretRecord(one.name, "LOST", attributes=_ROLE)]) for one in kept]
    canaries.say(RestoreSecrets(lost, providers, dry_run=True).run(), RestoreSecrets(lost, providers).run())


_ROLE: dict[str, Any] = {"createdb": False, "inherit": True, "connection_limit": -1}


def _fail(places: Places, providers: list[SecretProvider]) -> None:
    """Do what is refused: wrong credentials, rights that are lacking, names that are not there."""
    canaries = places.canaries
    wrong = canaries.value("credential")
    plain = replace(places.database, user="plain", password=SecretStr("of-the-test"))
    denied = replace(places.database, user="plain", password=SecretStr(wrong))
    lister = places.region.service.user("secretsmanager:ListSecrets")
    with ExitStack() as held:
        refused: list[SecretProvider] = [
            SupabaseSecrets(places.api("sbp_" + wrong)),
            places.region.provider(boto3.Session("AKIAUNKNOWN", wrong)),
            PostgresRoles(denied),
            SupabaseVault(denied),
        ]
        weak: list[SecretProvider] = [places.region.provider(lister), PostgresRoles(plain), SupabaseVault(plain)]
        for provider in (*refused, *weak):
            held.callback(provider.close)
        for provider in refused:
            canaries.failure(lambda provider=provider: provider.read(lambda value: None))  # type: ignore[misc]
        canaries.failure(lambda: weak[0].rotate("plain"))
        canaries.failure(lambda: weak[1].rotate("app", deliver=lambda password: None))  # type: ignore[call-arg]
        canaries.failure(lambda: weak[2].rotate("one"))
        for provider in providers:
            canaries.failure(lambda provider=provider: provider.rotate("not-there"))  # type: ignore[misc]
    places.project.fail("POST", "/secrets", status=400, body=json.dumps({"message": wrong}).encode(), times=9)
    canaries.failure(lambda: providers[2].rotate("ONE"))


def test_the_watch_sees_what_it_watches_for() -> None:
    canaries = Canaries()
    value = canaries.value("shown")
    for form in _forms(value):
        canaries.said = [f"around {form} it"]
        assert canaries.found() == [form]
