"""AWS Secrets Manager as a service: its client, and its errors as ours. It is quoted only where it can't quote a value."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from holdfast.errors import (
    HoldfastError,
    NotFoundError,
    SettingsError,
    SourceDeniedError,
    SourceFailedError,
    SourceUnreachableError,
)

if TYPE_CHECKING:
    from boto3 import Session

_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "NotAuthorized", "UnauthorizedOperation"})
_WRONG_CREDENTIALS = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "ExpiredToken",
        "ExpiredTokenException",
    }
)
_LATER = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "InternalServiceError", "ServiceUnavailable"}
)
_FORBIDDEN = 403
_CONNECT_SECONDS, _READ_SECONDS = 10, 60


def make_client(session: Session | None, *, region: str | None, endpoint: str | None, tries: int) -> Any:
    """Make a client with the credentials of a session, else with those that AWS's default chain finds. Raises SettingsError."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    _keep_bodies_out_of_logs()
    config = Config(
        retries={"mode": "standard", "max_attempts": tries}, connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS
    )
    try:
        return (session or boto3.Session()).client("secretsmanager", region_name=region, endpoint_url=endpoint, config=config)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(
            "AWS Secrets Manager can't be used", reason=str(error), next_step="Set AWS_REGION, or AWS_PROFILE to a profile"
        ) from error


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Raise our errors for those of the service and of its client; `doing` says at what, as "listing the secrets"."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _refusal(error, doing) from None  # its frames hold what was sent
    except BotoCoreError as error:
        raise _no_answer(error, doing) from None


def code_of(error: Exception) -> str:
    """Return the service's code of a `ClientError`."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__))


def pages(call: Callable[..., dict[str, Any]], items: str) -> Iterator[dict[str, Any]]:
    """Yield the items of all pages of a listing."""
    token: dict[str, str] = {}
    while True:
        answer = call(**token)
        yield from answer.get(items, [])
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _refusal(error: Any, doing: str) -> HoldfastError:
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _DENIED or (status == _FORBIDDEN and code == str(_FORBIDDEN)):  # a proxy's refusal has no code but its status
        right = f"secretsmanager:{error.operation_name}"
        return SourceDeniedError(f"AWS refuses {doing}", reason=code, next_step=f"Allow {right}, and the use of the secret's key")
    if code in _WRONG_CREDENTIALS:
        return SourceDeniedError(f"AWS refuses our credentials while {doing}", reason=code)
    if code == "ResourceNotFoundException":
        return NotFoundError(f"AWS Secrets Manager has not what is needed for {doing}", reason=code)
    if code in _LATER or status >= 500:
        return SourceUnreachableError(f"AWS Secrets Manager does not answer while {doing}", reason=code)
    return SourceFailedError(f"AWS Secrets Manager failed {doing}", reason=code)


def _no_answer(error: Exception, doing: str) -> HoldfastError:
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError, NoCredentialsError, ParamValidationError, PartialCredentialsError

    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return SettingsError(
            f"there are no AWS credentials for {doing}",
            reason="neither the environment, nor a profile, nor this machine's role has any",
            next_step="Set AWS_PROFILE, or log in with 'aws'",
        )
    if isinstance(error, HTTPClientError | NoConnection):
        return SourceUnreachableError(f"AWS Secrets Manager does not answer while {doing}", reason=type(error).__name__)
    if isinstance(error, ParamValidationError):
        return SourceFailedError(f"AWS takes not what was sent for {doing}", reason="a field of it is not of AWS's form")
    return SourceFailedError(f"AWS Secrets Manager can't be used for {doing}", reason=type(error).__name__)


def _keep_bodies_out_of_logs() -> None:
    """botocore logs every body at level DEBUG, and here these are secrets."""
    logger = logging.getLogger("botocore")
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)
