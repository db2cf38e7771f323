"""Starts and stops the local stack from the outside: what `tally up` and `tally down` do."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from libs.devstack import leftovers, locks, ports
from libs.devstack.errors import DevstackError, log_tail
from libs.devstack.placement import make_state_folder
from libs.devstack.program import open_log
from libs.devstack.settings import SOURCE_ROOT, StackSettings
from libs.devstack.state import StackState, living
from libs.devstack.status import StackStatus, stack_status

_START_SECONDS = 120.0
_HOPELESS_RESTARTS = 2
# What an interpreter takes to end, on a busy machine.
_LAST_SECONDS = 5.0

Progress = Callable[[str], None]


class _SupervisorGone(Exception):
    """The supervisor that somebody else started ended while we waited for its stack."""


def up(settings: StackSettings, progress: Progress = lambda _: None) -> bool:
    """Starts the stack and waits until all of it is healthy; False when it ran already.

    Raises:
        DevstackError: a port is taken, or something did not become healthy; then everything was stopped again.
    """
    folder = settings.state
    make_state_folder(folder.path)
    with locks.held(folder.starting_lock):
        while locks.is_held(folder.supervisor_lock):
            with contextlib.suppress(_SupervisorGone):  # it was about to end; then this is a start after all
                _wait_until_healthy(settings, None, lambda _: None)
                return False
        sweep(settings)
        ports.require_free(settings.ports())
        supervisor = _spawn_supervisor(settings)
        try:
            _wait_until_healthy(settings, supervisor, progress)
        except BaseException:
            _end_own(supervisor, settings)
            sweep(settings)
            raise
    return True


def down(settings: StackSettings) -> bool:
    """Stops the stack and whatever is left of one; False when none ran. Data stays."""
    folder = settings.state
    running = locks.is_held(folder.supervisor_lock)
    if running:
        _stop_supervisor(settings)
    sweep(settings)
    return running


def sweep(settings: StackSettings) -> None:
    """Ends the programs that outlived their supervisor, which was killed. Does nothing while a supervisor lives."""
    if locks.is_held(settings.state.supervisor_lock):
        return
    state = StackState.read(settings.state.stack_file)
    if state is None:
        return
    left = [living(program.pid, program.create_time) for program in state.programs.values()]
    orphans = [process for process in left if process is not None]
    for process in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    leftovers.kill_and_wait(orphans, grace=settings.drain_seconds + 5.0)


def _spawn_supervisor(settings: StackSettings) -> subprocess.Popen[bytes]:
    folder = settings.state
    folder.stack_file.unlink(missing_ok=True)
    environment = {**os.environ, **settings.environment(), "PYTHONUNBUFFERED": "1"}
    with open_log(folder.log("supervisor")) as log:
        return subprocess.Popen(
            [sys.executable, "-m", "libs.devstack.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=SOURCE_ROOT,
            env=environment,
            start_new_session=True,
        )


def _wait_until_healthy(
    settings: StackSettings, supervisor: "subprocess.Popen[bytes] | None", progress: Progress
) -> None:
    give_up = time.monotonic() + _START_SECONDS
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            progress(text)

    while True:
        status = stack_status(settings)
        if status.phase == "failed" and supervisor is not None:
            raise DevstackError(f"the stack did not start: {status.detail}")
        if supervisor is not None and supervisor.poll() is not None:
            log = settings.state.log("supervisor")
            raise DevstackError(f"the supervisor ended; its log ends:\n{log_tail(log)}")
        if supervisor is None and not locks.is_held(settings.state.supervisor_lock):
            raise _SupervisorGone
        for name, program in status.programs().items():
            if program.healthy:
                tell(f"{name} is healthy at {program.address}")
        if status.healthy:
            return
        if status.phase == "starting" and status.detail:
            tell(f"waiting for {status.detail} …")
        _give_up_on_the_hopeless(status, out_of_time=time.monotonic() > give_up)
        time.sleep(0.2)


def _give_up_on_the_hopeless(status: StackStatus, *, out_of_time: bool) -> None:
    """Raises once a program has died too often, naming every one that has died; or when time is up."""
    unhealthy = {name: program for name, program in status.programs().items() if not program.healthy}
    if not out_of_time:
        if all(program.restarts < _HOPELESS_RESTARTS for program in unhealthy.values()):
            return
        unhealthy = {name: program for name, program in unhealthy.items() if program.restarts}
    problems = [
        f"{name}: {program.problem}; its log ends:\n{log_tail(program.log) if program.log else '  (no log)'}"
        for name, program in unhealthy.items()
    ]
    raise DevstackError("did not become healthy:\n" + "\n".join(problems or [f"still waiting for {status.detail}"]))


def _end_own(supervisor: subprocess.Popen[bytes], settings: StackSettings) -> None:
    supervisor.terminate()
    try:
        supervisor.wait(_stop_seconds(settings))
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


def _stop_seconds(settings: StackSettings) -> float:
    """Services drain, then Postgres writes a checkpoint."""
    return settings.drain_seconds + 60.0


def _stop_supervisor(settings: StackSettings) -> None:
    """Asks the supervisor to end and waits. One that starts or ends at this moment may not be named in its file."""
    folder = settings.state
    give_up = time.monotonic() + _stop_seconds(settings)
    asked: psutil.Process | None = None
    while locks.is_held(folder.supervisor_lock):
        if asked is None:
            state = StackState.read(folder.stack_file)
            asked = living(state.supervisor_pid, state.supervisor_create_time) if state else None
            if asked is not None:
                asked.send_signal(signal.SIGTERM)
        if time.monotonic() > give_up:
            if asked is None:
                raise DevstackError(
                    f"somebody holds {folder.supervisor_lock}, but {folder.stack_file} does not say who"
                )
            leftovers.kill_and_wait([asked], grace=0)
            return
        time.sleep(0.05)
    if asked is not None:  # it lets go of the lock just before it ends
        leftovers.wait_for_end(asked, _LAST_SECONDS)
