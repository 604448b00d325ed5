"""What is written about settings is what they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast.settings import Settings, load_settings
from holdfast.settings.keys import FIELDS, kept_in_catalog, variable_of
from holdfast.settings.loading import READ_ELSEWHERE, known_variables
from holdfast.settings.problems import allowed
from holdfast.settings.reference import EXAMPLE, PAGE, example, page
from holdfast.settings.topics import TOPICS

ROOT = Path(__file__).parents[2]
REWRITE = "run: python -m holdfast.settings.reference"


def test_the_example_and_the_tables_are_up_to_date() -> None:
    assert (ROOT / EXAMPLE).read_text() == example(), REWRITE
    text = (ROOT / PAGE).read_text()
    assert text == page(text), REWRITE


def test_the_example_has_every_variable_once_and_says_the_defaults(place: Path) -> None:
    defaults = load_settings()
    lines = re.findall(r"^# ((?:BACKUP|HOLDFAST)_[A-Z_]+=.*)$", (ROOT / EXAMPLE).read_text(), re.MULTILINE)
    assert sorted(line.split("=")[0] for line in lines) == sorted(variable_of(field) for field in Settings.model_fields)
    (place / ".env").write_text("\n".join(lines))
    assert load_settings() == defaults


def test_the_example_as_it_is_sets_nothing(place: Path) -> None:
    defaults = load_settings()
    (place / ".env").write_text((ROOT / EXAMPLE).read_text())
    assert load_settings() == defaults
    assert load_settings().model_fields_set == set()


def test_the_page_tells_of_every_variable() -> None:
    text = (ROOT / PAGE).read_text()
    for variable in known_variables():
        assert f"| `{variable}` |" in text
    for key, field in FIELDS.items():
        assert (f"| `{key}` |" in text) == kept_in_catalog(field), key


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_and_says_what_it_takes(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description
    assert not field.description.endswith(".")
    assert allowed(field)


def test_every_setting_is_of_one_topic() -> None:
    names = [name for topic in TOPICS for name in topic.model_fields]
    assert sorted(names) == sorted(Settings.model_fields)


def test_no_page_names_a_variable_that_does_not_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    known = set(known_variables())
    for one in pages:
        named = set(re.findall(r"\bBACKUP_[A-Z_]*[A-Z]\b(?!_?\*)", one.read_text()))
        assert named <= known, f"{one.name}: {named - known}"
    assert set(READ_ELSEWHERE).isdisjoint(variable_of(field) for field in Settings.model_fields)
