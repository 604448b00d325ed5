"""A service that recovery plans may start and restart, and how they tell whether it is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.types import SecretDict
from pydantic import ConfigDict, Field, ValidationError

from blocks.names import own_name
from blocks.server import asked
from blocks.server_objects import read_all
from holdfast.errors import NotFoundError, SettingsError
from holdfast.recovery.services import open_service
from holdfast.recovery.services.description import OF_ENVIRONMENT, ServiceDescription

if TYPE_CHECKING:
    from holdfast.recovery.service import Service

PREFIX = "holdfast-service-"
"""How the names of these blocks begin; of a target its own prefix comes in front, as for all blocks (see names.py)."""

SLUG = "holdfast-managed-service"


class ManagedService(Block, ServiceDescription):
    """A service of systemd, Docker, Kubernetes, supervisor or commands of your own.

    Examples:
        Ask a service whether it is well.
        ```python
        from blocks import ManagedService
        from holdfast.recovery.deadline import Deadline

        service = ManagedService.load("holdfast-service-web").service()
        print(service.health(Deadline(60, "asking it")).reason)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Managed Service"
    _block_type_slug = SLUG
    _description = "A service that recovery plans of Holdfast may start and restart, and how they tell whether it is well."

    environment: SecretDict = Field(default_factory=lambda: SecretDict({}), description=OF_ENVIRONMENT)
    """Of the one kind of which Prefect knows that its values are secret."""

    def service(self, name: str | None = None) -> Service:
        """Open it, under the name that plans have for it."""
        return open_service(name or (self._block_document_name or "").removeprefix(PREFIX) or self.kind, self.described())

    def described(self) -> ServiceDescription:
        """Say the same for the engine."""
        values = {field: getattr(self, field) for field in ServiceDescription.model_fields}
        return ServiceDescription(**values | {"environment": self.environment.get_secret_value()})


def find_service(name: str, target: str | None) -> Service:
    """Load a service by its name. Raises NotFoundError, SettingsError, PrefectUnreachableError."""
    return read_service(name, target).service(name)


def read_service(name: str, target: str | None) -> ManagedService:
    """Load the block of a service. Raises NotFoundError, SettingsError, PrefectUnreachableError."""
    block = block_name(name, target)
    with asked(f"the service {name} is a block there"), get_client(sync_client=True) as client:
        try:
            document = client.read_block_document_by_name(block, SLUG, include_secrets=True)
        except ObjectNotFound:
            raise NotFoundError(
                f"there is no managed service {name}",
                reason=f"the Prefect server has no block {SLUG}/{block}",
                next_step="'holdfast services list' names those that there are, 'holdfast services add' adds one",
            ) from None
    try:
        return ManagedService._from_block_document(document)
    except ValueError as error:
        raise SettingsError(f"The block {SLUG}/{block} can't be used", reason=_reason(error)) from None


def service_names(target: str | None) -> list[str]:
    """Name the services that are saved. Raises PrefectUnreachableError."""
    prefix = own_name(PREFIX, target)
    with asked("the services are blocks there"), get_client(sync_client=True) as client:
        found = read_all(
            client,
            "/block_documents/filter",
            block_types={"slug": {"any_": [SLUG]}},
            block_documents={"is_anonymous": {"eq_": False}},
            include_secrets=False,
        )
    names = [str(one["name"]) for one in found]
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def save_service(name: str, described: ServiceDescription, target: str | None) -> str:
    """Save a service under its name, in the place of one of that name; return the block's. Raises PrefectUnreachableError."""
    values = {field: getattr(described, field) for field in ServiceDescription.model_fields}
    block = ManagedService(**values | {"environment": described.variables()})
    saved = block_name(name, target)
    with asked(f"it is to keep the service {name}"):
        try:
            block.save(saved, overwrite=True)
        except ObjectAlreadyExists:  # somebody else registers the type right now, and is done with it by the next try
            block.save(saved, overwrite=True)
    return saved


def remove_service(name: str, target: str | None) -> None:
    """Forget a service; the service itself is left as it is. Raises NotFoundError, PrefectUnreachableError."""
    with asked(f"it keeps the service {name}"), get_client(sync_client=True) as client:
        client.delete_block_document(_document_id(client, name, target))


def block_name(name: str, target: str | None) -> str:
    """Name the block of a service."""
    return own_name(PREFIX + name, target)


def _document_id(client: SyncPrefectClient, name: str, target: str | None) -> Any:
    try:
        return client.read_block_document_by_name(block_name(name, target), SLUG, include_secrets=False).id
    except ObjectNotFound:
        raise NotFoundError(
            f"there is no managed service {name}", next_step="'holdfast services list' names those that there are"
        ) from None


def _reason(error: ValueError) -> str:
    """Say what is wrong without quoting it."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    return "; ".join(str(one["msg"]) for one in error.errors(include_url=False, include_context=False, include_input=False))
