"""Holds the answers of the API against its OpenAPI document: the status has to be there, and the body has to be as it says."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from api.app import create_app
from api.openapi import describe

Json = dict[str, Any]


@cache
def document() -> Json:
    """The document, made once."""
    made: Json = json.loads(json.dumps(describe(create_app())))
    return made


def require_documented(response: httpx.Response) -> None:
    """Fail where the document does not know of this answer; a hook of httpx's client. What is no part of the document passes."""
    operation = _operation(response.request.method.lower(), response.request.url.path)
    if operation is None:
        return
    response.read()
    said = operation["responses"].get(str(response.status_code))
    where = f"{response.request.method} {response.request.url.path}"
    assert said is not None, f"{where}: {response.status_code} is in no document: {response.text[:500]}"
    media_type = response.headers["content-type"].partition(";")[0]
    assert media_type in said["content"], f"{where}: {media_type} is in no document"
    if media_type.endswith("json"):
        _require_valid(response.json(), said["content"][media_type]["schema"], where)


def _require_valid(body: Any, schema: Json, where: str) -> None:
    whole = {**schema, "components": document()["components"]}
    problems = [f"{'/'.join(map(str, one.absolute_path))}: {one.message[:300]}" for one in _validator(whole).iter_errors(body)]
    assert not problems, f"{where}: {problems}"


def _validator(schema: Json) -> Draft202012Validator:
    return Draft202012Validator(schema)


def _operation(method: str, path: str) -> Json | None:
    for template, methods in document()["paths"].items():
        if method in methods and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            found: Json = methods[method]
            return found
    return None
