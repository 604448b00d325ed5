"""Managed services as blocks of a real Prefect server: they come back as they were, and no secret of theirs is shown."""

from __future__ import annotations

import json

import pytest
from prefect.client.orchestration import get_client

from blocks import ManagedService
from blocks.managed_service import SLUG, find_service, read_service, remove_service, save_service, service_names
from holdfast.errors import NotFoundError
from holdfast.recovery.services.description import ServiceDescription

CANARY = "canary-of-a-managed-service"

pytestmark = pytest.mark.usefixtures("prefect_server")


def described() -> ServiceDescription:
    url = f"http://ops:{CANARY}@127.0.0.1:9/ready"
    return ServiceDescription.model_validate(
        {"kind": "command", "start": "true", "stop": "true", "health_url": url, "environment": {"PASS": CANARY}}
    )


def test_a_service_comes_back_as_it_was_saved_and_of_each_target_only_its_own() -> None:
    assert save_service("web", described(), None) == "holdfast-service-web"
    assert save_service("web", described(), "shop") == "shop-service-web"
    save_service("only", described(), "shop")
    assert (service_names(None), service_names("shop"), service_names("other")) == (["web"], ["only", "web"], [])
    assert read_service("web", "shop").described() == described()
    assert find_service("web", None).name == "web"
    assert ManagedService.load("holdfast-service-web").service().name == "web"

    remove_service("web", None)
    assert service_names(None) == []
    for gone in (find_service, remove_service):
        with pytest.raises(NotFoundError, match="no managed service web"):
            gone("web", None)


def test_the_server_shows_no_secret_of_it() -> None:
    save_service("hidden", described(), None)
    with get_client(sync_client=True) as client:
        shown = client.read_block_document_by_name("holdfast-service-hidden", SLUG, include_secrets=False)
    assert shown.data["environment"] == {"PASS": "********"}
    assert CANARY not in json.dumps(shown.data)
    assert CANARY not in repr(read_service("hidden", None))
    assert CANARY not in json.dumps(described().document())
