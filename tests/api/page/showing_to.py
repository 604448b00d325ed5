"""Somebody to show a page to, without a server: what a template makes of a document."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from api.caller import Caller
from api.page.person import Person
from api.page.sessions import Session
from api.page.showing import page
from holdfast.tokens import SCOPES, Scope


def somebody(*scopes: Scope) -> Person:
    return Person(
        Caller("night", frozenset(scopes or SCOPES), "127.0.0.1", "page"),
        Session("an id", "the word of the session", "digest", 0, 0),
    )


def shown(template: str, *scopes: Scope, root_path: str = "", **documents: Any) -> str:
    """The page that somebody with these scopes, all where none is named, is shown."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{root_path}/here",
        "root_path": root_path,
        "query_string": b"",
        "headers": [],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
    }
    answer = page(Request(scope), somebody(*scopes), template, **documents)
    return bytes(answer.body).decode()
