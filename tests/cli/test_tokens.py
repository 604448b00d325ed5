"""`holdfast tokens` and what guards `holdfast api`, as commands."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Home


def test_a_token_is_made_shown_once_and_taken_away_whatever_else_is_set(home: Home) -> None:
    home.settings |= {"BACKUP_DATABASE_INTERVAL": "never", "BACKUP_API_TOKENS_FILE": str(home.path / "elsewhere" / "t.json")}
    made = home.json("tokens", "create", "ci", "--scopes", "backup,read", "--expires", "3")
    assert made["token"].startswith("hf_")
    assert (made["name"], made["scopes"]) == ("ci", ["read", "backup"])
    listed = home.run("tokens", "list", "--json")
    (token,) = listed.document["tokens"]
    assert (token["state"], token["expiresAt"]) == ("expiresSoon", made["expiresAt"])
    assert made["token"] not in listed.out + listed.err
    assert made["token"] not in Path(home.settings["BACKUP_API_TOKENS_FILE"]).read_text()
    assert home.json("tokens", "revoke", "ci")["state"] == "revoked"
    assert home.error(3, "tokens", "revoke", "ci")["nextStep"] == "'holdfast tokens list' shows them"


def test_what_is_wrong_with_a_new_token_is_told(home: Home) -> None:
    assert "'wirte' is not a scope" in home.error(2, "tokens", "create", "ci", "--scopes", "read,wirte")["message"]
    assert "2020-01-31 is over" in home.error(2, "tokens", "create", "ci", "--expires", "2020-01-31")["message"]
    assert "'next week' is no end" in home.error(2, "tokens", "create", "ci", "--expires", "next week")["message"]


def test_the_api_does_not_answer_others_without_a_token(home: Home) -> None:
    error = home.error(4, "api", "--host", "0.0.0.0")
    assert error["code"] == "HF-414"
    assert "holdfast tokens create" in error["nextStep"]
    assert home.error(4, "serve", "--api-host", "::")["code"] == "HF-414"
    assert "TLS takes both" in home.error(2, "api", "--tls-key", "/nowhere")["reason"]
