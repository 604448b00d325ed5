"""The audit log grows in order and without gaps, whoever writes and whatever dies; what was done to a line later is found."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from holdfast.audit import Actor, AuditBook, Entry, Outcome
from holdfast.audit.adopting import adopt_former_chains
from holdfast.audit.chain import line_of
from holdfast.audit.entry import this_host
from holdfast.audit.mirroring import mirror_audit_log
from holdfast.audit.verification import Verification, verify
from holdfast.catalog import Catalog
from holdfast.catalog.audit_log import AuditLog
from holdfast.errors import AccessDeniedError, AuditBrokenError, HoldfastError
from holdfast.postgres.connection import DatabaseUrl
from holdfast.repository import Repository, UserKey
from holdfast.settings import Settings
from holdfast.storage import LocalStorage
from tests.catalog.conftest import Ask, ask_once
from tests.repository.independent_reader import Reader, canonical

ALICE = Actor("user", "alice")
UNGUARDED = "SET session_replication_role = replica"
"""What a superuser does first who wants to change a table that triggers guard."""


def entry(action: str = "plan.add", outcome: Outcome = "done", subject: str | None = None, *, actor: Actor = ALICE) -> Entry:
    return Entry(action, actor, "host.example", outcome, subject)


def add(log: AuditLog, count: int) -> None:
    log.add([entry(subject=f"plan-{number}").record() for number in range(1, count + 1)])


@pytest.fixture
def log(catalog: Catalog) -> AuditLog:
    return catalog.audit


@pytest.fixture
def settings(url: DatabaseUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("BACKUP_CATALOG_URL", url.without_password())
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "home"))
    return Settings(_env_file=None)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.create(LocalStorage(tmp_path / "repository"), key=UserKey.generate()[0])


def unguarded(ask: Ask, statement: str) -> None:
    ask(f"{UNGUARDED}; {statement}")


def subjects(log: AuditLog) -> list[str | None]:
    return [line.content()["subject"] for line in reversed(log.newest(limit=1000))]


# Writing


def test_a_line_says_who_did_what_when_from_where_and_with_what_outcome(log: AuditLog) -> None:
    said = Entry(
        "key.remove", Actor("token", "ci o'neill"), "192.0.2.7", "refused", "0a1b", "HF-403", {"label": "old", "count": 2}
    )
    log.add([said.record()])
    (line,) = log.newest()
    document = line.document()
    assert Entry.of(line.content()) == said
    assert (document["sequence"], document["actor"], document["at"]) == (1, {"kind": "token", "name": "ci o'neill"}, said.at)
    assert [one.sequence for one in log.newest(actor="ci o'neill", action="key.remove", subject="0a1b")] == [1]
    assert log.newest(actor="ci") == []


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET line = ''", "DELETE FROM audit_log", "TRUNCATE audit_log"])
def test_nobody_changes_or_deletes_lines_by_plain_sql(log: AuditLog, ask: Ask, statement: str) -> None:
    add(log, 2)
    with pytest.raises(Exception, match="only ever added to"):
        ask(statement)
    assert len(log.newest()) == 2


def test_an_entry_that_is_handed_over_twice_has_one_line(log: AuditLog) -> None:
    one, other = entry(subject="1").record(), entry(subject="2").record()
    assert len(log.add([one])) == 1
    assert len(log.add([one, other, other])) == 1
    assert subjects(log) == ["1", "2"]


def test_lines_are_listed_page_by_page_newest_first_also_where_the_clock_has_jumped_back(log: AuditLog) -> None:
    now = datetime.now(UTC)
    times = [now, now - timedelta(days=3), now, now + timedelta(hours=1)]
    log.add([Entry("plan.add", ALICE, "h", "done", str(number), at=at).record() for number, at in enumerate(times)])
    found, before = [], None
    while page := log.newest(limit=1, before=before):
        found.append(page[0].sequence)
        before = (page[0].content()["at"], page[0].chain, page[0].sequence)
    assert found == [4, 3, 1, 2]
    assert [line.sequence for line in log.newest(since=now)] == [4, 3, 1]
    assert verify(log, None).ok, "the order of the chain is that in which lines were written"


def test_processes_that_write_at_once_leave_no_gap(url: DatabaseUrl, log: AuditLog) -> None:
    program = """
