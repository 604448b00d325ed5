"""What an event says is kept and shown, but for what looks like a secret: anybody may emit one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from holdfast.messages import Origin
from holdfast.recovery.execution import Execution
from holdfast.recovery.facts import leaked_in, without_secrets
from holdfast.recovery.telling import begun_message

CANARY = "canary-of-a-payload-5531"
TOLD = {
    "table": "public.orders",
    "reason": "the table public.orders of backup_1764014136_9f2c1a is gone from db-1.eu-west-1.example.com",
    "backupId": "backup_1764014136_9f2c1a",
    "affected": ["public.orders", "public.users"],
    "count": 12000,
    "evidence": {"secrets": 12, "leaks": {"env-file/API_KEY": ["/var/log/app.log"]}, "port": 5432},
    "secrets": ["env-file/API_KEY", "postgres-roles/app"],
}


def test_what_tells_of_trouble_stays_as_it_was() -> None:
    assert without_secrets(TOLD) == TOLD
    assert without_secrets({"secrets": "env-file/API_KEY, env-file/OTHER"}) == {"secrets": "env-file/API_KEY, env-file/OTHER"}


@pytest.mark.parametrize(
    "fact",
    [
        {"password": CANARY},
        {"db": {"login": [{"apiKey": CANARY}]}},
        {"note": f"somebody logged in with password={CANARY} just now"},
        {"url": f"postgresql://app:{CANARY}@db/shop"},
        {"seen": f"the service answered 401 to Authorization: Bearer {CANARY}"},
        {"secrets": CANARY},
        {"secrets": ["env-file/API_KEY", CANARY]},
        {"env-file/API_KEY": {"token": CANARY}},
        {"said": f"sk-ant-{CANARY}"},
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(fact: dict[str, object]) -> None:
    kept = json.dumps(without_secrets(fact))
    assert "****" in kept
    assert CANARY not in kept


def test_what_leaked_is_told_by_names_alone() -> None:
    assert leaked_in({"secrets": f"env-file/API_KEY, {CANARY}"}) == (["env-file/API_KEY"], 1)
    assert leaked_in({"secrets": ["env-file/API_KEY", 7, f"https://u:{CANARY}@h/x"]}) == (["env-file/API_KEY"], 2)
    assert leaked_in({}) == leaked_in({"secrets": None}) == ([], 0)


def test_what_is_endless_is_cut() -> None:
    deep: dict[str, object] = {"a": "bottom"}
    for _ in range(500):
        deep = {"a": deep}
    assert "bottom" not in json.dumps(without_secrets(deep))
    assert len(str(without_secrets({"text": "so it goes on " * 5000})["text"])) < 5000


def test_a_message_names_no_secret_of_the_event() -> None:
    facts = without_secrets({"password": CANARY, "table": "orders"})
    begun = Execution("recovery_1", "mine", "database_corruption", "run", datetime.now(UTC), facts=facts)
    said = begun_message(begun, Origin(None), datetime.now(UTC))
    assert "table orders" in said.body
    assert CANARY not in said.body
