"""The table of the load on the HTTP API: ratios are taken within a round, and an error is never left out."""

from __future__ import annotations

from benchmarks.api_load import BARE, Run, as_markdown


def test_each_round_is_compared_with_the_bare_route_of_the_same_round() -> None:
    runs = [Run(BARE, 1, 1000, 0.01, 0.1, 0), Run("status", 1, 500, 0.02, 0.2, 0)]
    runs += [Run(BARE, 2, 900, 0.01, 0.4, 0), Run("status", 2, 400, 0.02, 1.6, 3)]
    _, _, _, _, bare, status, *_ = as_markdown(runs, 1_000_000, 5).splitlines()
    assert bare == "| bare FastAPI route | 950 (900–1,000) | 10.0 (10.0–10.0) | 250.0 (100.0–400.0) |  | 0 |"
    assert status == "| status | 450 (400–500) | 20.0 (20.0–20.0) | 900.0 (200.0–1,600.0) | 3.0 (2.0–4.0) | 3 |"
