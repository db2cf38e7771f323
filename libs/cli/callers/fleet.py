"""Several processes of callers that work on one order together."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from libs.cli.callers.orders import Measurement, Order, Outcome, Progress

SOURCE_ROOT = Path(__file__).resolve().parents[3]
_STOP_SECONDS = 5.0

OnProgress = Callable[[int], None]


class FleetError(Exception):
    """A process of callers ended or did not reach the server; what it said is on standard error."""


class Fleet:
    """Client processes, started once and used for many orders. Made by `fleet()`."""

    def __init__(self, processes: list["subprocess.Popen[str]"], pool: ThreadPoolExecutor) -> None:
        self._processes = processes
        self._pool = pool

    def run(self, order: Order, on_progress: OnProgress | None = None) -> Outcome:
        """Splits callers, calls and prepared messages evenly over the processes and waits until all are done.

        Raises:
            FleetError: a process died; nothing is known of its calls.
        """
        for process, part in zip(self._processes, self._parts(order, bool(on_progress)), strict=True):
            _say(process, part.model_dump_json())
        for process in self._processes:
            _hear(process)
        for process in self._processes:
            _say(process, "go")
        heard = self._pool.map(lambda process: _measurement(process, on_progress), self._processes)
        return Outcome(list(heard))

    def _parts(self, order: Order, report_progress: bool) -> Iterator[Order]:
        count = len(self._processes)
        for n in range(count):
            share = {
                name: getattr(order, name) // count + (n < getattr(order, name) % count)
                for name in ("callers", "calls", "prepared")
            }
            resources = order.resources[n * len(order.resources) // count :] + order.resources
            resources = resources[: len(order.resources)]
            yield order.model_copy(update={**share, "resources": resources, "report_progress": report_progress})


@contextlib.contextmanager
def fleet(processes: int) -> Iterator[Fleet]:
    """Starts the processes; ends them when the context is left."""
    command = [sys.executable, "-m", "libs.cli.callers.process"]
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(processes))
        started = []
        for _ in range(processes):
            process = subprocess.Popen(
                command, cwd=SOURCE_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            stack.callback(_end, process)
            started.append(process)
        yield Fleet(started, pool)


def _measurement(process: "subprocess.Popen[str]", on_progress: OnProgress | None) -> Measurement:
    while True:
        text = _hear(process)
        if not text.startswith('{"calls":'):
            return Measurement.model_validate_json(text)
        if on_progress is not None:
            on_progress(Progress.model_validate_json(text).calls)


def _say(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(text + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        raise FleetError(f"a client process ended with status {process.wait()}") from None


def _hear(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    text = process.stdout.readline()
    if not text:
        raise FleetError(f"a client process ended with status {process.wait()}")
    return text


def _end(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(BrokenPipeError):
        assert process.stdin is not None
        process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()
