"""Calls wait for their lines and measurements, but not for ever."""

from typing import Any

import pytest

from libs.telemetry import logs
from libs.telemetry.calls import Calls, EndedCall
from libs.telemetry.durations import DURATIONS


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, dict[str, Any]]]:
    there: list[tuple[str, float, dict[str, Any]]] = []
    monkeypatch.setattr(logs, "write", there.extend)
    return there


def call(code: str = "OK", reason: str = "", request_id: str = "") -> EndedCall:
    return ("/calls.test/M", 10.0, 10.25, code, reason, "why" if reason else "", request_id)


def test_nothing_is_written_before_the_drain_and_all_of_it_then(lines: list[Any]) -> None:
    calls = Calls()
    before = DURATIONS.count("/calls.test/M", "OK")
    for _ in range(3):
        calls.add(call())
    assert (lines, DURATIONS.count("/calls.test/M", "OK")) == ([], before)
    calls.drain()
    assert len(lines) == 3
    assert DURATIONS.count("/calls.test/M", "OK") == before + 3
    calls.drain()
    assert len(lines) == 3


def test_what_waits_is_bounded(lines: list[Any]) -> None:
    calls = Calls()
    for _ in range(12_000):
        calls.add(call())
    assert len(lines) == 10_000


def test_a_line_holds_only_what_there_is(lines: list[Any]) -> None:
    calls = Calls()
    calls.add(call())
    calls.add(call("ALREADY_EXISTS", "ALREADY_SIGNED", "r"))
    calls.drain()
    assert [fields for _, _, fields in lines] == [
        {"event": "call", "method": "/calls.test/M", "code": "OK", "duration_ms": 250.0},
        {
            "event": "call",
            "method": "/calls.test/M",
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
def test_the_level_tells_whose_fault_it_was(lines: list[Any], code: str, level: str) -> None:
    calls = Calls()
    calls.add(call(code))
    calls.drain()
    assert lines[0][0] == level
