"""The dashboard for Grafana asks for nothing that is not exposed, and leaves nothing out without saying so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdfast import metrics
from holdfast.alarms import judge
from holdfast.look import look_over
from tests.standing import overview, settings_in, some_backups

DOCS = Path(__file__).parents[1] / "docs"
DASHBOARD = json.loads((DOCS / "grafana" / "holdfast.json").read_text())
NOT_SHOWN = {
    "holdfast_backup_age_seconds": "the dashboard takes the age from the time of the snapshot, which goes on between two looks",
    "holdfast_backup_last_success_timestamp_seconds": "the snapshot's time is what counts for what could be lost",
    "holdfast_backup_last_failure_timestamp_seconds": "failures in a row say what matters",
    "holdfast_backup_interval_seconds": "for alerting rules",
    "holdfast_backup_enabled": "for alerting rules",
    "holdfast_plan_last_tested_timestamp_seconds": "for alerting rules; what is untested too long is an alarm, which is shown",
}
SELECTOR = re.compile(r"(holdfast_\w+)(?:\{([^}]*)\})?")
WORDS = {"sum", "by", "time", "label_values", "target", "type", "alarm"}


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each metric that there is, whether or not it has a sample now."""
    with pytest.MonkeyPatch.context() as patch:
        settings = settings_in(
            tmp_path_factory.mktemp("standing"), patch, BACKUP_RPO_TARGET_HOURS="24", BACKUP_RTO_TARGET_MINUTES="5"
        )
        look = overview(settings, some_backups(settings)[0])
        told = metrics.exposition(look, judge(look, None, threshold=3))
        unseen = metrics.exposition(look_over(settings, None), {})
    found: dict[str, set[str]] = {}
    for text in (told, unseen):
        for family in text_string_to_metric_families(text.decode()):
            assert family.documentation, f"{family.name} has no help"
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions(part: Any) -> Iterator[str]:
    """Find every expression, those of the variables too."""
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name in {"expr", "definition"} and isinstance(value, str))
        for value in part.values():
            yield from expressions(value)
    elif isinstance(part, list):
        for value in part:
            yield from expressions(value)


def test_every_metric_and_label_that_is_asked_for_exists(exposed: dict[str, set[str]]) -> None:
    asked = list(expressions(DASHBOARD))
    assert len(asked) > 30
    for expression in asked:
        for name, matchers in SELECTOR.findall(expression):
            assert name in exposed, f"{expression}: there is no {name}"
            labels = set(re.findall(r"(\w+)\s*[=!]~?", matchers))
            assert labels <= exposed[name], f"{expression}: {name} has no label {labels - exposed[name]}"
        rest = SELECTOR.sub("", expression)
        assert set(re.findall(r"[a-z_]+", rest)) <= WORDS, f"{expression} has a word that this test does not know"
        assert expression.count("(") == expression.count(")"), expression


def test_every_legend_names_labels_that_exist(exposed: dict[str, set[str]]) -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            names = [name for name, _ in SELECTOR.findall(target["expr"])]
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert all(labels <= exposed[name] for name in names), f"{panel['title']}: {target['legendFormat']}"


def test_every_metric_is_shown_or_left_out_for_a_reason(exposed: dict[str, set[str]]) -> None:
    shown = {name for expression in expressions(DASHBOARD) for name, _ in SELECTOR.findall(expression)}
    assert shown | NOT_SHOWN.keys() == exposed.keys()
    assert not shown & NOT_SHOWN.keys()


def test_it_can_be_imported_anywhere(exposed: dict[str, set[str]]) -> None:
    """The data source is a variable, and panels neither overlap nor share a number."""
    del exposed
    variables = {one["name"]: one["type"] for one in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "target": "query"}
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {"${datasource}"}
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [(x, y) for one in places for x in range(one["x"], one["x"] + one["w"]) for y in range(one["y"], one["y"] + one["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_every_metric_is_documented(exposed: dict[str, set[str]]) -> None:
    documented = set(re.findall(r"`(holdfast_\w+)`", (DOCS / "monitoring.md").read_text()))
    assert documented == exposed.keys()
