"""Calls wait for their lines and measurements, but not for ever."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from libs.telemetry.calls import Calls, EndedCall
from libs.telemetry.durations import DURATIONS

PATH = "/calls.test/M"


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as entries:
        yield entries


def call(code: str = "OK", reason: str = "", request_id: str = "") -> EndedCall:
    return (PATH, 10.0, 10.25, code, reason, "why" if reason else "", request_id)


def test_nothing_is_written_before_the_drain_and_all_of_it_then(lines: list[EventDict]) -> None:
    calls = Calls()
    before = DURATIONS.count(PATH, "OK")
    for _ in range(3):
        calls.add(call())
    assert (lines, DURATIONS.count(PATH, "OK")) == ([], before)
    calls.drain()
    assert len(lines) == 3
    assert DURATIONS.count(PATH, "OK") == before + 3
    calls.drain()
    assert len(lines) == 3


def test_what_waits_is_bounded(lines: list[EventDict]) -> None:
    calls = Calls()
    for _ in range(12_000):
        calls.add(call())
    assert len(lines) == 10_000


def test_a_line_holds_only_what_there_is(lines: list[EventDict]) -> None:
    calls = Calls()
    calls.add(call())
    calls.add(call("ALREADY_EXISTS", "ALREADY_SIGNED", "r"))
    calls.drain()
    assert lines == [
        {"event": "call", "log_level": "info", "method": PATH, "code": "OK", "duration_ms": 250.0},
        {
            "event": "call",
            "log_level": "info",
            "method": PATH,
            "code": "ALREADY_EXISTS",
            "reason": "ALREADY_SIGNED",
            "message": "why",
            "request_id": "r",
            "duration_ms": 250.0,
        },
    ]


@pytest.mark.parametrize(
    ("code", "level"), [("OK", "info"), ("NOT_FOUND", "info"), ("UNAVAILABLE", "warning"), ("INTERNAL", "error")]
)
def test_the_level_tells_whose_fault_it_was(lines: list[EventDict], code: str, level: str) -> None:
    calls = Calls()
    calls.add(call(code))
    calls.drain()
    assert lines[0]["log_level"] == level
