"""Recovery plans as YAML, for people: one plan, or a list of them. What is written reads as the same plan; JSON is read, too.

Nothing in a file is guessed: a key that is there twice, a key that is no text and an alias are refused with their line, and
nothing is taken for a date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from holdfast.errors import PlanInvalidError
from holdfast.recovery.plan import Plan, invalid, read_plan

Json = dict[str, Any]

LONGEST = 1 << 20
"""How many characters a file of plans may have."""
_WIDTH = 110
_ODD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff]")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


def read_plans(text: str, called: str) -> list[Plan]:
    """Read the plans of a file, which errors call so. Raises PlanInvalidError, which names all that is wrong with all of them."""
    documents = _documents(text, called)
    plans, errors = [], []
    for number, document in enumerate(documents, 1):
        try:
            plans.append(_read(document, number))
        except PlanInvalidError as error:
            errors.append(error)
    ids = [plan.id for plan in plans]
    errors += [invalid(plan_id, [f"it is in {called} twice"]) for plan_id in sorted(set(ids)) if ids.count(plan_id) > 1]
    if len(errors) > 1:
        raise _unusable(called, "\n".join(error.what_and_why for error in errors))
    if errors:
        raise errors[0]
    return plans


def write_plans(plans: Sequence[Plan]) -> str:
    """Write one plan by itself, or several as a list."""
    documents = [_short(plan) for plan in plans]
    document = documents[0] if len(documents) == 1 else documents
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text


def _short(plan: Plan) -> Json:
    """Describe a plan without what is not there."""
    document = {name: value for name, value in plan.document().items() if value is not None}
    steps = [{name: value for name, value in step.items() if value is not None} for step in document.pop("steps")]
    return document | {"steps": steps}


def _read(document: Any, number: int) -> Plan:
    if not isinstance(document, dict):
        raise invalid(f"number {number}", ["it is no mapping of names to values"])
    return read_plan(document)


def _documents(text: str, called: str) -> list[Any]:
    if len(text) > LONGEST:
        raise _unusable(called, f"it is longer than {LONGEST >> 20} MiB")
    try:
        found = yaml.load(text, _Loader)  # noqa: S506  a safe loader that refuses more
    except yaml.YAMLError as error:
        raise _unusable(called, _place(error)) from None
    except RecursionError:
        raise _unusable(called, "it is nested too deeply") from None
    except (ValueError, LookupError, AttributeError):  # what PyYAML lets through of a value that is not what its tag says
        raise _unusable(called, "a number has too many digits, or a value is not what its tag says") from None
    if not found:
        raise _unusable(called, "it holds no plan")
    return found if isinstance(found, list) else [found]


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read"
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else str(what)


def _unusable(called: str, reason: str) -> PlanInvalidError:
    return PlanInvalidError(
        f"{called} can't be read as recovery plans",
        reason=reason,
        next_step="Nothing was changed; 'holdfast plans export' shows what a file looks like",
    )


class _Loader(yaml.SafeLoader):
    """Reads what JSON could say, and nothing that could be meant otherwise."""

    yaml_implicit_resolvers = {  # noqa: RUF012  as the class above has them
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            peek: Any = self.peek_event
            raise _Refused("an alias: write out what is meant", peek().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _Refused(f"the key {key.value if _plain(key) else ''!r} is no text: quote it", key.start_mark)
            if key.value in seen:
                raise _Refused(f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes text so that it is read as it was: unquoted, PyYAML would take some letters for the ends of lines."""


def _quoted(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _ODD.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


class _Refused(yaml.MarkedYAMLError):
    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


def _plain(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and bool(re.fullmatch(r"\S{1,40}", node.value))
