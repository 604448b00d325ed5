"""Credentials that end while the work goes on: whoever can renew them does, and whoever can't is told so.

Google's are tried in test_gcs_credentials; here it is S3, whose temporary credentials are the usual ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Lock

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session as BotocoreSession
from pydantic import SecretStr

from holdfast.errors import StorageDeniedError
from holdfast.repository import Repository, UserKey
from holdfast.storage import Storage, StorageSettings, open_storage, s3_access
from tests.repository.making import back_up, noise, read_all
from tests.storage.fault_proxy import FaultProxy
from tests.storage.faults import Fault, Request
from tests.storage.servers import Server
from tests.storage.test_faults import ALWAYS, QUICK, assert_shows_no_secret

_LAST_SECONDS = 1.5


class TokenOffice:
    """Issues tokens that end soon, and knows which are good now."""

    def __init__(self) -> None:
        self.issued: dict[str, float] = {}
        self.closed = False
        self._lock = Lock()

    def issue(self) -> dict[str, str]:
        if self.closed:
            raise CredentialRetrievalError(provider="office", error_msg="the office is closed")
        with self._lock:
            token = f"token-canary-{len(self.issued)}"
            self.issued[token] = time.monotonic()
        ends = datetime.now(UTC) + timedelta(seconds=_LAST_SECONDS)
        return {"access_key": "AKIA", "secret_key": "secret-canary", "token": token, "expiry_time": ends.isoformat()}

    def refuses(self, request: Request) -> bool:
        token = {name.lower(): value for name, value in request.headers}.get("x-amz-security-token", "")
        return time.monotonic() - self.issued.get(token, -ALWAYS) > _LAST_SECONDS

    def session(self) -> boto3.Session:
        session = BotocoreSession()
        session._credentials = RefreshableCredentials.create_from_metadata(self.issue(), self.issue, method="office")
        return boto3.Session(botocore_session=session, region_name="us-east-1")


@pytest.fixture
def office() -> TokenOffice:
    return TokenOffice()


@pytest.fixture
def settings(moto: Server, office: TokenOffice) -> Iterator[StorageSettings]:
    """A bucket that lets in only who has a token that is good now."""
    with FaultProxy(moto) as proxy:
        proxy.inject(Fault.EXPIRED, times=ALWAYS, where=office.refuses)
        found = proxy.settings_for(moto.new_storage())
        yield found.model_copy(update={"access_key": None, "secret_key": None})


def test_a_session_that_renews_its_tokens_outlives_many_of_them(
    settings: StorageSettings, office: TokenOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_access, "_LAST", timedelta(seconds=1))  # as five minutes are to tokens that last an hour
    storage = open_storage(settings, credentials=office.session(), retry=QUICK)
    repository = Repository.create(storage, key=UserKey.parse("11" * 32))
    contents = {"a": noise(1, 300_000)}
    number = 0
    began = time.monotonic()
    while time.monotonic() < began + 2 * _LAST_SECONDS:
        number += 1
        back_up(repository, f"backup_{number}", contents)
    assert repository.check(level="read").ok
    assert all(read_all(repository, repository.manifest(one.id)) == contents for one in repository.backups())
    repository.close()


def test_tokens_that_can_not_be_renewed_end_the_work_with_a_clear_error(settings: StorageSettings, office: TokenOffice) -> None:
    found = office.issue()
    fixed = settings.model_copy(
        update={
            "access_key": SecretStr(found["access_key"]),
            "secret_key": SecretStr(found["secret_key"]),
            "session_token": SecretStr(found["token"]),
        }
    )
    storage = open_storage(fixed)
    with pytest.raises(StorageDeniedError, match="ExpiredToken") as caught:
        _put_for_ever(storage)
    assert "'n/" in str(caught.value)
    assert storage.location in str(caught.value)
    assert_shows_no_secret(caught.value, fixed)
    assert found["token"] not in str(caught.value)
    storage.close()


def test_a_session_that_gets_no_more_tokens_says_why(
    settings: StorageSettings, office: TokenOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_access, "_LAST", timedelta(seconds=1))
    storage = open_storage(settings, credentials=office.session(), retry=QUICK)
    storage.put("x", b"1")
    office.closed = True
    with pytest.raises(StorageDeniedError) as caught:
        _put_for_ever(storage)
    assert "canary" not in str(caught.value)
    storage.close()


def _put_for_ever(storage: Storage) -> None:
    number = 0
    while True:
        number += 1
        storage.put(f"n/{number}", b"x")
        time.sleep(0.02)
