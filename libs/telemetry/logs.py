"""Structured logs: structlog on top, JSON by orjson or a console for people, one output for `logging` too."""

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Literal, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from libs.telemetry.output import Output

LogFormat = Literal["json", "console"]


def configure(service: str, log_format: LogFormat = "json", level: str = "info") -> Output:
    """Sets up structlog and `logging` for the process and returns the output, which the caller may buffer."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    output = Output(sys.stdout.fileno())
    binary = cast(BinaryIO, output)  # has the two methods that loggers use
    shared: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _service_adder(service),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    render: Sequence[Processor]
    if log_format == "json":
        render = (structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(serializer=_dumps))
    else:
        render = (structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty()), _encode)
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(file=binary),
        cache_logger_on_first_use=True,
    )
    _route_standard_logging(output, threshold, shared, render)
    return output


def _route_standard_logging(
    output: Output, threshold: int, shared: Sequence[Processor], render: Sequence[Processor]
) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render, _decode],
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.INFO))


def _service_adder(service: str) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return add_service


def _dumps(event: EventDict, **_: Any) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _encode(_: WrappedLogger, __: str, text: Any) -> bytes:
    return str(text).encode()


def _decode(_: WrappedLogger, __: str, line: Any) -> str:
    return line.decode() if isinstance(line, bytes) else str(line)
