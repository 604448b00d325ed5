"""The OpenAPI document: whole, true, and shown to whoever may ask."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from api.actions import ACTIONS
from api.guide import PATH
from api.parts import Parts
from api.schemas.answers import ANSWERS, OF_THE_GUIDE
from holdfast.tokens import Tokens
from tests.api.answering import answering
from tests.api.documented import document
from tests.standing import settings_in

OPERATIONS = [(path, method, operation) for path, methods in document()["paths"].items() for method, operation in methods.items()]
IDS = [f"{method} {path}" for path, method, _ in OPERATIONS]


def test_a_client_that_is_made_from_it_has_methods_with_good_names() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names)) > 30
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name) for name in names)
    assert set(names) - set(ANSWERS) == {"guideLook", "guideDo", "metrics"}
    assert set(OF_THE_GUIDE) == set(ACTIONS)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=IDS)
def test_each_route_says_what_it_answers_and_how_it_can_fail(path: str, method: str, operation: dict) -> None:
    answers = operation["responses"]
    good = [status for status in answers if status.startswith("2")]
    assert good
    for status in good:
        (content,) = answers[status]["content"].values()
        assert content["schema"] != {}, f"{method} {path} does not say what it answers"
    assert operation["summary"]
    assert operation["tags"]
    if path in ("/healthz", "/readyz"):
        assert "security" not in operation
    else:
        assert operation["security"] == [{"token": []}]
        assert {"401", "403", "429", "503"} <= set(answers)
    for status, said in answers.items():
        if not status.startswith("2"):
            assert said["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_every_schema_is_one_and_names_none_that_is_not_there() -> None:
    schemas = document()["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    named = re.findall(r"'#/components/schemas/(\w+)'", str(document()))
    assert set(named) <= set(schemas)
    assert {"Job", "Jobs", "Plan", "Execution", "Status", "Problem"} <= set(named)


def test_the_guides_path_names_every_action_with_its_scope_and_its_body() -> None:
    for method in ("get", "post"):
        operation = document()["paths"][PATH][method]
        (chosen,) = [one for one in operation["parameters"] if one["name"] == "action"]
        wanted = [action for action in ACTIONS.values() if action.method == method.upper()]
        assert chosen["required"]
        assert set(chosen["schema"]["enum"]) == {action.name for action in wanted}
        for action in wanted:
            assert f"`{action.name}` (scope {action.scope})" in operation["description"]
            assert str(action.status) in operation["responses"]
    bodies = document()["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert {"$ref": "#/components/schemas/RestoreRequest"} in bodies


def test_it_is_shown_to_whoever_may_ask_and_knows_the_path_that_a_proxy_puts_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_API_ROOT_PATH="/backup")
    with answering(Parts(lambda: settings)) as client:
        shown = client.get("/openapi.json").json()
    assert shown["servers"][0]["url"] == "/backup"
    token = Tokens.of(settings).create("somebody", ["restore"])
    with answering(Parts(lambda: settings), token) as client:
        assert client.get("/openapi.json").json()["paths"] == shown["paths"]
        del client.headers["Authorization"]
        assert client.get("/openapi.json").status_code == 401


def test_it_can_be_had_without_a_server_and_with_nothing_set(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("holdfast")), "api", "--openapi", "--root-path", "/backup"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    printed = json.loads(done.stdout)
    assert printed["paths"] == document()["paths"]
    assert printed["servers"][0]["url"] == "/backup"
