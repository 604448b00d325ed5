"""Everything that the OpenAPI document allows, and much that it does not, asked of an API with a real catalog and repository.

No answer may be a fault that nobody foresaw, and none may be other than the document says. The examples are the same each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from api.app import create_app
from api.openapi import describe
from holdfast.opening import open_catalog
from holdfast.recovery.plan_book import PlanBook
from holdfast.tokens import SCOPES, Tokens
from tests.api.running import running
from tests.postgres.servers import running_server
from tests.standing import settings_in, some_backups

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "8"))
DOCUMENT = json.loads(json.dumps(describe(create_app())))
CHECKED = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.unsupported_method,
]
NO_PREFECT = "http://127.0.0.1:9/api"

schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """An API with backups, plans and a catalog, whose Prefect server is away, and a token that may do everything."""
    folder = tmp_path_factory.mktemp("schemathesis")
    with pytest.MonkeyPatch.context() as patch, running_server(18) as server:
        catalog_url = server.create_database("catalog").without_password()
        chosen = settings_in(folder, patch, BACKUP_CATALOG_URL=catalog_url, PREFECT_API_URL=NO_PREFECT)
        some_backups(chosen)
        open_catalog(chosen).close()
        PlanBook(chosen).make_defaults()
        token = Tokens.of(chosen).create("everything", SCOPES)
        with running(chosen) as one:
            yield one.url, token


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_nothing_that_can_be_asked_fails_in_a_way_that_nobody_foresaw(case: schemathesis.Case, answered: tuple[str, str]) -> None:
    url, token = answered
    response = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert response.status_code != 500, response.text
    case.validate_response(response, checks=CHECKED)
