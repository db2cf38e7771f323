"""Functions called in other processes, so that what computes for seconds never holds up the event loop."""

import asyncio
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, suppress
from typing import TypeVar, TypeVarTuple

import structlog

from libs.jobs.errors import ComputeFailed

log = structlog.get_logger(__name__)

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

# Whoever waits for an answer to a call goes first on a busy machine, but not alone.
NICENESS = 5


class Processes:
    """A number of processes, doing one call at a time each.

    A call that is cancelled has its process killed, for nothing else stops what computes; one that dies fails its own call
    and no other. Either is replaced.

    Args:
        modules: what they load before their first call, for that can take longer than a call may.
    """

    def __init__(self, number: int, modules: Sequence[str] = ()) -> None:
        self._modules = modules
        self._all = {_Process(modules) for _ in range(number)}
        # Last in, first out: what is warm is used again.
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        for process in self._all:
            self._idle.put_nowait(process)

    @classmethod
    @asynccontextmanager
    async def open(cls, number: int, modules: Sequence[str] = ()) -> AsyncIterator["Processes"]:
        """Has them started, and does not wait for it. On exit they end, whatever they do."""
        processes = cls(number, modules)
        try:
            yield processes
        finally:
            for process in processes._all:
                process.kill()

    async def ready(self) -> None:
        """Returns when all have loaded what they load, or failed to."""
        await asyncio.gather(*(process.ready() for process in self._all), return_exceptions=True)

    async def call(self, function: Callable[[*Ts], R], *arguments: *Ts) -> R:
        """What the function answers, called in the next process that is free.

        Raises:
            What the function raised.
            ComputeFailed: the process died.
        """
        process = await self._idle.get()
        try:
            return await process.call(function, *arguments)
        except BrokenProcessPool as error:
            process.busy = True  # whenever it died, nothing can be asked of it any more
            log.warning("compute_process_died", function=function.__qualname__)
            raise ComputeFailed(function.__qualname__) from error
        finally:
            self._idle.put_nowait(self._replaced(process) if process.busy else process)

    def _replaced(self, process: "_Process") -> "_Process":
        process.kill()
        self._all.discard(process)
        new = _Process(self._modules)
        self._all.add(new)
        return new


class _Process:
    """One process, started at once. It stays busy if its call does not end."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.busy = False
        self._executor = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)
        self._pid = self._executor.submit(os.getpid)
        self._loaded = self._executor.submit(_load, tuple(modules))

    async def ready(self) -> None:
        await asyncio.shield(asyncio.wrap_future(self._loaded))

    async def call(self, function: Callable[[*Ts], R], *arguments: *Ts) -> R:
        await self.ready()
        self.busy = True
        try:
            answer = await asyncio.wrap_future(self._executor.submit(function, *arguments))
        except Exception:
            self.busy = False
            raise
        self.busy = False
        return answer

    def kill(self) -> None:
        if self._pid.done() and not self._pid.cancelled() and self._pid.exception() is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid.result(), signal.SIGKILL)
        self._executor.shutdown(wait=False, cancel_futures=True)


def _load(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)


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
