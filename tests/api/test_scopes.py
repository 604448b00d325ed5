"""No route and no action is reached without its scope: each is tried without a token, and with one of all other scopes.

The scope of each is written down here once more, by hand: whoever adds a route has to say whom it is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from api.actions import ACTIONS
from api.app import create_app
from api.guide import PATH
from api.page.sessions import COOKIE, HEADER, Sessions
from api.parts import Parts
from holdfast.settings import Settings
from holdfast.tokens import SCOPES, Scope, Tokens
from tests.api.running import Running, running
from tests.standing import settings_in

PLAN = {"id": "x", "name": "X", "steps": []}
JOB, EXECUTION = "backup_1_a", "recovery_1_a"

Said = dict[str, Any]
Routes = dict[tuple[str, str], tuple[Scope, Said | None]]

REST: Routes = {
    ("GET", "/metrics"): ("read", None),
    ("GET", "/v1/status"): ("read", None),
    ("GET", "/v1/test"): ("read", None),
    ("GET", "/v1/jobs"): ("read", None),
    ("GET", "/v1/jobs/{job_id}"): ("read", None),
    ("GET", "/v1/backups"): ("read", None),
    ("POST", "/v1/backups"): ("backup", {"type": "database"}),
    ("GET", "/v1/backups/{job_id}"): ("read", None),
    ("GET", "/v1/restores"): ("read", None),
    ("POST", "/v1/restores"): ("restore", {"backupId": "latest", "type": "database"}),
    ("GET", "/v1/restores/{job_id}"): ("read", None),
    ("POST", "/v1/verifications"): ("backup", {}),
    ("POST", "/v1/drills"): ("backup", {}),
    ("POST", "/v1/cleanups"): ("admin", {}),
    ("POST", "/v1/replications"): ("backup", {}),
    ("GET", "/v1/plans"): ("read", None),
    ("POST", "/v1/plans"): ("admin", {"plan": PLAN}),
    ("GET", "/v1/plans/{plan_id}"): ("read", None),
    ("PUT", "/v1/plans/{plan_id}"): ("admin", {"plan": PLAN}),
    ("DELETE", "/v1/plans/{plan_id}"): ("admin", None),
    ("POST", "/v1/plans/{plan_id}/enable"): ("admin", None),
    ("POST", "/v1/plans/{plan_id}/disable"): ("admin", None),
    ("POST", "/v1/plans/{plan_id}/executions"): ("restore", {}),
    ("GET", "/v1/executions"): ("read", None),
    ("GET", "/v1/executions/{execution_id}"): ("read", None),
    ("POST", "/v1/executions/{execution_id}/approval"): ("restore", {"approve": True}),
    ("POST", "/v1/executions/{execution_id}/resume"): ("restore", None),
    ("POST", "/v1/executions/{execution_id}/roll-back"): ("restore", None),
    ("GET", "/v1/configuration"): ("read", None),
    ("PATCH", "/v1/configuration"): ("admin", {"updates": {"monitorInterval": 6}}),
    ("POST", "/v1/init"): ("admin", {}),
    ("POST", "/v1/events"): ("restore", {"event": "database_unavailable"}),
    ("GET", "/v1/audit"): ("admin", None),
    ("GET", "/v1/audit/verification"): ("admin", None),
}
GUIDE: dict[str, tuple[Scope, Said]] = {
    "status": ("read", {}),
    "test": ("read", {}),
    "init": ("admin", {}),
    "backup-database": ("backup", {}),
    "backup-function": ("backup", {}),
    "backup-config": ("backup", {}),
    "backup-secrets": ("backup", {}),
    "backup-all": ("backup", {}),
    "restore": ("restore", {"backupId": "latest", "type": "database"}),
    "jobs": ("read", {}),
    "job": ("read", {"jobId": JOB}),
    "disaster-recovery": ("restore", {"planId": "database_failure"}),
    "plans": ("read", {}),
    "add-plan": ("admin", {"plan": PLAN}),
    "remove-plan": ("admin", {"planId": "database_failure"}),
    "update-config": ("admin", {"updates": {"monitorInterval": 6}}),
    "cleanup": ("admin", {}),
}
PAGE: Routes = {
    ("GET", "/"): ("read", None),
    ("GET", "/jobs"): ("read", None),
    ("GET", "/jobs/{job_id}"): ("read", None),
    ("GET", "/backups"): ("read", None),
    ("GET", "/backups/{backup_id}"): ("read", None),
    ("POST", "/backups"): ("backup", {"type": "database"}),
    ("POST", "/verifications"): ("backup", {"backup": JOB, "type": "database"}),
    ("GET", "/restore"): ("read", None),
    ("POST", "/restore/look"): ("restore", {"backup": JOB, "type": "database", "mode": "new"}),
    ("GET", "/restore/{job_id}"): ("read", None),
    ("POST", "/restore"): ("read", {"backup": JOB, "type": "database", "looked": JOB}),  # it shows the look before
    ("GET", "/plans"): ("read", None),
    ("GET", "/plans/{plan_id}"): ("read", None),
    ("POST", "/plans/{plan_id}/executions"): ("restore", {"mode": "run", "sure": "yes"}),
    ("GET", "/executions"): ("read", None),
    ("GET", "/executions/{execution_id}"): ("read", None),
    ("POST", "/executions/{execution_id}/approval"): ("restore", {"approve": "yes"}),
    ("POST", "/executions/{execution_id}/resumption"): ("restore", {}),
    ("POST", "/executions/{execution_id}/roll-back"): ("restore", {}),
}
OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/login"), ("POST", "/login")}
ANY_SCOPE = {("GET", "/openapi.json"), ("POST", "/logout")}


@dataclass
class Doors:
    """An API, and clients whose tokens have all scopes but one."""

    api: Running
    sessions: Sessions
    tokens: Tokens
    _lacking: dict[Scope, httpx.Client] = field(default_factory=dict)
    _at_the_page: dict[Scope, httpx.Client] = field(default_factory=dict)

    def lacking(self, scope: Scope) -> httpx.Client:
        if scope not in self._lacking:
            self._lacking[scope] = self.api.client(self._token(f"no-{scope}", scope))
        return self._lacking[scope]

    def at_the_page_lacking(self, scope: Scope) -> httpx.Client:
        """Somebody who has logged in at the page, and has the word that its forms have."""
        if scope not in self._at_the_page:
            client = self.api.client()
            client.post("/login", data={"token": self._token(f"page-no-{scope}", scope)})
            client.headers[HEADER] = self._word(client)
            self._at_the_page[scope] = client
        return self._at_the_page[scope]

    def _word(self, client: httpx.Client) -> str:
        session = self.sessions.get(client.cookies[COOKIE])
        assert session is not None
        return session.csrf

    def _token(self, name: str, lacks: Scope) -> str:
        return self.tokens.create(name, [one for one in SCOPES if one != lacks])


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with pytest.MonkeyPatch.context() as patch:
        settings: Settings = settings_in(tmp_path_factory.mktemp("scopes"), patch)
        app = create_app(Parts(lambda: settings))
        with running(settings, app, app.state.stopping) as api:
            yield Doors(api, app.state.sessions, Tokens.of(settings))


def filled(path: str) -> str:
    names = {"job_id": JOB, "backup_id": JOB, "plan_id": "database_failure", "execution_id": EXECUTION}
    return path.format(**names)


def routes() -> set[tuple[str, str]]:
    routers = [one.original_router for one in create_app().routes if hasattr(one, "original_router")]
    found = [one for router in routers for one in router.routes if isinstance(one, APIRoute)]
    return {(method, one.path) for one in found for method in one.methods}


def test_every_route_and_every_action_says_here_whom_it_is_for() -> None:
    assert routes() == {*REST, *PAGE, *OPEN, *ANY_SCOPE, ("GET", PATH), ("POST", PATH)}
    assert {name: action.scope for name, action in ACTIONS.items()} == {name: scope for name, (scope, _) in GUIDE.items()}


@pytest.mark.parametrize(("method", "path"), sorted(REST))
def test_no_route_is_reached_without_its_scope(doors: Doors, method: str, path: str) -> None:
    scope, said = REST[method, path]
    refused = doors.lacking(scope).request(method, filled(path), json=said)
    assert (refused.status_code, refused.json()["code"]) == (403, "HF-413"), refused.text
    assert f"it takes the scope {scope}" in refused.json()["detail"]


@pytest.mark.parametrize("name", sorted(GUIDE))
def test_no_action_of_the_guide_is_reached_without_its_scope(doors: Doors, name: str) -> None:
    scope, said = GUIDE[name]
    if ACTIONS[name].method == "GET":
        refused = doors.lacking(scope).get(PATH, params={"action": name, **said})
    else:
        refused = doors.lacking(scope).post(PATH, params={"action": name}, json=said)
    assert (refused.status_code, refused.json()["code"]) == (403, "HF-413"), refused.text
    assert f"it takes the scope {scope}" in refused.json()["detail"]


@pytest.mark.parametrize(("method", "path"), sorted(PAGE))
def test_nothing_of_the_page_is_reached_without_its_scope(doors: Doors, method: str, path: str) -> None:
    scope, said = PAGE[method, path]
    refused = doors.at_the_page_lacking(scope).request(method, filled(path), data=said)
    assert refused.status_code == 403, refused.text
    assert f"it takes the scope {scope}" in refused.text


def test_without_a_token_nothing_but_health_and_the_form_for_one_is_answered(doors: Doors) -> None:
    doors.lacking("read")  # as soon as there is a token
    shut = [(method, filled(path), said) for table in (REST, PAGE) for (method, path), (_, said) in table.items()]
    shut += [(ACTIONS[name].method, f"{PATH}?action={name}", said) for name, (_, said) in GUIDE.items()]
    shut += [("GET", "/openapi.json", None), ("POST", "/logout", None)]
    of_the_page = {filled(path) for _, path in PAGE} | {"/logout"}
    for method, path, said in shut:
        client = doors.api.client()
        answer = client.request(method, path, **({"data": said} if path in of_the_page else {"json": said}))
        if path in of_the_page:
            assert answer.headers["Location"].startswith("/login"), (method, path)
        else:
            assert answer.status_code in (401, 429), (method, path)
