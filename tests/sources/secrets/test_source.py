"""Secrets as a source of backups: what a backup then knows, how it differs from now, and what comes back of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, RefusedError, SettingsError, SourceEmptyError
from holdfast.postgres.connection import DatabaseUrl
from holdfast.repository import Compression, Manifest, Repository, UserKey
from holdfast.source_backup import SourceBackup, SourceBackupOptions
from holdfast.sources.secrets.contract import SecretProvider, SecretRecord
from holdfast.sources.secrets.diff import compare, secrets_diff
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.kept import KeptSecrets, kept_secrets
from holdfast.sources.secrets.postgres_roles import PostgresRoles
from holdfast.sources.secrets.restore import RestoreSecrets
from holdfast.sources.secrets.source import NO_DIGESTS, SecretsSource
from holdfast.sources.truth import read_truth
from holdfast.storage import MemoryStorage
from tests.sources.secrets.digests import keyed


@pytest.fixture
def repository() -> Repository:
    return Repository.create(MemoryStorage(), key=UserKey.parse("11" * 32))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("ONE=first\nTWO=second\nTHREE=third\nbroken\n")
    return path


def back_up(repository: Repository, *providers: SecretProvider, job_id: str = "secrets_1_aaaaaaaaa") -> Manifest:
    source = SecretsSource(providers, repository.secret_digest)
    with (
        repository.lease("backup") as lease,
        SourceBackup(repository, lease, source, SourceBackupOptions(Compression("none")), job_id=job_id) as backup,
    ):
        return backup.run()


def nowhere(database: DatabaseUrl) -> PostgresRoles:
    return PostgresRoles(replace(database, host="127.0.0.1", port=1))


def test_a_backup_knows_every_secret_and_names_what_it_could_not_read(repository: Repository, file: Path) -> None:
    manifest = back_up(repository, EnvFile(file))
    (kept,) = kept_secrets(repository, manifest)
    assert kept.description == {"kind": "env-file", "name": "env-file", "path": str(file)}
    assert [(record.name, record.digest) for record in kept.records] == [
        (name, repository.secret_digest(value)) for name, value in (("ONE", b"first"), ("THREE", b"third"), ("TWO", b"second"))
    ]
    truth = read_truth(repository, manifest)
    assert truth.parts["provider/env-file"].facts == {"secrets": 3, "notes": []}
    assert [str(one) for one in truth.left_out] == ["env-file, line 4: it is not NAME=value"]


def test_a_provider_that_does_not_answer_costs_no_other(repository: Repository, file: Path, database: DatabaseUrl) -> None:
    manifest = back_up(repository, EnvFile(file), nowhere(database))
    assert [kept.name for kept in kept_secrets(repository, manifest)] == ["env-file"]
    assert "provider/postgres-roles" in [one.name for one in read_truth(repository, manifest).left_out]


def test_secrets_that_are_none_are_not_backed_up_as_if_they_were(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# nothing\n")
    with pytest.raises(SourceEmptyError):
        back_up(repository, EnvFile(tmp_path / ".env"))
    with pytest.raises(NotFoundError):
        back_up(repository, EnvFile(tmp_path / "none"))
    assert repository.backups() == []


def test_two_providers_of_one_name_are_refused(file: Path) -> None:
    with pytest.raises(SettingsError, match="same name"):
        SecretsSource([EnvFile(file), EnvFile(file)], keyed)


def test_a_part_read_again_is_read_anew_and_the_same(file: Path) -> None:
    source = SecretsSource([EnvFile(file)], keyed)
    (part,) = source.parts()
    first, second = source.read(part), source.read(part)
    assert first.document == second.document
    assert source.description == SecretsSource([EnvFile(file)], keyed).description
    file.write_text("ONE=other\n")
    assert source.read(part).document != first.document


def test_without_encryption_there_are_no_digests_and_it_is_said(file: Path) -> None:
    plain = Repository.create(MemoryStorage(), key=None, encrypt=False)
    manifest = back_up(plain, EnvFile(file))
    (kept,) = kept_secrets(plain, manifest)
    assert [record.digest for record in kept.records] == [None, None, None]
    assert kept.notes == [NO_DIGESTS]
    file.write_text("ONE=changed\nTWO=second\nFOUR=fourth\n")
    (diff,) = secrets_diff([kept], [EnvFile(file)], plain.secret_digest)
    assert (diff.missing, diff.new, diff.changed, diff.unknown) == (["THREE"], ["FOUR"], [], ["ONE", "TWO"])
    assert not diff.same


def test_what_is_missing_changed_and_new_is_told(repository: Repository, file: Path) -> None:
    kept = kept_secrets(repository, back_up(repository, EnvFile(file)))
    file.write_text("ONE=first\nTWO=changed\nFOUR=fourth\n")
    (diff,) = secrets_diff(kept, [EnvFile(file)], repository.secret_digest)
    assert (diff.missing, diff.changed, diff.new, diff.unknown, diff.unchanged) == (["THREE"], ["TWO"], ["FOUR"], [], 1)
    assert diff.metadata == {}
    file.write_text("ONE=first\nTWO=second\nTHREE=third\n")
    file.chmod(0o600)
    (diff,) = secrets_diff(kept, [EnvFile(file)], repository.secret_digest)
    assert diff.metadata == {name: ["mode"] for name in ("ONE", "THREE", "TWO")}
    file.chmod(0o644)
    assert secrets_diff(kept, [EnvFile(file)], repository.secret_digest)[0].same


def test_providers_that_fail_or_are_on_one_side_only_are_told(file: Path, database: DatabaseUrl) -> None:
    kept = [KeptSecrets({"kind": "aws", "name": "aws"}, [SecretRecord("aws", "one")])]
    found = {diff.provider: diff for diff in secrets_diff(kept, [EnvFile(file), nowhere(database)], keyed)}
    assert set(found) == {"aws", "env-file", "postgres-roles"}
    assert found["env-file"].new == ["ONE", "THREE", "TWO"]
    assert "the settings name no such provider" in str(found["aws"].error)
    assert "does not answer" in str(found["postgres-roles"].error)
    assert not any(diff.same for diff in found.values())


def test_where_no_digest_is_known_the_providers_versions_tell() -> None:
    def record(name: str, version: str | None, **more: object) -> SecretRecord:
        return replace(SecretRecord("aws", name, version=version), **more)

    before = [record("a", "1"), record("b", "1"), record("c", None), record("d", "1", digest="x", readers=["me"])]
    now = [record("a", "1"), record("b", "2"), record("c", None), record("d", "2", digest="x", readers=["me", "you"])]
    diff = compare("aws", before, now)
    assert (diff.unchanged, diff.changed, diff.unknown, diff.metadata) == (2, ["b"], ["c"], {"d": ["readers"]})


def test_a_restore_fills_what_is_missing_and_the_diff_shows_what_waits(repository: Repository, file: Path) -> None:
    kept = kept_secrets(repository, back_up(repository, EnvFile(file)))
    file.write_text("ONE=first\n")
    RestoreSecrets(kept, [EnvFile(file)], dry_run=True).run()
    assert file.read_text() == "ONE=first\n"
    (done,) = RestoreSecrets(kept, [EnvFile(file)], only=["env-file/TWO"]).run()
    assert (done.created, done.kept) == (["TWO"], [])
    (done,) = RestoreSecrets(kept, [EnvFile(file)]).run()
    assert (done.created, done.kept) == (["THREE"], ["ONE", "TWO"])
    (diff,) = secrets_diff(kept, [EnvFile(file)], repository.secret_digest)
    assert diff.placeholders == diff.changed == ["THREE", "TWO"]


def test_secrets_go_to_the_one_provider_of_their_kind_whatever_it_is_called(file: Path, tmp_path: Path) -> None:
    kept = [KeptSecrets({"kind": "env-file", "name": "old"}, [SecretRecord("old", "ONE")])]
    new, other = EnvFile(tmp_path / "new.env", name="new"), EnvFile(tmp_path / "other.env", name="other")
    RestoreSecrets(kept, [new]).run()
    assert "ONE=" in (tmp_path / "new.env").read_text()
    for providers in ([], [new, other]):
        with pytest.raises(RefusedError, match="old"):
            RestoreSecrets(kept, providers).run()
    with pytest.raises(NotFoundError, match="old/TWO"):
        RestoreSecrets(kept, [new], only=["old/TWO"]).run()


def test_one_provider_that_fails_costs_no_other(file: Path, database: DatabaseUrl) -> None:
    kept = [
        KeptSecrets({"kind": "env-file", "name": "env-file"}, [SecretRecord("env-file", "NEW")]),
        KeptSecrets({"kind": "postgres-roles", "name": "postgres-roles"}, [SecretRecord("postgres-roles", "app")]),
    ]
    first, second = RestoreSecrets(kept, [EnvFile(file), nowhere(database)]).run()
    assert first.created == ["NEW"]
    assert "does not answer" in str(second.left_out[0])


@pytest.mark.parametrize(
    "document",
    [
        {"schema": 2},
        {"schema": 1, "provider": {}, "records": [], "notes": []},
        {"schema": 1, "provider": {"name": "x", "kind": "y"}, "records": [{"name": "z"}], "notes": []},
        {"schema": 1, "provider": {"name": "x", "kind": "y"}, "records": [5], "notes": []},
    ],
)
def test_a_document_of_another_form_is_not_taken_for_secrets(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"schema|field"):
        KeptSecrets.from_json(document)
