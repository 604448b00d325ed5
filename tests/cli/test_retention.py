"""Pins and clean-ups as a user meets them: what would go is shown, what is pinned is marked and stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from holdfast.repository import Repository, UserKey
from holdfast.storage import LocalStorage
from tests.cli.conftest import KEY, Shop
from tests.repository.making import back_up

OLD = [f"backup_17000000{number}0_abcdef" for number in range(5)]


def test_what_would_go_is_shown_what_is_pinned_stays_and_the_rest_goes(shop: Shop) -> None:
    home = shop.home
    repository = Repository.open(LocalStorage(home.path / "repository"), key=UserKey.parse(KEY))
    for age, backup_id in enumerate(OLD):
        moment = datetime.now(UTC) - timedelta(days=500 + age)
        back_up(repository, backup_id, {"a": backup_id.encode()}, backup_type="secrets", snapshot_at=moment)
    assert home.error(3, "pin", "backup_1000000000_abcdef")["nextStep"]
    assert home.json("pin", OLD[4], "--reason", "the auditors want it")["pinned"]["reason"] == "the auditors want it"
    listed = home.run("list", "--type", "secrets").out.splitlines()
    assert [line.split()[0] for line in listed if "stored, pinned" in line] == [OLD[4]]

    plan = home.run("cleanup", "--dry-run").out
    assert "1 backup would go" in plan
    assert "older than 365 days" in next(line for line in plan.splitlines() if OLD[3] in line)
    assert "the auditors want it" in next(line for line in plan.splitlines() if OLD[4] in line)
    assert OLD[1] not in plan, "what stays for the plain reason is not worth a line"

    done = home.json("cleanup")
    assert (done["status"], done["dryRun"], [one["jobId"] for one in done["deleted"]]) == ("completed", False, [OLD[3]])
    assert home.json("unpin", OLD[4]) == {"jobId": OLD[4], "pinned": None}
    left = {job["jobId"]: (job["status"], job["pinned"]) for job in home.json("list", "--type", "secrets")}
    assert left == {**dict.fromkeys(OLD, ("completed", None)), OLD[3]: ("gone", None)}

    assert "would lose the secrets backup of" in home.error(4, "repo", "forget", OLD[4])["reason"]
    assert home.json("repo", "forget", OLD[4], "--yes")["forgotten"] is True
    assert OLD[4] not in [one.id for one in repository.backups("secrets")]
    for backup_id in OLD[:3]:
        repository.forget(backup_id)
