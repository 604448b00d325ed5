"""The AWS session of a block without keys of its own: a profile, the machine's own credentials, or a role that it takes on.

What a role gives ends after an hour, and a backup may last longer: so the role is taken on again each time that it nears its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
    create_assume_role_refresher,
)
from botocore.exceptions import BotoCoreError

from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from prefect_aws import AwsCredentials

_REGION = "us-east-1"


def session_of(block: AwsCredentials) -> boto3.Session:
    """Make the session. Raises SettingsError (there is no such profile)."""
    secret = block.aws_secret_access_key
    try:
        own = boto3.Session(
            aws_access_key_id=block.aws_access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret is not None else None,
            aws_session_token=block.aws_session_token,
            profile_name=block.profile_name,
            region_name=block.region_name,
        )
    except BotoCoreError as error:
        raise SettingsError("The nested block of type aws-credentials can't be used", reason=str(error)) from error
    return _with_role(own, block) if block.assume_role_arn else own


def _with_role(own: boto3.Session, block: AwsCredentials) -> boto3.Session:
    parameters = {
        "RoleSessionName": "holdfast",
        **block.assume_role_kwargs.get_params_override(),
        "RoleArn": block.assume_role_arn,
    }
    region = own.region_name or _REGION
    inner = botocore.session.Session()
    inner.register_component("credential_provider", CredentialResolver([_Role(own, region, parameters)]))
    return boto3.Session(botocore_session=inner, region_name=region)


class _Role(CredentialProvider):  # type: ignore[misc]  # botocore has no types
    METHOD = "assume-role"
    CANONICAL_NAME = "AssumeRole"

    def __init__(self, own: boto3.Session, region: str, parameters: dict[str, object]) -> None:
        super().__init__()
        self._own, self._region, self._parameters = own, region, parameters

    def load(self) -> DeferredRefreshableCredentials:
        client = self._own.client("sts", region_name=self._region)
        return DeferredRefreshableCredentials(create_assume_role_refresher(client, self._parameters), self.METHOD)
