"""AWS Secrets Manager, on moto with real signatures and rights."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from holdfast.errors import (
    HoldfastError,
    NotFoundError,
    RefusedError,
    SettingsError,
    SourceDeniedError,
    SourceFailedError,
    SourceUnreachableError,
)
from holdfast.sources.secrets.aws import AwsSecrets
from holdfast.sources.secrets.aws_policy import readers_of
from holdfast.sources.secrets.contract import PLACEHOLDER, SecretRecord
from tests.sources.secrets.aws_server import Region, SecretsManager, own_region, secrets_manager
from tests.sources.secrets.digests import keyed

CANARY = "canary-of-aws"
LAMBDA = "arn:aws:lambda:eu-west-1:123456789012:function:turn"
READER = "arn:aws:iam::123456789012:root"


@pytest.fixture(scope="module")
def service() -> Iterator[SecretsManager]:
    with secrets_manager() as running:
        yield running


@pytest.fixture
def region(service: SecretsManager) -> Iterator[Region]:
    with own_region(service) as lent:
        yield lent


def policy(**more: object) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": READER}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | more]})


def test_secrets_are_told_with_versions_tags_readers_and_no_value(region: Region) -> None:
    with region.client() as client:
        made = client.create_secret(
            Name="shop/stripe", SecretString=CANARY, Description="for payments", Tags=[{"Key": "team", "Value": "shop"}]
        )
        client.put_resource_policy(SecretId="shop/stripe", ResourcePolicy=policy())
        client.create_secret(Name="binary", SecretBinary=b"\x00\xff" + CANARY.encode())
        client.create_secret(Name="without-value")
    found = region.provider().read(keyed)
    binary, stripe, valueless = found.records
    assert (binary.name, stripe.name, valueless.name) == ("binary", "shop/stripe", "without-value")
    assert stripe.digest == keyed(CANARY.encode())
    assert binary.digest == keyed(b"\x00\xff" + CANARY.encode())
    assert (valueless.digest, valueless.attributes["state"]) == (None, "empty")
    assert stripe.version == made["VersionId"]
    assert stripe.tags == {"team": "shop"}
    assert stripe.readers == [READER]
    assert binary.readers == []
    assert stripe.created_at is not None
    assert stripe.attributes["description"] == "for payments"
    assert found.notes == found.left_out == []
    assert CANARY not in str(found)
    assert [SecretRecord.from_json(one.to_json()) for one in found.records] == found.records


def test_more_secrets_than_one_answer_holds_are_all_told(region: Region) -> None:
    with region.client() as client:
        for number in range(105):
            client.create_secret(Name=f"s{number:03}", SecretString=str(number))
    found = region.provider().read(keyed)
    assert [record.name for record in found.records] == [f"s{number:03}" for number in range(105)]


def test_rights_that_are_lacking_cost_the_digest_and_not_the_record(service: SecretsManager, region: Region) -> None:
    with region.client() as client:
        client.create_secret(Name="one", SecretString=CANARY)
        client.create_secret(Name="two", SecretString=CANARY)
    lister = region.provider(service.user("secretsmanager:ListSecrets"))
    found = lister.read(keyed)
    assert [(record.name, record.digest, record.readers) for record in found.records] == [
        ("one", None, None),
        ("two", None, None),
    ]
    assert found.notes == [
        "the values of 2 secrets could not be read, so they have no digest: AWS refuses reading the value of secret one: 403",
        "the policies of 2 secrets could not be read, so it is not known who may read them: "
        "AWS refuses reading who may read secret one: 403",
    ]
    with pytest.raises(SourceDeniedError, match="secretsmanager:DescribeSecret"):
        lister.rotate("one")
    describer = region.provider(service.user("secretsmanager:ListSecrets", "secretsmanager:DescribeSecret"))
    done = describer.restore([SecretRecord("aws", "three"), SecretRecord("aws", "one")])
    assert done.created == []
    assert done.kept == ["one"]
    assert [str(one) for one in done.left_out] == ["three: AWS refuses making secret three: 403"]


def test_wrong_credentials_no_answer_and_no_region_are_told_apart(
    service: SecretsManager, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    for session in (boto3.Session("AKIAUNKNOWN", CANARY), boto3.Session(_key_id(service), CANARY), service.user("iam:GetUser")):
        with pytest.raises(SourceDeniedError, match="secretsmanager:ListSecrets") as refused:
            region.provider(session).read(keyed)
        assert CANARY not in str(refused.value)
    nowhere = AwsSecrets(region="eu-west-1", endpoint="http://127.0.0.1:1", session=service.owner, tries=1)
    with closing(nowhere), pytest.raises(SourceUnreachableError):
        nowhere.read(keyed)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(SettingsError, match="region"):
        AwsSecrets(session=boto3.Session("AKIAUNKNOWN", CANARY)).read(keyed)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "UnrecognizedClientException", SourceDeniedError),
        (400, "ExpiredTokenException", SourceDeniedError),
        (400, "AccessDeniedException", SourceDeniedError),
        (400, "ThrottlingException", SourceUnreachableError),
        (500, "InternalServiceError", SourceUnreachableError),
        (502, "", SourceUnreachableError),
        (400, "ValidationException", SourceFailedError),
    ],
)
def test_a_refusal_says_what_it_means_and_quotes_nothing(
    status: int, code: str, error: type[HoldfastError], service: SecretsManager
) -> None:
    said = json.dumps({"__type": code, "message": f"Value '{CANARY}' is not allowed"}).encode()
    with (
        answering(status, said) as address,
        closing(AwsSecrets(region="eu-west-1", endpoint=address, session=service.owner, tries=1)) as provider,
        pytest.raises(error) as refused,
    ):
        provider.read(keyed)
    assert CANARY not in "".join(traceback.format_exception(refused.value))
    assert type(refused.value) is error


def test_a_rotation_puts_a_new_value_of_the_same_form_in_force(region: Region) -> None:
    document = {"username": "shop", "password": CANARY, "port": 5432, "ünï": "x"}
    with region.client() as client:
        client.create_secret(Name="plain", SecretString=CANARY)
        client.create_secret(Name="binary", SecretBinary=CANARY.encode())
        client.create_secret(Name="many", SecretString=json.dumps(document))
    provider = region.provider()
    before = {record.name: record for record in provider.read(keyed).records}
    rotations = {name: provider.rotate(name) for name in ("plain", "binary", "many#password")}
    assert len(region.value("plain")) == 64
    assert len(region.value("binary")) == 32
    new = json.loads(region.value("many"))
    assert len(new.pop("password")) == 64
    assert new == {key: value for key, value in document.items() if key != "password"}
    after = {record.name: record for record in provider.read(keyed).records}
    for name, rotation in rotations.items():
        assert rotation.version == after[name.partition("#")[0]].version
        assert region.value("plain") not in repr(rotation)
    assert all(after[name].digest != before[name].digest for name in after)


def test_what_can_not_be_rotated_well_is_refused_and_stays(region: Region) -> None:
    with region.client() as client:
        client.create_secret(Name="many", SecretString=json.dumps({"password": CANARY, "port": 5432}))
        client.create_secret(Name="plain", SecretString=CANARY)
        client.create_secret(Name="address", SecretString=f"postgresql://me:{CANARY}@host/db")
    provider = region.provider()
    with pytest.raises(RefusedError, match="several values"):
        provider.rotate("many")
    with pytest.raises(RefusedError, match="no text"):
        provider.rotate("many#port")
    with pytest.raises(RefusedError, match="an address"):
        provider.rotate("address")
    for name in ("many#none", "plain#field", "nothing"):
        with pytest.raises(NotFoundError):
            provider.rotate(name)
    assert json.loads(region.value("many"))["password"] == region.value("plain") == CANARY


def test_lost_secrets_come_back_as_placeholders_with_tags_and_rotation(region: Region) -> None:
    provider = region.provider()
    rotation = {"enabled": True, "rules": {"AutomaticallyAfterDays": 30}, "function": None}
    lost_function = rotation | {"function": LAMBDA}
    records = [
        SecretRecord(
            "aws", "lost", tags={"team": "shop", "aws:stack": "x"}, rotation=rotation, attributes={"description": "why"}
        ),
        SecretRecord("aws", "changed", tags={"team": "shop", "owner": "me"}, rotation=rotation),
        SecretRecord("aws", "functionless", rotation=lost_function),
        SecretRecord("aws", "same", tags={"team": "shop"}),
        SecretRecord("aws", "deleted"),
    ]
    with region.client() as client:
        for name in ("changed", "same", "deleted"):
            client.create_secret(Name=name, SecretString=CANARY, Tags=[{"Key": "team", "Value": "other"}])
        client.delete_secret(SecretId="deleted")
    planned = provider.restore(records, dry_run=True)
    assert [record.name for record in provider.read(keyed).records] == ["changed", "same"]
    done = provider.restore(records)
    found = {record.name: record for record in provider.read(keyed).records}
    assert (done.created, done.kept) == (planned.created, planned.kept) == (["functionless", "lost"], ["same"])
    assert done.amended == planned.amended == ["changed"]
    assert [one.name for one in done.left_out] == ["deleted", "functionless, rotation"]
    assert "scheduled for deletion" in done.left_out[0].reason
    assert found["lost"].rotation == found["changed"].rotation == rotation
    assert region.value("lost").startswith(PLACEHOLDER)
    assert region.value("changed") == region.value("same") == CANARY
    assert found["lost"].tags == {"team": "shop"}
    assert found["lost"].attributes == {"description": "why", "key": None, "owning_service": None, "state": "placeholder"}
    assert found["changed"].tags == {"team": "other", "owner": "me"}
    assert provider.restore(records).created == []


def test_a_secret_that_aws_rotates_is_left_to_aws(region: Region) -> None:
    rules = {"AutomaticallyAfterDays": 30}
    with region.client() as client:
        client.create_secret(Name="managed", SecretString=CANARY)
        client.rotate_secret(SecretId="managed", RotationRules=rules, RotateImmediately=False)
    before = region.provider().read(keyed).records[0]
    assert before.rotation == {"enabled": True, "rules": rules, "function": None}
    rotation = region.provider().rotate("managed")
    after = region.provider().read(keyed).records[0]
    assert rotation.version == after.version != before.version
    assert after.attributes["state"] == "empty", "the value is the function's to make, and moto has none"


@pytest.mark.parametrize(
    ("text", "readers"),
    [
        ("", []),
        (policy(), [READER]),
        (policy(Action=["secretsmanager:Get*"], Principal="*"), ["*"]),
        (policy(Condition={"StringEquals": {"x": "y"}}), [f"{READER} (on conditions)"]),
        (policy(Effect="Deny"), []),
        (policy(Action="secretsmanager:DescribeSecret"), []),
        ('{"Statement": {"Effect": "Allow", "NotAction": "x", "Principal": "*"}}', []),
        ("no policy", None),
        ("[]", None),
    ],
)
def test_readers_are_those_of_the_policy(text: str, readers: list[str] | None) -> None:
    assert readers_of(text) == readers


@contextmanager
def answering(status: int, said: bytes) -> Iterator[str]:
    """Run a service that answers all requests so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _key_id(service: SecretsManager) -> str:
    found = service.owner.get_credentials()
    assert found is not None
    return str(found.access_key)
