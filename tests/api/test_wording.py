"""What an error says outside holds no secret and does not tell where on the host a file lies."""

from __future__ import annotations

import json

import pytest

from api.problems import problem
from api.wording import for_outside
from holdfast.errors import RequestInvalidError, SettingsError
from orchestration.masking import hide


@pytest.mark.parametrize(
    ("said", "outside"),
    [
        ("the tokens in /home/x/api/tokens.json can't be used", "the tokens in …/tokens.json can't be used"),
        ("[Errno 2] No such file or directory: '/var/holdfast/key'", "[Errno 2] No such file or directory: '…/key'"),
        ("at file:///tmp/backups/repository", "at …/repository"),
        ("(/var/lib/a.b), /etc/passwd: no", "(…/a.b), …/passwd: no"),
        ("see https://example.com/tmp/a and /v1/plans/x", "see https://example.com/tmp/a and /v1/plans/x"),
        ("10 GiB/home in s3://bucket/var/x", "10 GiB/home in s3://bucket/var/x"),
    ],
)
def test_of_a_file_its_name_is_told_and_not_its_folder(said: str, outside: str) -> None:
    assert for_outside(said) == outside


def test_a_problem_holds_no_secret_that_is_known_wherever_it_stands() -> None:
    hide("canary-of-problems")
    error = RequestInvalidError("a canary-of-problems b", reason="canary-of-problems", fields={"name": "not canary-of-problems"})
    error.next_step = "drop canary-of-problems"
    said = problem(error)
    assert b"canary" not in bytes(said.body)
    assert json.loads(bytes(said.body))["fields"] == {"name": "not ********"}
    assert b"a ******** b" in bytes(said.body)


def test_a_wrong_setting_of_the_host_is_told_without_its_place() -> None:
    body = bytes(problem(SettingsError("/etc/holdfast/api.key can't be read")).body)
    assert json.loads(body)["detail"] == "…/api.key can't be read"
