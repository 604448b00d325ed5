"""Answers as JSON: camelCase documents, times in UTC with a `Z`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from fastapi import Response


class JsonAnswer(Response):
    """A document of the engine as an answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content)


class Written(dict[str, Any]):
    """A document that is answered often and is made into JSON once. It is not changed any more."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self.content = to_json(dict(document))


def to_json(document: Any) -> bytes:
    """Write a document as JSON. Raises TypeError for what no document may hold."""
    if isinstance(document, Written):
        return document.content
    return orjson.dumps(document, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is nothing that a document may hold")
