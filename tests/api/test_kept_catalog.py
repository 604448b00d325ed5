"""A catalog that is newer, was made again, or hangs: what is asked of it is answered 503, soon, and the rest goes on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from api.kept_catalog import KeptCatalog
from api.parts import Parts
from holdfast.errors import UnreachableError
from holdfast.opening import CATALOG_DATABASE, embedded_server, open_catalog
from holdfast.postgres.connection import connect
from holdfast.settings import Settings, load_settings
from tests.api.answering import answering
from tests.postgres.servers import drop_database, server_folder
from tests.standing import settings_in, some_backups


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A home with backups in its repository, whose catalog runs and knows nothing of them."""
    with ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        made = settings_in(held.enter_context(server_folder()), patch)
        some_backups(made)[0].close()
        held.callback(embedded_server(made).stop)
        open_catalog(made).close()
        yield made


def ask(client: httpx.Client, path: str) -> tuple[int, str | None]:
    answer = client.get(path)
    return answer.status_code, answer.json().get("code")


def in_catalog(settings: Settings, statement: str) -> None:
    with closing(connect(embedded_server(settings).url(CATALOG_DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()


def test_a_catalog_of_a_newer_holdfast_is_no_fault_of_the_request(settings: Settings) -> None:
    in_catalog(settings, "UPDATE holdfast_catalog_version SET version_num = '9999_' || version_num")
    try:
        with answering(Parts(load_settings)) as client:
            refused = client.get("/v1/jobs")
            assert (refused.status_code, refused.json()["code"]) == (503, "HF-700")
            assert "was made by a newer Holdfast" in refused.json()["detail"]
            assert ask(client, "/v1/backups/newer") == (200, None), "the repository has it all the same"
    finally:
        in_catalog(settings, "UPDATE holdfast_catalog_version SET version_num = substr(version_num, 6)")


def test_a_catalog_that_was_made_again_denies_nothing_and_is_used_again_at_once(settings: Settings) -> None:
    with answering(Parts(load_settings)) as client:
        assert ask(client, "/v1/jobs") == (200, None)
        server = embedded_server(settings)
        drop_database(server.url(CATALOG_DATABASE))
        server.create_database(CATALOG_DATABASE)
        assert ask(client, "/v1/jobs/backup_1_abcdef") == (503, "HF-302"), "404 would say that there is no such job"
        assert ask(client, "/v1/jobs") == (200, None)


def test_a_catalog_that_hangs_is_waited_for_once_and_not_by_each_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://nobody@127.0.0.1:{port}/catalog?connect_timeout=2"
        kept = KeptCatalog(lambda: settings_in(tmp_path, monkeypatch, BACKUP_CATALOG_URL=url))
        told: list[str] = []

        def try_it() -> None:
            with pytest.raises(UnreachableError) as error, kept.opened():
                pass
            told.append(str(error.value))

        askers = [threading.Thread(target=try_it) for _ in range(8)]
        began = time.monotonic()
        for one in askers:
            one.start()
        for one in askers:
            one.join()
        assert (len(told), len(set(told))) == (8, 1)
        assert "does not answer" in told[0]
        assert time.monotonic() - began < 8, "each has waited for the others"
