"""How the command answers: help, errors for a person, errors for a script."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cli.flow_runs import shown
from holdfast import errors
from holdfast.errors import PrefectUnreachableError
from tests.cli.conftest import HOLDFAST, Home

EVERY_COMMAND = [
    ("init",),
    ("backup",),
    ("verify",),
    ("restore",),
    ("roll-back",),
    ("list",),
    ("show",),
    ("status",),
    ("test",),
    ("serve",),
    ("api",),
    *[("tokens", name) for name in ("create", "list", "revoke")],
    ("down",),
    ("demo",),
    *[("keys", name) for name in ("generate", "list", "add", "rotate", "remove")],
    *[("config", name) for name in ("show", "update", "diff")],
    *[("secrets", name) for name in ("list", "diff", "rotate")],
    *[("plans", name) for name in ("list", "show", "add", "remove", "enable", "disable", "validate", "export")],
    ("notify", "test"),
    *[("storage", name) for name in ("test", "add", "list")],
    *[("repo", name) for name in ("init", "list", "check", "replicate", "restore", "prune", "repair", "rebuild-catalog")],
]


def test_help_tells_the_commands_and_the_exit_codes(home: Home) -> None:
    ran = home.run("--help")
    assert ran.code == 0
    for word in ("init", "backup", "restore", "verify", "repo", "keys", "5 damaged", "6 busy", "7 storage"):
        assert word in ran.out


def test_every_command_takes_json_and_explains_itself(home: Home) -> None:
    script = f"from cli.main import run\nfor words in {EVERY_COMMAND!r}:\n    print('@', run([*words, '--help']))"
    done = subprocess.run([sys.executable, "-c", script], env=home.environment(), capture_output=True, text=True, check=True)
    pages = done.stdout.split("@ 0\n")
    assert pages.pop() == ""
    assert len(pages) == len(EVERY_COMMAND)
    for command, page in zip(EVERY_COMMAND, pages, strict=True):
        assert f"holdfast {' '.join(command)}" in page
        assert "--json" in page
        assert "--verbose" in page


def test_the_document_of_the_commands_names_each_of_them() -> None:
    document = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for words in EVERY_COMMAND:
        assert words[-1] in document, words
    for code in ("| 130, 143 |", "HF-000", "HF-001"):
        assert code in document


def test_a_code_means_one_error_and_the_list_of_errors_is_whole() -> None:
    known = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.HoldfastError)]
    codes = [one.code for one in known]
    assert sorted(set(codes)) == sorted(codes)
    for one in known:
        assert f"{one.__name__} " in f"{errors.__doc__} ".replace("\n", " "), one


@pytest.mark.parametrize(
    "arguments",
    [
        ("lst",),
        ("backup", "everything"),
        ("list", "--limit", "0"),
        ("restore",),
        ("verify", "latest", "--level", "hoped"),
        ("list", "--nope"),
    ],
    ids=" ".join,
)
def test_a_slip_of_the_fingers_ends_with_2_and_says_how_it_is_used(arguments: tuple[str, ...], home: Home) -> None:
    told = home.run(*arguments)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("Error: ")
    assert "--help" in told.err
    assert "Traceback" not in told.err
    error = home.error(2, *arguments)
    assert error["code"] == "HF-200"
    assert "--help" in error["nextStep"]


def test_an_error_is_what_why_and_the_next_step(home: Home) -> None:
    ran = home.run("restore", "latest")
    lines = ran.err.strip().splitlines()
    assert [line[:7] for line in lines] == ["Error: ", "Why:   ", "Next:  "]
    assert ran.out == ""


def test_verbose_shows_the_traceback_and_the_default_does_not(home: Home) -> None:
    assert "Traceback" not in home.run("repo", "list").err
    assert "Traceback" in home.run("repo", "list", "--verbose").err
    assert "Traceback" in home.run("repo", "list", HOLDFAST_DEBUG="1").err


@pytest.mark.parametrize(
    ("kind", "setting"),
    [("function", "BACKUP_FUNCTIONS_PATH"), ("config", "BACKUP_CONFIG_FILES"), ("secrets", "BACKUP_SECRETS_ENV_FILE")],
)
def test_a_type_without_a_source_says_that_it_is_off_and_what_turns_it_on(kind: str, setting: str, home: Home) -> None:
    error = home.error(2, "backup", kind)
    assert kind in error["message"]
    assert setting in f"{error['reason']} {error['nextStep']}"


def test_a_database_backup_without_a_database_says_that_it_is_off(home: Home) -> None:
    assert "BACKUP_DATABASE_URL" in home.error(2, "backup", "database")["reason"]
    assert "BACKUP_DATABASE_URL" in home.error(2, "backup", "all")["reason"]
    off = home.error(2, "backup", "database", BACKUP_ENABLE_DATABASE_BACKUP="false", BACKUP_DATABASE_URL="postgresql:///x")
    assert "BACKUP_ENABLE_DATABASE_BACKUP" in off["reason"]


def test_a_prefect_server_that_ends_in_the_middle_is_no_fault_of_holdfast() -> None:
    with pytest.raises(PrefectUnreachableError, match="Prefect server does not answer"), shown("Backing up"):
        httpx.get("http://127.0.0.1:1/api/health", trust_env=False)


def test_whoever_stops_reading_early_does_no_harm(home: Home) -> None:
    process = subprocess.Popen(
        [HOLDFAST, "keys", "generate", "--json"], env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert complaint == b""


def test_what_a_library_prints_never_reaches_the_document(home: Home, tmp_path: Path) -> None:
    script = tmp_path / "noisy.py"
    script.write_text(
        "import os, sys\n"
        "from cli import output\n"
        "output.configure(['list', '--json'])\n"
        "print('noise from Python')\n"
        "os.system('echo noise from a child')\n"
        "output.result({'quiet': True}, lambda: 'text')\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, env=home.environment())
    assert json.loads(done.stdout) == {"quiet": True}
    assert done.stderr.count("noise") == 2


def test_on_a_terminal_the_answer_has_colour_and_fits(home: Home) -> None:
    shown = on_terminal(home, "repo", "list")
    assert "\x1b[" in shown
    assert max(len(line) for line in shown.splitlines()) < 200


def on_terminal(home: Home, *arguments: str) -> str:
    """Run a command on a terminal of its own and return what a person would see."""
    master, slave = pty.openpty()
    environment = home.environment(TERM="xterm-256color", COLUMNS="100")
    process = subprocess.Popen([HOLDFAST, *arguments], env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    try:
        while part := _read(master):
            seen += part
    finally:
        os.close(master)
        process.wait()
    return seen.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the terminal's other end was closed
        return b""
