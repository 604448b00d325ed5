"""AWS Secrets Manager, as a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from pydantic import ConfigDict, Field

if TYPE_CHECKING:
    from holdfast.sources.secrets.contract import SecretProvider


class AwsSecretsManager(Block):
    """The secrets of an AWS account in one region.

    Examples:
        See what the account is called among the providers.
        ```python
        from blocks import AwsSecretsManager

        print(AwsSecretsManager.load("holdfast-secrets-aws").provider().description)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "AWS Secrets Manager Metadata"
    _block_type_slug = "holdfast-aws-secrets-manager"
    _description = "An AWS Secrets Manager of whose secrets Holdfast backs the metadata up."

    credentials: AwsCredentials | None = Field(
        None, description="Credentials that Prefect holds already; without them AWS's own ways of finding some are tried."
    )
    region: str | None = Field(None, description="Region of the secrets; without it that of the credentials.")
    endpoint: str | None = Field(None, description="Address of the service where it is not AWS's own.")

    def provider(self) -> SecretProvider:
        """Open it as a provider."""
        from holdfast.sources.secrets.aws import AwsSecrets

        session = None if self.credentials is None else self.credentials.get_boto3_session()
        return AwsSecrets(region=self.region, endpoint=self.endpoint, session=session)
