"""The weekly report, from a real run: in Prefect's UI, by a channel, and in the result."""

from __future__ import annotations

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock

from flows.database_backup import database_backup
from flows.report import report
from flows.verification import verification
from tests.flows.conftest import KEY, PASSWORD, Installation
from tests.receivers import http_receiver


def test_a_report_tells_the_week_in_the_ui_and_by_every_channel(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_receiver() as good, http_receiver(status=500) as broken:
        for name, receiver in (("report-good", good), ("report-broken", broken)):
            json_data = {"subject": "{{subject}}", "body": "{{body}}"}
            CustomWebhookNotificationBlock(name=name, url=receiver.url, json_data=json_data).save(name, overwrite=True)
        made = database_backup()
        verification(level="proven")
        monkeypatch.setenv("BACKUP_NOTIFICATION_CHANNELS", "report-good,report-broken")
        done = report()
        (sent,) = [document for _, document in good.got if "Proofs" in str(document["body"])]
    page = installation.artifacts("holdfast-report")[-1]
    assert page.startswith(f"# {done['title']}")
    assert f"the newest good one is {made['jobId']}" in page
    assert made["jobId"] not in page.partition("## Restore drill")[2].partition("## Deleted")[0], "that was no drill"
    assert "- database: RPO" in page
    assert "not measured yet" not in page.partition("- database: RPO")[2].partition("\n")[0]
    assert sent["subject"] == done["title"]
    assert made["jobId"] in sent["body"]
    assert {one["channel"]: one["ok"] for one in done["sent"]} == {"report-good": True, "report-broken": False}
    assert done["status"] == "completed"
    assert done["types"][0]["attempts"]["completed"] >= 1
    assert not [secret for secret in (KEY, PASSWORD) if secret in page + str(done) + str(sent)]


def test_with_the_catalog_down_a_report_says_so_and_tells_the_rest(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = database_backup()
    monkeypatch.setenv("BACKUP_CATALOG_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    monkeypatch.setenv("BACKUP_ENABLE_NOTIFICATIONS", "false")
    done = report(days=1)
    assert (done["status"], done["failures"], done["restores"], done["sent"]) == ("completed", None, None, [])
    assert "the catalog does not answer" in done["text"]
    assert made["jobId"] in done["text"]
