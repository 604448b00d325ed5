"""What a flow is called with stands in the Prefect UI as Prefect itself would write it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from fastapi.encoders import jsonable_encoder
from prefect import Flow

from flows.database_backup import database_backup
from orchestration.plain_parameters import is_plain, send_plain_parameters


class Level(StrEnum):
    READ = "read"


PLAIN = [None, True, 3, 2.5, "name", [], ["a", None, [1]], {"a": {"b": [False]}}]
NOT_PLAIN = [
    Level.READ,
    [Level.READ],
    {"a": Level.READ},
    {Level.READ: 1},
    {1: "a"},
    ("a",),
    Path("/a"),
    datetime(2026, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("value", [*PLAIN, *NOT_PLAIN], ids=str)
def test_parameters_are_shown_as_prefect_would_show_them(value: Any) -> None:
    shown = database_backup.serialize_parameters({"job_id": value, "storage": "holdfast-storage"})
    assert shown == {"job_id": jsonable_encoder(value), "storage": "holdfast-storage"}
    assert type(shown["job_id"]) is type(jsonable_encoder(value))


def test_only_what_json_says_just_as_it_is_is_left_alone() -> None:
    assert [value for value in PLAIN if not is_plain(value)] == []
    assert [value for value in NOT_PLAIN if is_plain(value)] == []


def test_what_a_later_prefect_gives_besides_is_its_own_to_encode(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(self: Flow[..., Any], parameters: dict[str, Any], mode: str = "json") -> tuple[dict[str, Any], str]:
        return parameters, mode

    monkeypatch.setattr(Flow, "serialize_parameters", later)
    send_plain_parameters()
    changed: Any = database_backup.serialize_parameters
    assert changed({"a": 1}) == {"a": 1}
    assert changed({"a": 1}, mode="text") == ({"a": 1}, "text")
    assert changed({"a": Path("/a")}) == ({"a": Path("/a")}, "json")


async def _in_time(self: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    return parameters


@pytest.mark.parametrize(
    "other",
    [None, _in_time, lambda self: {}, lambda self, call, parameters: parameters],
    ids=["none", "one to wait for", "none given", "another before"],
)
def test_a_prefect_that_has_it_otherwise_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, other: Any) -> None:
    if other is None:
        monkeypatch.delattr(Flow, "serialize_parameters")
    else:
        monkeypatch.setattr(Flow, "serialize_parameters", other)
    send_plain_parameters()
    assert getattr(Flow, "serialize_parameters", None) is other
