"""Functions called in other processes, so that what computes for seconds never holds up the event loop."""

import asyncio
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, suppress
from typing import TypeVar, TypeVarTuple

import structlog

from libs.jobs.errors import ComputeFailed

log = structlog.get_logger(__name__)

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

# Whoever waits for an answer to a call goes first on a busy machine.
NICENESS = 10


class Processes:
    """A number of processes, each started when first needed, doing one call at a time.

    A call that is cancelled has its process killed, for nothing else stops what computes; one that dies fails its own call
    and no other.
    """

    def __init__(self, number: int) -> None:
        # Last in, first out: what is started and warm is used again.
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        for _ in range(number):
            self._idle.put_nowait(_Process())

    @classmethod
    @asynccontextmanager
    async def open(cls, number: int) -> AsyncIterator["Processes"]:
        """On exit the processes end, whatever they do."""
        processes = cls(number)
        try:
            yield processes
        finally:
            while not processes._idle.empty():
                processes._idle.get_nowait().kill()

    async def call(self, function: Callable[[*Ts], R], *arguments: *Ts) -> R:
        """What the function answers, called in the next process that is free.

        Raises:
            What the function raised.
            ComputeFailed: the process died.
        """
        process = await self._idle.get()
        answered = False
        try:
            answer = await process.call(function, *arguments)
            answered = True
        except BrokenProcessPool as error:
            log.warning("compute_process_died", function=function.__qualname__)
            raise ComputeFailed(function.__qualname__) from error
        except Exception:
            answered = True
            raise
        else:
            return answer
        finally:
            if not answered:
                process.kill()
                process = _Process()
            self._idle.put_nowait(process)


class _Process:
    """One process, started by the first call."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._pid = 0

    async def call(self, function: Callable[[*Ts], R], *arguments: *Ts) -> R:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)
            self._pid = await asyncio.wrap_future(self._executor.submit(os.getpid))
        return await asyncio.wrap_future(self._executor.submit(function, *arguments))

    def kill(self) -> None:
        if self._executor is None:
            return
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self._executor.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """In the process: it steps back for others, leaves Ctrl-C to its parent, and ends with it however that ends."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
