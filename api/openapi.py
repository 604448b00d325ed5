"""The OpenAPI document: every route with all its answers, so that a generator makes a client of it, and a test can try each.

Routes say what they take; what they answer is said here, by their names, and tests hold each answer against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.action import Action
from api.actions import ACTIONS
from api.guide import PATH
from api.problems import MEDIA_TYPE, Problem
from api.schemas.answers import ANSWERS, EXAMPLES, OF_THE_GUIDE
from api.schemas.document import Document

Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
_NAMES = {"look": "guideLook", "do": "guideDo", "prometheus": "metrics"}
_OPEN = {"/healthz", "/readyz"}
_DESCRIPTION = """The HTTP API of Holdfast: the guide's path, and REST routes over the same actions.

Every answer is JSON in camelCase; times are in UTC. What takes long is answered with 202 and the id of its job, which is followed
by `GET /v1/jobs/{jobId}?wait=SECONDS`. Errors are problems (RFC 9457) with a stable `code`. A token's scopes say what it allows;
none of them implies another."""
_PROBLEMS = {
    401: "There is no valid token with the request (HF-209)",
    403: "The token does not allow this, or somebody from another host asks while there is no token",
    404: "There is no such thing",
    405: "The path has no such method",
    408: "The body did not arrive in time",
    409: "It is refused for safety, or something else is at work",
    413: "The request is too large",
    414: "The URL is too long",
    415: "The body is not said to be JSON",
    422: "The request can't be understood; `fields` names what is wrong with it",
    429: "Too many requests without a valid token came from this address",
    431: "The headers are too large",
    500: "Something that nobody foresaw; the log has it under this requestId",
    502: "A part that this needs failed, or what is stored is damaged",
    503: "A part that this needs can't be reached now, or too much is asked at once; try again",
}
_IDS = {"jobId": {"pattern": "^[A-Za-z0-9_-]{1,200}$", "maxLength": 200}}
_BODY_PROBLEMS = {408, 413, 415}


def describe(app: FastAPI, root_path: str = "") -> Json:
    """Make the document of an application that is reached below this path."""
    document = get_openapi(title="Holdfast", version=version("holdfast"), description=_DESCRIPTION, routes=app.routes)
    document["servers"] = [{"url": root_path or "/", "description": "Where this document came from"}]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(_schemas())
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "Made by 'holdfast tokens create NAME --scopes …'"}
    }
    document["paths"] = {_in_camel_case(path): methods for path, methods in document["paths"].items()}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation["parameters"] = [_as_sent(one) for one in operation.get("parameters", [])]
            _complete(operation, path, method)
    _describe_guide(document["paths"][PATH])
    return document


def operation_id(route: APIRoute) -> str:
    """Name an operation as a method of a client is named."""
    name = _NAMES.get(route.name, route.name)
    if route.path.startswith("/v1/audit"):
        name = {"verify": "verify_audit_log", "list_lines": "list_audit_lines"}.get(name, name)
    first, *others = name.split("_")
    return first + "".join(part.title() for part in others)


def _schemas() -> Json:
    models: set[type[BaseModel]] = {Problem, *(model for _, model in ANSWERS.values())}
    models |= {model for _, model in OF_THE_GUIDE.values()} | {
        action.takes for action in ACTIONS.values() if action.method == "POST"
    }
    _, made = models_json_schema(
        [
            (model, "serialization" if issubclass(model, Problem | Document) else "validation")
            for model in sorted(models, key=str)
        ],
        ref_template=_REF,
    )
    found: Json = made["$defs"]
    return found


def _in_camel_case(text: str) -> str:
    """Name the parts of a path as fields are named."""
    return re.sub(r"_([a-z])(?=[a-z_]*\})", lambda found: found[1].upper(), text)


def _as_sent(parameter: Json) -> Json:
    """Say of a parameter what can be sent: nothing stands for null in a URL, and an id has no other characters than ids have."""
    schema = dict(parameter["schema"])
    options = [one for one in schema.pop("anyOf", []) if one != {"type": "null"}]
    if len(options) == 1:
        schema |= options[0]
    elif options:
        schema["anyOf"] = options
    name = parameter["name"]
    if parameter["in"] == "path":
        name = _in_camel_case(f"{{{name}}}")[1:-1]
        schema |= {"minLength": 1, "maxLength": 100} | _IDS.get(name, {})
    return {**parameter, "name": name, "schema": schema}


def _complete(operation: Json, path: str, method: str) -> None:
    """Say what an operation answers: its document, or one of the problems that it can end with."""
    name = operation["operationId"]
    if name in ANSWERS:
        status, model = ANSWERS[name]
        example = EXAMPLES.get(name)
        operation["responses"][str(status)] = _answer(model.__doc__ or "", _REF.format(model=model.__name__), example)
    elif name == "metrics":
        operation["responses"]["200"] = {
            "description": "The metrics, as Prometheus reads them",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    operation["responses"].update(_problems(path, method))
    if path not in _OPEN:
        operation["security"] = [{"token": []}]


def _answer(description: str, ref: str, example: Json | None = None) -> Json:
    content: Json = {"schema": {"$ref": ref}}
    if example is not None:
        content["example"] = example
    return {"description": description.splitlines()[0], "content": {"application/json": content}}


def _problems(path: str, method: str) -> Json:
    with_body = method in {"post", "put", "patch"}
    chosen = {status for status in _PROBLEMS if with_body or status not in _BODY_PROBLEMS}
    if path in _OPEN:
        chosen -= {401, 403, 404, 409, 429}
    told = {}
    for status in sorted(chosen):
        one = {"description": _PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}}
        if status == HTTPStatus.UNAUTHORIZED:
            one["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
        told[str(status)] = one
    return told


def _describe_guide(methods: Json) -> None:
    """Say of the guide's path what each action takes and answers: OpenAPI knows no body that hangs on a query."""
    for method, operation in methods.items():
        actions = [action for action in ACTIONS.values() if action.method == method.upper()]
        lines = "\n".join(f"- `{action.name}` (scope {action.scope}): {_said(action)}" for action in actions)
        operation["description"] = f"{operation.get('description', '')}\n\n{lines}"
        choice = {"type": "string", "enum": [action.name for action in actions]}
        chosen = {"name": "action", "in": "query", "required": True, "schema": choice, "description": "What is to be done"}
        others = [one for one in operation.get("parameters", []) if one["name"] != "action"]
        operation["parameters"] = [chosen, *others, *(_query(actions) if method == "get" else ())]
        for status in {action.status for action in actions}:
            models = [OF_THE_GUIDE[action.name][1].__name__ for action in actions if action.status == status]
            options = [{"$ref": _REF.format(model=name)} for name in dict.fromkeys(models)]
            content = {"application/json": {"schema": {"anyOf": options}}}
            operation["responses"][str(status)] = {"description": "What the action answers", "content": content}
        if method == "post":
            bodies = [{"$ref": _REF.format(model=name)} for name in dict.fromkeys(action.takes.__name__ for action in actions)]
            operation["requestBody"] = {"content": {"application/json": {"schema": {"anyOf": bodies}}}}


def _said(action: Action[Any]) -> str:
    takes = action.takes.__name__
    return f"answers {action.status} with {OF_THE_GUIDE[action.name][1].__name__}" + (
        f", takes {takes}" if takes != "Nothing" else ""
    )


def _query(actions: list[Action[Any]]) -> Iterator[Json]:
    """Name what the looks can be asked for, each once, with those that heed it."""
    found: dict[str, Json] = {}
    heeded: dict[str, list[str]] = {}
    for action in actions:
        for name, schema in action.takes.model_json_schema()["properties"].items() if action.takes.model_fields else ():
            found.setdefault(name, schema)
            heeded.setdefault(name, []).append(action.name)
    for name, schema in found.items():
        plain = {key: value for key, value in schema.items() if key != "title"}
        of = ", ".join(heeded[name])
        yield _as_sent({"name": name, "in": "query", "required": False, "schema": plain, "description": f"Of {of}"})
