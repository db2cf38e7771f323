"""What a process writes to its log."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def written(program: str, log_format: str = "json", level: str = "info") -> list[str]:
    """The lines that a program writes after the logs were set up; in a process of its own, for that changes it."""
    source = f"""
import logging, structlog
from libs.telemetry import logs
log = structlog.get_logger()
logs.configure("petition", {log_format!r}, {level!r})
{program}
"""
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def objects(program: str, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(program, level=level)]


def test_a_line_is_an_object_with_event_level_service_and_time() -> None:
    (line,) = objects("log.info('signed', ordinal=7)")
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "signed", "ordinal": 7, "level": "info", "service": "petition"}


def test_lines_of_standard_logging_look_the_same() -> None:
    (line,) = objects("logging.getLogger('grpc').warning('lost %s', 'it', extra={'port': 5})")
    assert {key: line[key] for key in ("event", "level", "logger", "port", "service")} == {
        "event": "lost it",
        "level": "warning",
        "logger": "grpc",
        "port": 5,
        "service": "petition",
    }


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_told_without_the_values_of_variables(log_format: str) -> None:
    program = """
def connect(url):
    raise RuntimeError('no')
try:
    connect('postgresql://u:' + 'secret'[::-1] + '@h')
except RuntimeError:
    log.exception('failed')
    logging.getLogger('x').exception('failed')
"""
    text = "\n".join(written(program, log_format))
    assert text.count("RuntimeError") >= 2
    assert "terces" not in text


def test_lines_of_calls_look_like_all_others() -> None:
    given = ("info", "/s/M", "OK", "", "")
    refused = ("warning", "/s/M", "UNAVAILABLE", "HALTED", 'a "quoted" \\ \n word')
    calls = [
        (given, "", 1767225600.5, 0.1239),
        (given, 'a "quoted" \\ \n id', 1767225601.25, 12),
        (refused, "", 1767225601.5, 0.5),
    ]
    assert objects(f"logs.write_calls({calls!r})") == [
        {
            "event": "call",
            "method": "/s/M",
            "code": "OK",
            "duration_ms": 0.124,
            "level": "info",
            "service": "petition",
            "timestamp": "2026-01-01T00:00:00.500000Z",
        },
        {
            "event": "call",
            "method": "/s/M",
            "code": "OK",
            "request_id": 'a "quoted" \\ \n id',
            "duration_ms": 12.0,
            "level": "info",
            "service": "petition",
            "timestamp": "2026-01-01T00:00:01.250000Z",
        },
        {
            "event": "call",
            "method": "/s/M",
            "code": "UNAVAILABLE",
            "reason": "HALTED",
            "message": 'a "quoted" \\ \n word',
            "duration_ms": 0.5,
            "level": "warning",
            "service": "petition",
            "timestamp": "2026-01-01T00:00:01.500000Z",
        },
    ]


def test_the_level_holds_for_every_way_in() -> None:
    program = """
log.info('a')
logging.getLogger('x').info('b')
logs.write_calls([(('info', '/s/M', 'OK', '', ''), 'c', 0, 1), (('warning', '/s/M', 'UNAVAILABLE', '', ''), 'd', 0, 1)])
"""
    assert [line["request_id"] for line in objects(program, level="warning")] == ["d"]


def test_a_console_line_is_for_people() -> None:
    (line,) = written("log.info('signed', ordinal=7)", "console")
    assert "signed" in line
    assert "ordinal=7" in line
    assert not line.startswith("{")


def test_what_json_does_not_know_is_written_as_python_shows_it() -> None:
    (line,) = objects("log.info('odd', what={1, }, keys={2: 3})")
    assert line["what"] == "{1}"
    assert line["keys"] == {"2": 3}


def test_text_that_is_not_utf_8_is_escaped() -> None:
    (line,) = objects("log.info('odd', name='\\udcff')")
    assert line["name"] == "\udcff"


def test_a_reader_that_went_away_does_not_stop_the_process() -> None:
    source = """
import os, sys, structlog
from libs.telemetry import logs
logs.configure("petition")
sys.stdin.read()
logs.write_calls([(("info", "/s/M", "OK", "", ""), "", 0, 1)])
structlog.get_logger().info("line")
sys.stderr.write("still here")
sys.stderr.flush()
os._exit(0)
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b"still here"
