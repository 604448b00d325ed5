"""AWS Secrets Manager as moto makes it, which checks signatures and rights: a region of its own for each test."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from holdfast.sources.secrets.aws import AwsSecrets
from tests.storage.servers import S3_KEY_ID, S3_SECRET, own_server

_REGIONS = itertools.cycle(
    ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "eu-central-1"]
)
_names = itertools.count(1)


@dataclass(frozen=True)
class SecretsManager:
    """The service; `owner` may do all, users that `user` makes only what they are given."""

    endpoint: str
    owner: boto3.Session

    def user(self, *actions: str) -> boto3.Session:
        """Make a user who may do this."""
        with closing(self.owner.client("iam", endpoint_url=self.endpoint, region_name="us-east-1")) as iam:
            return _user(iam, *actions)


@dataclass(frozen=True)
class Region:
    """One region, with secrets in it or none."""

    service: SecretsManager
    name: str
    opened: list[AwsSecrets] = field(default_factory=list)

    def provider(self, session: boto3.Session | None = None) -> AwsSecrets:
        made = AwsSecrets(region=self.name, endpoint=self.service.endpoint, session=session or self.service.owner)
        self.opened.append(made)
        return made

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Look at it, and fill it, without Holdfast."""
        found = self.service.owner.client("secretsmanager", endpoint_url=self.service.endpoint, region_name=self.name)
        with closing(found):
            yield found

    def value(self, name: str) -> Any:
        with self.client() as client:
            found = client.get_secret_value(SecretId=name)
        return found.get("SecretString") or found["SecretBinary"]


@contextmanager
def secrets_manager() -> Iterator[SecretsManager]:
    """Run the service for as long as the context lasts."""
    with own_server("s3") as server:
        anybody = boto3.Session(S3_KEY_ID, S3_SECRET, region_name="us-east-1")
        with closing(anybody.client("iam", endpoint_url=server.endpoint)) as iam:
            owner = _user(iam, "secretsmanager:*", "iam:*")
        address = f"{server.endpoint}/moto-api/reset-auth"  # from here on moto looks at who asks
        urllib.request.urlopen(urllib.request.Request(address, b"0", {"Content-Type": "text/plain"}, method="POST")).close()
        yield SecretsManager(server.endpoint, owner)


@contextmanager
def own_region(service: SecretsManager) -> Iterator[Region]:
    """Lend a region that no test has used since the service started, and close what was opened in it."""
    region = Region(service, next(_REGIONS))
    yield region
    for provider in region.opened:
        provider.close()


def _user(iam: Any, *actions: str) -> boto3.Session:
    name = f"user-{next(_names)}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"])
