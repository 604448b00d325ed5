"""Looking into files of any content, also such as nobody would write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.sources.configuration.formats import format_of, parse
from holdfast.sources.configuration.inspection import inspect
from holdfast.sources.configuration.never import NeverKept

NAMES = ["a.toml", "a.yaml", "a.json", "a.ini", ".env", "a.conf"]
FRAGMENTS = [
    "a",
    "=",
    ": ",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "\n",
    "\t",
    "#",
    "&x ",
    "*x",
    "!!set ",
    "? ",
    "- ",
    "---\n",
    "%",
    "\\",
    "\0",
    "é",
    ",",
]


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(NAMES),
    st.binary(max_size=300) | st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join).map(str.encode),
)
def test_no_content_hinders_a_backup(name: str, data: bytes) -> None:
    found = inspect(name, data, NeverKept())
    assert found.invalid is None or found.invalid.startswith("it is no ")


@pytest.mark.parametrize(
    "text",
    [
        "x" * (1 << 16),
        " " * (1 << 16),
        "a=" * (1 << 15),
        "a ;;;;" * (1 << 15),
        "\n" * (1 << 16),
        "eyJ" * (1 << 16),
        "a://" * (1 << 16),
        "-----BEGIN " * (1 << 14),
        "# a=b\n" * (1 << 15),
    ],
    ids=["word", "spaces", "signs", "ends", "lines", "tokens", "addresses", "keys", "comments"],
)
@pytest.mark.parametrize("name", ["a.conf", "a.yaml"])
def test_a_huge_file_of_one_kind_of_thing_is_looked_through(name: str, text: str) -> None:
    inspect(name, text.encode(), NeverKept())


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b.toml", "TOML"),
        ("B.YML", "YAML"),
        (".env.local", ".env"),
        ("production.env", ".env"),
        ("folder.json/plain", None),
        ("environment", None),
        ("nginx.conf", None),
    ],
)
def test_a_format_is_known_by_the_name(path: str, kind: str | None) -> None:
    assert format_of(path) == kind


def test_a_thing_that_is_referred_to_without_end_is_told_once() -> None:
    laughs = "a: &a [x, x]\n" + "".join(
        f"{two}: &{two} [*{one}, *{one}, *{one}]\n" for one, two in zip("abcdefghi", "bcdefghij", strict=True)
    )
    assert len(parse("YAML", laughs.encode()).pairs) < 100


def test_a_value_is_found_under_each_of_its_names() -> None:
    found = parse("YAML", b"a: &x one\nb: {c: *x}\n---\n[two, {d: three}]\n")
    assert found.pairs == [("a", "one"), ("b.c", "one"), ("0", "two"), ("1.d", "three")]
