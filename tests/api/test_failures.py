"""Who fails too often has to wait, by address, and the memory that this takes is bounded."""

from __future__ import annotations

import logging

import pytest

from api.failures import MOST, Failures, network_of
from api.log_budget import LogBudget


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_so_many_failures_an_address_waits_until_its_minute_is_over() -> None:
    clock = Clock()
    failures = Failures(clock=clock)
    assert [failures.count("192.0.2.1") for _ in range(MOST)] == [0] * MOST
    clock.now += 20
    assert failures.count("192.0.2.1") == 40
    assert failures.count("192.0.2.2") == 0
    clock.now += 40
    assert failures.count("192.0.2.1") == 0


def test_one_machine_with_many_addresses_of_ipv6_counts_as_one() -> None:
    failures = Failures(most=1)
    assert failures.count("2001:db8:1:2::1") == 0
    assert failures.count("2001:db8:1:2:ffff::7") > 0
    assert failures.count("2001:db8:1:3::1") == 0
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1")


def test_a_flood_from_everywhere_takes_no_more_memory_and_no_more_log(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures(addresses=100)
    for number in range(1000):
        failures.count(f"10.0.{number // 250}.{number % 250}")
    assert len(failures._counted) == 100
    assert len(caplog.records) == 60


def test_what_is_not_logged_is_told_as_a_number(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    caplog.set_level(logging.INFO)
    budget = LogBudget(logging.getLogger("holdfast.api"), 2, clock)
    assert [budget.allows() for _ in range(5)] == [True, True, False, False, False]
    clock.now += 60
    assert budget.allows()
    assert [record.getMessage() for record in caplog.records] == ["3 more lines on requests of strangers were not written"]
