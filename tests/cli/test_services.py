"""`holdfast services …`: a person tells of a service, asks it, restarts it, and no secret of it is shown."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Shop
from tests.recovery.services import sample_service

CANARY = "canary-of-services-on-the-command-line"


def test_a_service_is_told_of_asked_restarted_and_forgotten(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "env").write_text(f"SERVICE_PASSWORD={CANARY}\n")
    with sample_service(tmp_path / "web") as web:
        deeds = [word for deed in ("start", "stop", "kill") for word in (f"--{deed}", web.command(deed))]
        rest = ["--environment-file", str(tmp_path / "env"), "--interval", "0.1", "--stop-seconds", "2"]
        added = shop.home.json("services", "add", "web", "--kind", "command", *deeds, "--health-url", web.url, *rest)
        assert (added["block"], added["environment"]) == ("holdfast-service-web", ["SERVICE_PASSWORD"])
        assert shop.home.json("services", "list") == [{key: value for key, value in added.items() if key != "block"}]
        before = web.pid
        web.hang()
        assert shop.home.json("services", "check", code=1)[0]["health"] == "not well"
        restarted = shop.home.json("services", "restart", "web", "--force")
        assert "so it was killed" in restarted["did"][0]
        assert restarted["health"] == "well"
        assert web.pid != before
    assert shop.home.json("services", "remove", "web") == {"name": "web", "removed": True}
    assert shop.home.error(3, "services", "check", "web")["nextStep"] == "'holdfast services list' names those that there are"


def test_what_can_not_work_or_would_be_seen_by_others_is_refused_before_anything_is_started(shop: Shop) -> None:
    assert "needs its unit" in shop.home.error(2, "services", "add", "web", "--kind", "docker")["reason"]
    url = f"http://ops:{CANARY}@127.0.0.1/"
    error = shop.home.error(2, "services", "add", "web", "--kind", "docker", "--unit", "web", "--health-url", url)
    assert error["nextStep"] == "Give - and type it when asked"
    assert CANARY not in str(error)
