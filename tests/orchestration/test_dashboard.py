"""The page that the Prefect UI shows of how things stand: what is wrong comes first, and nothing is made up."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from holdfast.alarms import Alarm, judge
from holdfast.look import look_over
from orchestration.dashboard import dashboard_key, headline, page
from tests.standing import overview, settings_in, some_backups

ALARM = Alarm("key", "A | title", "It says <script>alert(1)</script> ![x](http://elsewhere)", "Mend it", None, "backup_1, proven")


def test_what_is_wrong_comes_first_and_can_not_become_a_part_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_RPO_TARGET_HOURS="24", BACKUP_RTO_TARGET_MINUTES="5")
    look = overview(settings, some_backups(settings)[0])
    text = page(look, {"key": ALARM, "rto": None})
    assert headline(look, {"key": ALARM}) == "1 thing to see to: A | title"
    assert text.index("### A \\| title") < text.index("| | database |")
    assert "<script>" not in text
    assert "](http://elsewhere)" not in text.replace("!\\[x](http://elsewhere)", "")
    assert "Last good backup: `backup_1, proven`" in text


def test_the_page_tells_each_type_and_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch, BACKUP_RPO_TARGET_HOURS="24", BACKUP_RTO_TARGET_MINUTES="5")
    text = page(overview(settings, some_backups(settings)[0]), {})
    rows = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|$", text, re.MULTILINE))
    assert rows["State"].split(" | ") == ["✗ failed 2 in a row", "off", "✗ the newest is bad", "off"]
    assert rows["Last backup"].startswith("2 h ago")
    assert rows["Next run"].startswith("in 60 min")
    assert rows["RPO (allowed)"].startswith("30 h (24 h)")
    assert rows["RTO"].startswith("1 min 0 s")
    assert rows["Copies"].startswith("2 |")
    assert rows["Last week"].startswith("5 made, 2 failed")
    assert "database: 40.0 s for 195.3 KiB, measured by a drill" in text
    assert "allowed: 5 min 0 s" in text


def test_the_picture_shows_each_backup_and_which_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    text = page(overview(settings, some_backups(settings)[0]), {})
    found = re.search(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", text)
    assert found is not None
    picture = ET.fromstring(b64decode(found[1]))
    groups = picture.findall("{*}g")
    assert [group.findtext("{*}text") for group in groups] == ["database", "config"]
    bars = [[bar.get("fill") for bar in group.findall("{*}rect")] for group in groups]
    assert [len(one) for one in bars] == [2, 1]
    assert bars[0][0] != bars[0][1], "the older one is proven, the newer one is not"
    assert bars[1][0] not in bars[0], "this one is bad"


def test_a_home_without_any_backup_and_a_repository_out_of_reach_are_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    look = look_over(settings, None)
    assert headline(look, judge(look, None, threshold=3)) == "The repository could not be looked at"
    text = page(look, {})
    assert "The catalog does not answer" in text
    assert "Dedup ratio" not in text
    assert "**not measured yet**" in text


def test_each_target_has_a_dashboard_of_its_own() -> None:
    assert (dashboard_key(None), dashboard_key("shop")) == ("holdfast-dashboard", "shop-dashboard")