import sys
from holdfast.audit import Actor, Entry
from holdfast.catalog import Catalog
with Catalog(sys.argv[1]) as catalog:
    for number in range(40):
        catalog.audit.add([Entry("plan.add", Actor("user", sys.argv[2]), "h", "done", str(number)).record()])
"""
    commands = [[sys.executable, "-c", program, url.without_password(), name] for name in ("a", "b")]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert sorted(line.sequence for line in log.newest(limit=1000)) == list(range(1, 81))
    assert verify(log, None).ok
    for name in ("a", "b"):
        assert [line.content()["subject"] for line in log.newest(actor=name)][::-1] == [str(number) for number in range(40)]


# The catalog is down


def test_what_is_done_while_the_catalog_is_down_is_in_the_log_later_in_order(
    settings: Settings, url: DatabaseUrl, log: AuditLog
) -> None:
    book = AuditBook(settings)
    book.write(entry(subject="before"))
    elsewhere = SecretStr(f"{url.without_password()}_gone")
    down = AuditBook(settings.model_copy(update={"catalog_url": elsewhere}))
    for number in (1, 2, 3):
        down.write(entry(subject=str(number)))
    assert len(down.waiting.all()) == 3
    assert all(one.path.stat().st_mode & 0o777 == 0o600 for one in down.waiting.all())
    book.write(entry(subject="after"))
    assert subjects(log) == ["before", "1", "2", "3", "after"]
    assert book.waiting.all() == []
    assert verify(log, None).ok


def test_an_entry_that_can_be_kept_nowhere_harms_no_work(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_text("no folder")
    gone = settings.model_copy(update={"catalog_url": None})
    AuditBook(gone).write(entry(subject="lost"))
    assert "no entry of plan.add lost" in caplog.text


def test_a_waiting_file_that_is_damaged_is_kept_aside_and_holds_nothing_up(settings: Settings, log: AuditLog) -> None:
    book = AuditBook(settings)
    for number in (1, 2, 3):
        book.waiting.put(entry(subject=str(number)).record())
    damaged = book.waiting.paths()[1]
    damaged.write_bytes(b"{")
    assert book.take_in() == 2
    assert subjects(log) == ["1", "3"]
    assert [path.name for path in damaged.parent.iterdir()] == [damaged.with_suffix(".damaged").name]


KILLED = """
import os, signal, sys
from pathlib import Path
from holdfast.audit import AuditBook
from holdfast.catalog.audit_log import AuditLog
from holdfast.settings import Settings

def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
step = sys.argv[1]
if step == "before the lines are added": AuditLog._insert = die
if step == "before the transaction ends":
    insert = AuditLog._insert
    AuditLog._insert = lambda *given: (insert(*given), die())
if step == "before a file goes": Path.unlink = die
if step == "between two files":
    unlink, gone = Path.unlink, []
    def once(self, missing_ok=False):
        if gone: die()
        gone.append(self)
        unlink(self, missing_ok)
    Path.unlink = once
AuditBook(Settings(_env_file=None)).take_in()
"""


@pytest.mark.parametrize(
    "step", ["before the lines are added", "before the transaction ends", "before a file goes", "between two files"]
)
def test_killed_while_it_takes_in_what_waits_nothing_is_lost_and_nothing_is_there_twice(
    settings: Settings, log: AuditLog, step: str
) -> None:
    book = AuditBook(settings)
    for number in range(3):
        book.waiting.put(entry(subject=str(number)).record())
    killed = subprocess.run([sys.executable, "-c", KILLED, step], env=dict(os.environ), check=False)
    assert killed.returncode == -signal.SIGKILL
    book.write(entry(subject="after"))
    assert subjects(log) == ["0", "1", "2", "after"]
    assert book.waiting.all() == []
    assert verify(log, None).ok


DIES_WITHIN = """
import os, sys
from holdfast.audit import Actor, AuditBook, Entry
from holdfast.settings import Settings
book, entry = AuditBook(Settings(_env_file=None)), Entry("plan.remove", Actor("token", "ops"), "192.0.2.7", "done", "orders_lost")
with book.begun(entry):
    if sys.argv[1] == "after it was written":
        book.write(entry)
    os._exit(9)
