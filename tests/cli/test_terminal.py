"""What others have named is shown, and steers no terminal: not its cursor, its colours, its title, nor the order of its words."""

from __future__ import annotations

import pytest

from cli import output

EVIL = "a\x1b[2J\x1b]0;title\x07\rb\x9b31m\u202ec\x08\x7f"


def test_a_name_in_a_list_is_text_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output.table("What", "To what")
    shown.add_row(EVIL, "public.orders")
    output.console().print(shown)
    output.console().print(EVIL)
    output.failure("HF-300", EVIL, EVIL, None)
    said = "".join(capsys.readouterr())
    assert "[2J" in said
    assert "public.orders" in said
    assert {one for one in said if not one.isprintable()} == {"\n"}


def test_a_text_of_several_lines_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    output.console().print(output.facts(("Wrong", "one\ntwo")))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["Wrong", "one"], ["two"]]
