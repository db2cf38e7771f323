"""Structured logs: structlog on top, JSON by orjson or a console for people; `logging` writes the same lines."""

import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["json", "console"]

# What equal calls have in common: level, the method's path, code, and of a call that failed reason and message.
Outcome = tuple[str, str, str, str, str]
# Of one call, with its request_id or nothing, time in seconds since 1970, duration in milliseconds.
CallLine = tuple[Outcome, str, float, float]

_log = structlog.get_logger()


def _write_one_by_one(calls: Sequence[CallLine]) -> None:
    for outcome, request_id, _, milliseconds in calls:
        named = {"request_id": request_id} if request_id else {}
        getattr(_log, outcome[0])("call", **_fields(outcome), **named, duration_ms=round(milliseconds, 3))


def _fields(outcome: Outcome) -> dict[str, str]:
    _, path, code, reason, message = outcome
    fields = {"method": path, "code": code}
    return fields if code == "OK" else {**fields, "reason": reason, "message": message}


_write_calls: Callable[[Sequence[CallLine]], None] = _write_one_by_one


def write_calls(calls: Sequence[CallLine]) -> None:
    """Writes the lines of many calls at once, event `call`, as if each had been logged at its own time."""
    _write_calls(calls)


def configure(service: str, log_format: LogFormat = "json", level: str = "info") -> None:
    """Sets up structlog and `logging` for the process. Lines go to standard output."""
    global _write_calls
    threshold = logging.getLevelNamesMapping()[level.upper()]
    render = _json(service) if log_format == "json" else _console(service)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(file=cast(BinaryIO, _OUTPUT)),
        cache_logger_on_first_use=True,
    )
    _route_standard_logging(threshold, render)
    _write_calls = _json_of_calls(service, threshold) if log_format == "json" else _write_one_by_one


_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def _json(service: str) -> Sequence[Processor]:
    def render(_: WrappedLogger, level: str, event: EventDict) -> bytes:
        event["level"] = "error" if level == "exception" else level
        event.setdefault("service", service)
        event["timestamp"] = datetime.now(UTC)
        return _dumps(event)

    return (structlog.processors.format_exc_info, render)


def _json_of_calls(service: str, threshold: int) -> Callable[[Sequence[CallLine]], None]:
    """The same lines as `_json`, without a trip through structlog and a system call for each.

    Filled into a text, the line that every call writes takes a fifth of the time.
    """
    levels = logging.getLevelNamesMapping()
    logged = {level for level in ("info", "warning", "error") if levels[level.upper()] >= threshold}

    def write_json(calls: Sequence[CallLine]) -> None:
        # A rush is refused with the same words over and over.
        beginnings: dict[Outcome, str] = {}
        lines, second, stamp = [], -1, ""
        for outcome, request_id, when, milliseconds in calls:
            level = outcome[0]
            if level not in logged:
                continue
            beginning = beginnings.get(outcome)
            if beginning is None:
                beginning = beginnings[outcome] = _dumps({"event": "call", **_fields(outcome)}).decode()[:-1]
            whole = int(when)
            if whole != second:
                second, stamp = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
            named = f'"request_id":{orjson.dumps(request_id).decode()},' if request_id else ""
            lines.append(
                f'{beginning},{named}"duration_ms":{milliseconds:.3f},'
                f'"level":"{level}","service":"{service}","timestamp":"{stamp}.{int((when - whole) * 1e6):06d}Z"}}\n'
            )
        _put("".join(lines).encode())

    return write_json


def _dumps(event: EventDict) -> bytes:
    try:
        return orjson.dumps(event, default=repr, option=_JSON_OPTIONS)
    except orjson.JSONEncodeError:  # text that is not UTF-8, such as a file's name in an exception
        return json.dumps(event, default=str).encode()


class _Output:
    """Standard output for loggers. A log that cannot be written, for its reader went away, stops nobody's call."""

    def write(self, data: bytes) -> int:
        with suppress(OSError):
            return sys.stdout.buffer.write(data)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            sys.stdout.buffer.flush()


_OUTPUT = _Output()


def _put(lines: bytes) -> None:
    _OUTPUT.write(lines)
    _OUTPUT.flush()


def _console(service: str) -> Sequence[Processor]:
    def name(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    def encode(_: WrappedLogger, __: str, text: Any) -> bytes:
        return str(text).encode()

    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(),
        # Never the frames' local variables: they hold connection strings.
        exception_formatter=structlog.dev.plain_traceback,
    )
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False)
    return (name, structlog.processors.add_log_level, stamp, renderer, encode)


def _route_standard_logging(threshold: int, render: Sequence[Processor]) -> None:
    """grpc, asyncio and others use `logging`."""

    def decode(_: WrappedLogger, __: str, line: Any) -> str:
        return bytes(line).decode()

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render, decode],
    )
    handler = logging.StreamHandler(cast(TextIO, sys.stdout))
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.INFO))