"""


@pytest.mark.parametrize(("when", "outcome"), [("before it was written", "accepted"), ("after it was written", "done")])
def test_a_change_whose_process_dies_has_one_line_all_the_same(
    settings: Settings, log: AuditLog, when: str, outcome: str
) -> None:
    died = subprocess.run([sys.executable, "-c", DIES_WITHIN, when], env=os.environ, check=False)
    assert died.returncode == 9
    book = AuditBook(settings)
    with book.begun(entry(subject="of one that lives")):
        book.take_in()
        assert [(line.content()["action"], line.content()["outcome"]) for line in log.newest()] == [("plan.remove", outcome)]
    assert ("may have been done" in log.newest()[0].text) == (outcome == "accepted")
    assert [one for one in settings.home.rglob("*") if one.is_file()] == []


def test_no_secret_of_the_settings_is_in_it_even_where_one_is_handed_over(settings: Settings, log: AuditLog) -> None:
    secret = "canary4e77-hook-0123456789"
    holding = Settings(_env_file=None, BACKUP_SLACK_WEBHOOK_URL=f"https://hooks.example.org/{secret}")
    said = {"note": f"see https://hooks.example.org/{secret}"}
    AuditBook(holding).write(Entry("plan.add", ALICE, this_host(), "done", f"https://hooks.example.org/{secret}", details=said))
    (line,) = log.newest()
    assert secret not in line.text
    assert line.content()["details"] == {"note": "see ********"}


# Tampering with the catalog


def rewritten(log: AuditLog, ask: Ask, change: Callable[[list[dict[str, object]]], None]) -> None:
    """Rewrite the whole chain with right places and digests, as only its owner can."""
    contents = [line.content() for line in reversed(log.newest(limit=1000))]
    chain = str(contents[0]["chain"])
    change(contents)
    unguarded(ask, "DELETE FROM audit_log")
    previous = "0" * 64
    for sequence, content in enumerate(contents, 1):
        line = line_of(chain, sequence, {**content, "sequence": sequence, "previous": previous})
        previous = line.digest
        insert(ask, line.chain, line.sequence, line.digest, line.text)


def insert(ask: Ask, *values: object) -> None:
    ask("INSERT INTO audit_log (chain, sequence, digest, line) VALUES (%s, %s, %s, %s)", *values)


TAMPERED = {
    "changed": ("UPDATE audit_log SET line = replace(line, 'plan-4', 'plan-9') WHERE sequence = 4", 4, "it was changed"),
    "changed with its digest": (
        "UPDATE audit_log SET line = replace(line, 'plan-4', 'plan-9'), "
        "digest = encode(sha256(replace(line, 'plan-4', 'plan-9')::bytea), 'hex') WHERE sequence = 4",
        5,
        "does not follow",
    ),
    "deleted": ("DELETE FROM audit_log WHERE sequence IN (4, 5)", 4, "it is missing, and so are all up to 5"),
    "deleted and closed up": (
        "DELETE FROM audit_log WHERE sequence = 4; UPDATE audit_log SET sequence = sequence - 1 WHERE sequence > 4",
        4,
        "it says that it is line 5",
    ),
    "put in": (
        "UPDATE audit_log SET sequence = sequence + 100 WHERE sequence > 4; "
        "ALTER TABLE audit_log DROP CONSTRAINT audit_log_entry_id_key;"
        "UPDATE audit_log SET sequence = sequence - 99 WHERE sequence > 100;"
        "INSERT INTO audit_log (chain, sequence, digest, line) SELECT chain, 5, digest, line FROM audit_log WHERE sequence = 2",
        5,
        "it was put here: it says that it is line 2",
    ),
    "reordered": (
        "UPDATE audit_log SET sequence = 100 WHERE sequence = 3; UPDATE audit_log SET sequence = 3 WHERE sequence = 5;"
        "UPDATE audit_log SET sequence = 5 WHERE sequence = 100",
        3,
        "it says that it is line 5",
    ),
    "written otherwise": (
        "UPDATE audit_log SET line = line || ' ', digest = encode(sha256((line || ' ')::bytea), 'hex') WHERE sequence = 4",
        4,
        "not in canonical form",
    ),
}


@pytest.mark.parametrize("how", sorted(TAMPERED))
def test_the_first_line_that_was_tampered_with_is_named(log: AuditLog, ask: Ask, how: str) -> None:
    statement, sequence, what = TAMPERED[how]
    add(log, 8)
    unguarded(ask, statement)
    found = verify(log, None)
    assert not found.ok
    assert found.faults[0].sequence == sequence
    assert what in found.faults[0].what
    assert str(sequence) in str(found.error())


def test_columns_that_no_longer_say_what_the_line_says_are_told(log: AuditLog, ask: Ask) -> None:
    add(log, 5)
    unguarded(
        ask, "ALTER TABLE audit_log ALTER COLUMN actor DROP EXPRESSION; UPDATE audit_log SET actor = 'mallory' WHERE sequence = 2"
    )
    (fault,) = verify(log, None).faults
    assert (fault.sequence, "columns" in fault.what) == (2, True)


# With the repository


def test_the_repository_is_given_each_line_once_and_it_costs_one_request_when_there_is_nothing_new(
    log: AuditLog, repository: Repository, tmp_path: Path
) -> None:
    add(log, 3)
    assert mirror_audit_log(log, repository) == 3
    assert mirror_audit_log(log, repository) == 0
    add(log, 2)
    assert mirror_audit_log(log, repository) == 2
    names = sorted(path.name for path in (tmp_path / "repository" / "audit").glob("*/*"))
    assert names == ["000000000001-000000000003", "000000000004-000000000005"]
    found = verify(log, repository.audit)
    assert (found.ok, found.not_mirrored, found.chains[0].mirrored_to) == (True, 0, 5)
    add(log, 1)
    assert verify(log, repository.audit).not_mirrored == 1
    assert repository.check().ok


def test_a_process_that_dies_between_mirroring_and_saying_so_does_no_harm(log: AuditLog, repository: Repository) -> None:
    add(log, 3)
    lines = [line.content() for line in reversed(log.newest())]
    repository.audit.put(lines[0]["chain"], 1, lines)
    assert mirror_audit_log(log, repository) == 0
    repository.audit.put(lines[0]["chain"], 2, lines[1:])  # another host mirrored at the same time
    assert verify(log, repository.audit).ok


def mirrored(log: AuditLog, repository: Repository, *counts: int) -> None:
    for count in counts:
        add(log, count)
        mirror_audit_log(log, repository)


@pytest.mark.parametrize(
    ("change", "sequence"),
    [
        (lambda contents: contents[3].update(subject="other"), 4),
        (lambda contents: contents.pop(2), 3),
        (lambda contents: contents.__setitem__(slice(5, None), []), 6),
        (lambda contents: contents.insert(1, {**contents[0], "id": "0" * 32}), 2),
        (lambda contents: contents.insert(2, contents.pop(3)), 3),
    ],
    ids=["changed", "deleted", "cut off at its end", "put in", "reordered"],
)
def test_a_chain_that_was_rewritten_from_there_on_with_right_digests_differs_from_the_repository(
    log: AuditLog, repository: Repository, ask: Ask, change: Callable[[list[dict[str, object]]], None], sequence: int
) -> None:
    mirrored(log, repository, 4, 4)
    rewritten(log, ask, change)
    assert verify(log, None).ok, "by itself it can't be told"
    (fault,) = verify(log, repository.audit).faults
    assert fault.sequence == sequence
    assert "the repository" in fault.what


def test_a_whole_log_that_was_deleted_and_begun_anew_is_told(log: AuditLog, repository: Repository, ask: Ask) -> None:
    mirrored(log, repository, 4)
    unguarded(ask, "DELETE FROM audit_log; DELETE FROM audit_chains; DELETE FROM audit_mirrors")
    mirrored(log, repository, 1)
    (fault,) = verify(log, repository.audit).faults
    assert (fault.sequence, "the catalog lacks it" in fault.what) == (1, True)


def test_what_is_done_to_the_repositorys_own_lines_is_told(log: AuditLog, repository: Repository, tmp_path: Path) -> None:
    mirrored(log, repository, 2, 2, 2)
    first, second, third = sorted((tmp_path / "repository" / "audit").glob("*/*"))
    kept = second.read_bytes()
    second.write_bytes(third.read_bytes())
    faults = verify(log, repository.audit).faults
    assert (faults[0].sequence, "is damaged" in faults[0].what) == (3, True)
    assert second.name in str([str(one.object) for one in repository.check().problems])
    second.unlink()
    (fault,) = verify(log, repository.audit).faults
    assert (fault.sequence, "it is missing, and so are all up to 4" in fault.what) == (3, True)
    second.write_bytes(kept)
    third.unlink()
    found = verify(log, repository.audit)
    assert (found.ok, found.not_mirrored) == (True, 2)
    assert mirror_audit_log(log, repository) == 2, "the end of it is given again"
    assert first.exists()


def test_the_repository_alone_proves_and_keeps_the_log_when_the_catalog_is_gone(
    log: AuditLog, repository: Repository, empty: DatabaseUrl
) -> None:
    mirrored(log, repository, 3, 2)
    former = log.chains()[0].id
    alone = verify(None, repository.audit)
    assert (alone.ok, alone.chains[0].lines) == (True, 5)
    with Catalog(empty) as made_again:
        made_again.migrate()
        new = made_again.audit
        add(new, 1)
        assert "rebuild-catalog" in str(verify(new, repository.audit).faults[0])
        assert adopt_former_chains(new, repository, ALICE) == 5
        assert adopt_former_chains(new, repository, ALICE) == 0
        mirror_audit_log(new, repository)
        found = verify(new, repository.audit)
        assert (found.ok, [(chain.lines, chain.goes_on) for chain in found.chains]) == (True, [(5, False), (2, True)])
        assert [line.chain for line in new.newest(action="audit.adopt")] == [found.chains[1].chain]
        ask_once(empty, f"{UNGUARDED}; DELETE FROM audit_log WHERE chain = '{former}' AND sequence > 3")
        assert "taken over" in str(verify(new, None).faults[0])


def test_a_catalog_that_was_set_back_begins_a_chain_of_its_own(log: AuditLog, repository: Repository, ask: Ask) -> None:
    mirrored(log, repository, 3, 2)
    unguarded(ask, "DELETE FROM audit_log WHERE sequence > 3")
    assert verify(log, repository.audit).faults[0].sequence == 4
    assert adopt_former_chains(log, repository, ALICE) == 2
    add(log, 1)
    mirror_audit_log(log, repository)
    found = verify(log, repository.audit)
    assert (found.ok, sorted(chain.lines for chain in found.chains)) == (True, [2, 5])


def test_a_stranger_checks_the_chain_with_the_document_alone(tmp_path: Path, log: AuditLog) -> None:
    key, text_key = UserKey.generate()
    repository = Repository.create(LocalStorage(tmp_path / "folder"), key=key)
    mirrored(log, repository, 3, 2)
    reader, previous = Reader(tmp_path / "folder", text_key), "0" * 64
    for line in (line for record in reader.records("audit", "audit/*/*") for line in record["lines"]):
        assert line["previous"] == previous
        previous = hashlib.sha256(canonical(line)).hexdigest()
    assert previous == log.newest(limit=1)[0].digest


def test_the_error_that_names_the_line_ends_with_5(log: AuditLog, ask: Ask) -> None:
    add(log, 2)
    unguarded(ask, "DELETE FROM audit_log WHERE sequence = 1")
    found: Verification = verify(log, None)
    error: HoldfastError = found.error()
    assert isinstance(error, AuditBrokenError)
    assert error.exit_code == 5
    assert json.loads(json.dumps(found.document()))["firstFault"]["sequence"] == 1


def test_a_user_without_the_right_to_write_it_is_told(url: DatabaseUrl) -> None:
    ask_once(url, "CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    reader = DatabaseUrl(url.database, host=url.host, port=url.port, user="reader")
    try:
        with Catalog(reader) as catalog, pytest.raises(AccessDeniedError, match="writing the audit log"):
            add(catalog.audit, 1)
    finally:
        ask_once(url, "DROP OWNED BY reader; DROP ROLE reader")
