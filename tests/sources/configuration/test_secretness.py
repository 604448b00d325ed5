"""What is taken for a secret and what is not, by examples from real life."""

from __future__ import annotations

import base64
import hashlib
import secrets

import pytest

from holdfast.sources.configuration.secretness import looks_secret, masked, name_looks_secret, value_looks_secret

RANDOM = base64.b64encode(hashlib.sha256(b"a secret of the tests").digest()).decode()


def joined(*parts: str) -> str:
    """Tokens of known providers are put together here, so that no scanner takes this file for a leak."""
    return "".join(parts)


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY",
        "apiKey",
        "stripe_api_keys",
        "OPENAI_APIKEY",
        "APIKey",
        "x-api-key",
        "DB_PASSWORD",
        "dbPassword",
        "PGPASSWORD_OLD",
        "MYSQL_PWD",
        "SMTP_PASS",
        "passphrase",
        "SECRET",
        "JWT_SECRET",
        "DJANGO_SECRET_KEY",
        "client-secret",
        "GITHUB_TOKEN",
        "accessToken",
        "auth.token",
        "TOKENS.0",
        "PRIVATE_KEY",
        "SSH_PRIVATE_KEY_OLD_PASSPHRASE",
        "ENCRYPTION_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
        "APP_KEY",
        "signing.key",
        "api.key.value",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "NPM_AUTH",
        "PREFECT_SERVER_API_AUTH_STRING",
        "AZURE_STORAGE_CONNECTION_STRING",
        "GOOGLE_CREDENTIALS",
        "SESSION_SALT",
    ],
)
def test_a_name_that_says_so_is_a_secrets(name: str) -> None:
    assert name_looks_secret(name)
    assert looks_secret(name, "hunter2")


@pytest.mark.parametrize(
    "name",
    [
        "KEYBOARD",
        "KEYBOARD_LAYOUT",
        "MONKEY",
        "TOKENIZER",
        "TOKENIZERS_PARALLELISM",
        "PASSENGER_COUNT",
        "BYPASS_CACHE",
        "COMPASS",
        "SECRETARY",
        "AUTHOR",
        "AUTH_METHOD",
        "TOKEN_TTL",
        "TOKEN_URL",
        "PASSWORD_MIN_LENGTH",
        "passwordPolicy",
        "SECRET_NAME",
        "DB_PASSWORD_FILE",
        "SSL_KEY_FILE",
        "KMS_KEY_ID",
        "PRIMARY_KEY",
        "SSH_PUBLIC_KEY",
        "cache.key",
        "key",
        "KEY",
        "keys.0",
        "LOG_LEVEL",
        "DATABASE_URL",
        "secrets.database.host",
        "",
        "…",
    ],
)
def test_a_name_that_only_sounds_like_it_is_none(name: str) -> None:
    assert not name_looks_secret(name)
    assert not looks_secret(name, "warning")


