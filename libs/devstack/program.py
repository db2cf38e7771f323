"""One program kept running: started, watched, and started again after a pause when it dies."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psutil

from libs.devstack.backoff import Backoff
from libs.devstack.spawn import die_with_parent
from libs.devstack.state import Kind, ProgramState

LOG_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to end it.

    Args:
        options: for the spawning (see `Cluster.spawn_options`).
        before_start: called in a thread before every start, such as to clear what the last run left.
        stop_signal: asks it to end; after `stop_grace` seconds it is killed.
    """

    name: str
    kind: Kind
    address: str
    command: list[str]
    log: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    before_start: Callable[[], object] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace: float = 15.0


def module_program(
    name: str, module: str, *, address: str, log: Path, environment: Mapping[str, str], cwd: Path, stop_grace: float
) -> Program:
    """A program that is a Python module run by this interpreter; it dies with the supervisor."""
    options = {
        "env": {**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        "cwd": cwd,
        "stdin": asyncio.subprocess.DEVNULL,
        "start_new_session": True,
        "preexec_fn": die_with_parent(signal.SIGKILL),
    }
    command = [sys.executable, "-m", module]
    return Program(name, "service", address, command, log, options, stop_grace=stop_grace)


class Keeper:
    """Keeps one program running until told to stop. `changed` is called after every change of `state`."""

    def __init__(self, program: Program, changed: Callable[[], None], backoff: Backoff | None = None) -> None:
        self.program = program
        self.state = ProgramState(kind=program.kind, address=program.address, log=program.log)
        self._changed = changed
        self._backoff = backoff or Backoff()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"keep-{self.program.name}")

    async def stop(self) -> None:
        """Asks the program to end, waits, kills it if it does not; returns when it is gone."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                ended = await self._run_once()
            except Exception as error:  # it could not even be started; that must not end the others
                ended = f"{type(error).__name__}: {error}"
            if self._stopping.is_set():
                break
            self.state.last_exit = f"{ended} at {datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z"
            self._note(self.state.last_exit)
            self._set_pid(None)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._backoff.after(time.monotonic() - started))
            if not self._stopping.is_set():
                self.state.restarts += 1
        self._set_pid(None)

    async def _run_once(self) -> str:
        program = self.program
        if program.before_start is not None:
            await asyncio.to_thread(program.before_start)
        with open_log(program.log) as log:
            process = await asyncio.create_subprocess_exec(*program.command, stdout=log, stderr=log, **program.options)
        self._set_pid(process.pid)
        exited = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({exited, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not exited.done():
            await self._end(process)
        return describe_exit(await exited)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self.program.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), self.program.stop_grace)
        except TimeoutError:
            self._note(f"did not end within {self.program.stop_grace:g} s, killing it")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _set_pid(self, pid: int | None) -> None:
        self.state.pid = pid
        self.state.create_time = None
        if pid is not None:
            with contextlib.suppress(psutil.Error):
                self.state.create_time = psutil.Process(pid).create_time()
        self._changed()

    def _note(self, text: str) -> None:
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z {self.program.name}: {text}", flush=True)


def open_log(path: Path) -> IO[bytes]:
    """Opens a log for appending; one that has grown large is set aside as `<name>.log.1` first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


def describe_exit(status: int) -> str:
    """An exit status in words: "exited with status 1", "killed by SIGKILL"."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
