"""Plans that tests change: small, and of the guide's types."""

from __future__ import annotations

from typing import Any

from holdfast.recovery.plan import Plan, read_plan

Json = dict[str, Any]


def step(step_id: str = "tell", **changes: Any) -> Json:
    """Describe a step that tells somebody."""
    parameters = {"message": "The orders are gone", "priority": "high"}
    told = {"id": step_id, "name": "Tell", "type": "notification", "order": 1, "timeout": 2, "parameters": parameters}
    return told | changes


def document(plan_id: str = "orders_lost", **changes: Any) -> Json:
    """Describe a plan of one step, or with these changes."""
    plan = {
        "id": plan_id,
        "name": "Orders Lost",
        "description": "Tell the shop",
        "priority": "high",
        "triggers": ["orders_missing"],
        "steps": [step()],
        "estimatedRecoveryTime": 20,
    }
    return plan | changes


def plan(plan_id: str = "orders_lost", **changes: Any) -> Plan:
    """Read such a plan."""
    return read_plan(document(plan_id, **changes))