@pytest.mark.parametrize(
    "value",
    [
        RANDOM,
        joined("wJalr7UtnF", "EMI/K7MDENG/", "bPx9RfiCY3yq2mLkWt1Q"),
        joined("AKIA", "IOSFODNN7ZZZZZZZ"),
        joined("sk-", "proj-abcdefghijklmnop1234"),
        joined("sk_", "live_4eC39HqLyjWDarjtT1"),
        joined("gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"),
        joined("xox", "b-123456789012-abcdef"),
        joined("ey", "JhbGciOiJIUzI1NiJ9.ey", "JzdWIiOiIxMjM0NTY3ODkwIn0.abc"),
        joined("-----BEGIN ", "OPENSSH PRIVATE KEY-----\nb3Blbn"),
        joined("sb", "p_", "0102030405060708090a0b0c0d0e0f1011121314"),
        joined("https://hooks.slack.com", "/services/T000/B000/XXXX"),
        "postgresql://app:hunter2@db.example.com:5432/app",
        "redis://:hunter2@cache:6379/0",
        "https://0123456789abcdef0123456789abcdef@o1.ingest.example.com/42",
        "https://files.example.com/report.pdf?X-Amz-Signature=abcd",
        "https://api.example.com/v1?token=hunter2",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2hvcnQ=",
        "Server=db;User Id=app;Password=hunter2;",
        "host=db user=app password=hunter2",
        "/bin/app --level=info --db-password=hunter2",
        "-Xmx2g -Dapp.token=hunter2",
        "LEVEL=info,API_KEY=hunter2",
        "Authorization: Bearer abcdef0123456789",
        f"--flag --header {RANDOM}",
        f"first,{RANDOM},last",
    ],
)
def test_a_value_of_such_a_form_is_a_secret_under_any_name(value: str) -> None:
    assert value_looks_secret(value)
    assert looks_secret("MOOD", value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "warning",
        "true",
        "8080",
        "1.24.3-rc.1+build.20240101",
        "#ff8800",
        "#0A0B0CFF",
        "2025-11-23T20:04:12.123456Z",
        "0 3 * * 1-5",
        "Europe/Berlin",
        "en_US.UTF-8",
        "550e8400-e29b-41d4-a716-446655440000",
        "/usr/local/share/Application2/config/v3/Settings.toml",
        "./build/Release2x/Out4/bin",
        "~/.config/app/settings.json",
        "C:\\Program Files\\App2\\v3\\bin64",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "https://docs.example.com/guides/2024/how-to?page=2&sort=asc",
        "postgresql://db.example.com:5432/app",
        "postgresql://app@db.example.com/app",
        "app@example.com, ops@example.com",
        "production-eu-central-1-database-primary-replica",
        "registry.example.com:5000/team/application-server:v2.14.0",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "holdfast.sources.configuration.source:ConfigurationSource",
        "MyApplicationServiceV2HandlerFactory",
        "GoogleCloudWebriskV1ThreatEntryAdditions",
        "iam:CreateServiceLinkedRole",
        "The quick brown fox jumps over 13 lazy dogs.",
        "arn:aws:iam::123456789012:role/ContentPipelineBackupRole",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "abcdefghijklmnopqrstuvwxyz",
        "/bin/app --token-ttl=5 --sort-key=name --password=$DB_PASSWORD",
        "00000000000000000000000000000000",
    ],
)
def test_a_value_of_everyday_is_no_secret(value: str) -> None:
    assert not value_looks_secret(value)
    assert not looks_secret("SETTING", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", ""),
        ("API_KEY", "your-api-key"),
        ("SECRET_KEY", "change-me"),
        ("DB_PASSWORD", "${DB_PASSWORD}"),
        ("DB_PASSWORD", "$DB_PASSWORD"),
        ("DB_PASSWORD", "{{ vault.password }}"),
        ("require_password", "true"),
        ("max_tokens", "4096"),
        ("dependencies.@azure/core-auth", "^1.4.0"),
        ("gitHead", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"),
        ("limit_key", "MaxResults"),
        ("commit", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"),
        ("image.digest", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    ],
)
def test_what_gives_nothing_away_is_kept_even_under_such_a_name(name: str, value: str) -> None:
    assert not looks_secret(name, value)


def test_a_password_that_begins_like_a_variable_is_a_secret() -> None:
    assert looks_secret("DB_PASSWORD", "$uperPass")


def test_a_digest_without_a_name_that_says_so_is_taken_for_a_key() -> None:
    assert looks_secret("id", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")


def test_random_keys_are_known_whatever_alphabet_they_are_written_in() -> None:
    made = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(200)]
    made += [base64.b32encode(secrets.token_bytes(32)).decode() for _ in range(200)]
    made += [secrets.token_urlsafe(32) for _ in range(200)]
    known = sum(value_looks_secret(value) for value in made)
    assert known >= 0.94 * len(made)  # about 1 of 20 in base32 looks like words


@pytest.mark.parametrize(
    "value", ["", "a", "hunter2", "elevenchars", RANDOM, "first line\nand more lines", "postgresql://u:hunter2@h/d"]
)
def test_a_short_or_secret_value_shows_nothing_of_itself(value: str) -> None:
    assert masked(value) == "****"


def test_a_long_plain_value_shows_how_it_begins_and_ends() -> None:
    assert masked("https://example.com/") == "h…/ (20 characters)"
