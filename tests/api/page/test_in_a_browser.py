"""The page in a browser: on a phone, in the dark, by keyboard, without scripts, and while the connection is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from api.parts import Parts
from holdfast.tokens import SCOPES, Tokens
from tests.api.answering import answering
from tests.api.page.seeing import Eyes
from tests.standing import settings_in, some_backups

PAGES = ("/", "/jobs", "/backups", "/backups/newer", "/plans", "/plans/database_failure", "/executions", "/restore?backup=newer")


class Seen(NamedTuple):
    """A page, somebody who looks at it, and a token of theirs."""

    eyes: Eyes
    url: str
    token: str


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """The page of a small repository, while catalog and Prefect server are down."""
    with pytest.MonkeyPatch.context() as patch:
        settings = settings_in(tmp_path_factory.mktemp("page"), patch)
        some_backups(settings)
        token = Tokens.of(settings).create("night", SCOPES)
        with answering(Parts(lambda: settings)) as client, Eyes(tmp_path_factory.mktemp("browser")) as eyes:
            yield Seen(eyes, str(client.base_url).rstrip("/"), token)


@pytest.fixture
def logged_in(seen: Seen) -> Iterator[Seen]:
    """Somebody who has logged in, and whose browser has nothing to complain of at the end."""
    seen.eyes.be()
    if "Log out" not in seen.eyes.open(f"{seen.url}/", "Holdfast"):
        log_in(seen)
    yield seen
    assert seen.eyes.complaints == []


def log_in(seen: Seen) -> None:
    seen.eyes.open(f"{seen.url}/login", "Token")
    seen.eyes.wait_until("document.activeElement?.id === 'token'")
    seen.eyes.write(seen.token)
    seen.eyes.press("Enter")
    seen.eyes.wait_for("Not everything is protected")


def test_somebody_logs_in_looks_and_goes_on_by_keyboard_alone(seen: Seen) -> None:
    seen.eyes.be()
    log_in(seen)
    seen.eyes.press("Tab")
    assert seen.eyes.evaluate("document.activeElement.innerText") == "To the content"
    seen.eyes.tab_to("Plans")
    assert seen.eyes.focus_is_visible()
    seen.eyes.press("Enter")
    seen.eyes.wait_for("Recovery plans")
    seen.eyes.tab_to("Database Failure Recovery")
    seen.eyes.press("Enter")
    seen.eyes.wait_for("Only look")
    seen.eyes.tab_to("Log out")
    seen.eyes.press("Enter")
    seen.eyes.wait_for("Log in")
    assert seen.eyes.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 320])
def test_every_page_can_be_read_on_every_screen(logged_in: Seen, width: int, scheme: str) -> None:
    logged_in.eyes.be(width=width, scheme=scheme)
    for path in PAGES:
        logged_in.eyes.open(logged_in.url + path, "All times are UTC")
        logged_in.eyes.require_readable()


def test_what_is_shown_is_kept_live_and_a_lost_connection_is_told_with_its_age(logged_in: Seen) -> None:
    eyes = logged_in.eyes
    eyes.open(f"{logged_in.url}/", "Not everything is protected")
    eyes.evaluate("document.getElementById('live').dataset.old = 'yes'; htmx.trigger('#live', 'refresh')")
    eyes.wait_until("!document.getElementById('live').dataset.old")
    eyes.offline(True)
    eyes.evaluate("htmx.trigger('#live', 'refresh')")
    assert "s old" in eyes.wait_for("The connection to Holdfast is lost.", "What is shown is")
    eyes.offline(False)
    eyes.evaluate("htmx.trigger('#live', 'refresh')")
    eyes.wait_until("document.getElementById('connection').hidden")
    of_htmx = ("ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest")
    eyes.complaints = [one for one in eyes.complaints if not any(word in one for word in of_htmx)]


def test_what_has_the_focus_keeps_it_when_the_page_is_put_up_to_date(logged_in: Seen) -> None:
    eyes = logged_in.eyes
    eyes.open(f"{logged_in.url}/", "Not everything is protected")
    eyes.evaluate("document.getElementById('newest-database').focus()")
    eyes.evaluate("document.getElementById('live').dataset.old = 'yes'; htmx.trigger('#live', 'refresh')")
    eyes.wait_until("!document.getElementById('live').dataset.old")
    assert eyes.evaluate("document.activeElement.id") == "newest-database"


def test_without_scripts_all_of_it_works_by_links_and_forms(logged_in: Seen) -> None:
    eyes = logged_in.eyes
    eyes.without_scripts()
    try:
        eyes.open(f"{logged_in.url}/backups", "newer")
        eyes.follow("/backups/newer", "Restore this")
        eyes.follow("/restore?", "Beside what is live")
        eyes.evaluate("document.querySelector('main form button').click()")
        eyes.wait_for("no Prefect server answers")
    finally:
        eyes.without_scripts(False)
    eyes.complaints = [one for one in eyes.complaints if "503" not in one and "400" not in one]
