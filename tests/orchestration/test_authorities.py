"""Prefect's clients of one run share what they check a server's certificate by, and see a file that was renewed."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import certifi
from prefect.client import orchestration as clients
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.settings import PREFECT_API_SSL_CERT_FILE

import orchestration.tasks  # noqa: F401  as every flow imports it
from orchestration.authorities import read_authorities_once

NOBODY = "http://127.0.0.1:9/api"


def context_of(client: SyncPrefectClient | PrefectClient) -> ssl.SSLContext:
    found = client._client._transport._pool._ssl_context
    assert isinstance(found, ssl.SSLContext)
    return found


def test_clients_of_all_kinds_and_threads_read_the_authorities_once() -> None:
    made: list[SyncPrefectClient | PrefectClient] = [SyncPrefectClient(NOBODY), PrefectClient(NOBODY)]
    thread = threading.Thread(target=lambda: made.append(SyncPrefectClient(NOBODY)))
    thread.start()
    thread.join()
    assert len({id(context_of(client)) for client in made}) == 1, "this Prefect reads them for each client again"


def test_a_server_is_checked_as_python_checks_one() -> None:
    file = PREFECT_API_SSL_CERT_FILE.value() or certifi.where()
    shared, own = context_of(SyncPrefectClient(NOBODY)), ssl.create_default_context(cafile=file)
    assert (shared.verify_mode, shared.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert shared.cert_store_stats() == own.cert_store_stats()


def test_a_file_that_was_renewed_is_read_again(tmp_path: Path) -> None:
    read_authorities_once()
    file = tmp_path / "authorities.pem"
    both = Path(certifi.where()).read_text().split("-----END CERTIFICATE-----\n")
    end = "-----END CERTIFICATE-----\n"
    file.write_text(both[0] + end)
    first = clients.ssl.create_default_context(cafile=str(file))
    assert clients.ssl.create_default_context(cafile=str(file)) is first
    file.write_text(both[0] + end + both[1] + end)
    assert len(clients.ssl.create_default_context(cafile=str(file)).get_ca_certs()) == 2


def test_what_checks_nothing_is_shared_with_nobody() -> None:
    loose, another = clients.ssl.create_default_context(), clients.ssl.create_default_context()
    assert loose is not another, "Prefect changes one that is to check nothing, and nobody else's may change with it"
