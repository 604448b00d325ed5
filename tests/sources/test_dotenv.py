"""`.env` files: every way to write a value is understood, each is read back as it was, and nothing else of a file changes."""

from __future__ import annotations

import io
import shutil
import subprocess

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import RefusedError
from holdfast.sources import dotenv
from holdfast.sources.dotenv import Dotenv
from tests.sources.dotenv_example import EXAMPLE as EVERY_WAY
from tests.sources.dotenv_example import VALUES as EVERY_VALUE

EXAMPLE = """# the pipeline
export LEVEL=info   # how much is said

HOST = "db.example.com"
LEVEL2='x'
broken line without sign here
LEVEL=debug # the last one counts
"""
VALUES = [
    "",
    "plain",
    "two words",
    "it's",
    'say "hi"',
    "a#b",
    "# no comment",
    " padded ",
    "first\nsecond",
    "back\\slash",
    "tab\there",
    "ümläut",
    "$HOME",
    "`id`",
]


def parsed(text: str) -> Dotenv:
    return Dotenv.parse(text, any_name=True)


def changed(text: str, variables: dict[str, str]) -> str:
    return parsed(text).with_variables(variables, place=".env")


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.text("'\"\\$`#= \n\r\tanr")


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,20}", fullmatch=True), texts(), max_size=4))
def test_every_value_is_read_back_as_it_was(variables: dict[str, str]) -> None:
    written = dotenv.document(variables).decode()
    assert dotenv_values(stream=io.StringIO(written, newline=None), interpolate=False) == variables
    assert parsed(changed(EXAMPLE, variables)).variables().items() >= variables.items()


def test_a_shell_reads_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    shell = shutil.which("sh")
    assert shell
    file = tmp_path_factory.mktemp("shell") / ".env"
    values = {f"V{number}": value for number, value in enumerate(VALUES) if "\n" not in value or "'" not in value}
    file.write_bytes(dotenv.document(values))
    script = f". '{file}'; " + "; ".join(f'printf "%s\\0" "${name}"' for name in values)
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == list(values.values())


def test_only_the_line_of_a_variable_changes_and_its_comment_stays() -> None:
    assert changed(EXAMPLE, {"LEVEL": "two words", "HOST": "other", "NEW": "1"}) == (
        EXAMPLE.replace("LEVEL=debug # the", "LEVEL='two words' # the").replace('HOST = "db.example.com"', "HOST=other")
        + "NEW=1\n"
    )
    assert changed("A=1 # why\nB='x'#why\n", {"A": "2", "B": "3"}) == "A=2 # why\nB=3 #why\n"


def test_a_file_keeps_its_line_ends_and_one_without_a_last_gets_it() -> None:
    assert changed("A=1\r\nexport B=2\r\n", {"B": "3", "C": "4"}) == "A=1\r\nexport B=3\r\nC=4\r\n"
    assert changed("A=1", {"B": "2"}) == "A=1\nB=2\n"
    assert changed("A=1", {"A": "2"}) == "A=2"
    assert changed("\ufeffA=1\n", {"A": "2"}) == "\ufeffA=2\n"
    assert changed("", {"A": "2"}) == "A=2\n"
    assert changed("A='one\ntwo' # why\nB=2\n", {"A": "1"}) == "A=1 # why\nB=2\n"
    assert changed("A\nB=2\n", {"A": "1"}) == "A=1\nB=2\n"


def test_a_name_that_no_env_file_can_hold_is_refused() -> None:
    with pytest.raises(RefusedError, match="BASH FUNC"):
        dotenv.document({"BASH FUNC": "x"})


def test_an_odd_name_is_kept_where_no_key_can_be_in_pieces() -> None:
    text = "BASH_FUNC_x%%=1\nBARE\nEMPTY=\n"
    assert parsed(text).variables() == {"BASH_FUNC_x%%": "1", "EMPTY": ""}
    assert Dotenv.parse(text).variables() == {}


def test_a_line_that_can_not_be_understood_is_not_overruled() -> None:
    with pytest.raises(RefusedError, match=r"line 2 of \.env"):
        changed('A=1\nB="x" y\n', {"B": "2"})
    with pytest.raises(RefusedError, match="nothing was added"):
        changed('A=1\nB="x\nC=3\n', {"C": "2"})
    assert changed('A=1\nB="x\nC=3\n', {"A": "2"}) == 'A=2\nB="x\nC=3\n'


@settings(deadline=None)
@given(st.text("AB=\"'\\\n\r #export-$", max_size=60))
def test_what_the_settings_read_in_any_file_is_what_is_read_here(text: str) -> None:
    found = parsed(text)
    if not found.broken:
        assert found.variables() == dotenv_values(
            stream=io.StringIO(text.removeprefix("\ufeff"), newline=None), interpolate=False
        )


@settings(deadline=None)
@given(
    st.text("AB=\"'`\\\n\r #\ufeffexport-$", max_size=60), st.dictionaries(st.sampled_from(["A", "B", "C"]), texts(), min_size=1)
)
def test_whatever_a_file_holds_a_change_is_read_back_and_the_rest_stays(text: str, variables: dict[str, str]) -> None:
    try:
        after = changed(text, variables)
    except RefusedError:
        assert parsed(text).broken
        return
    assert parsed(after).variables() == parsed(text).variables() | variables


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_way_to_write_a_value_is_understood(newline: str, mark: str) -> None:
    found = Dotenv.parse(mark + EVERY_WAY.replace("\n", newline))
    assert {name: one.value for name, one in found.values().items()} == EVERY_VALUE
    assert [one.line for one in found.broken] == [13, 14]


@settings(deadline=None)
@given(st.text(alphabet="AB=\"'`\\\n\r #\ufeffexport-$", max_size=60))
def test_any_text_is_taken_apart_and_put_together_again(text: str) -> None:
    found = Dotenv.parse(text)
    for one in found.assignments:
        assert text[one.start : one.end].startswith(one.quote)
        changed = Dotenv.parse(found.with_value(one.name, "NEW"))
        assert {name: new.value for name, new in changed.values().items()} == {
            name: "NEW" if name == one.name else old.value for name, old in found.values().items()
        }
