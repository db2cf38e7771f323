"""A program kept running."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from libs.devstack import program as programs
from libs.devstack.backoff import Backoff
from libs.devstack.program import Keeper, Program, describe_exit, open_log
from libs.devstack.spawn import die_with_parent
from tests.unit.devstack.waiting import until

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def a_program(log: Path, *command: str, before_start: Callable[[], object] | None = None) -> Program:
    return Program("fake", "service", "127.0.0.1:1", list(command), log, before_start=before_start, stop_grace=0.2)


@asynccontextmanager
async def kept(program: Program) -> AsyncIterator[Keeper]:
    keeper = Keeper(program, changed=lambda: None, backoff=Backoff(first=0.01, most=0.05))
    keeper.start()
    try:
        yield keeper
    finally:
        await keeper.stop()


async def test_a_program_killed_without_a_warning_runs_again_and_the_restart_is_noted(tmp_path: Path) -> None:
    async with kept(a_program(tmp_path / "log", "sleep", "60")) as keeper:
        await until(lambda: keeper.state.pid)
        first = keeper.state.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: keeper.state.pid not in (None, first))
        assert keeper.state.restarts == 1
        assert keeper.state.last_exit is not None
        assert keeper.state.last_exit.startswith("killed by SIGKILL at ")
        second = keeper.state.pid
    assert keeper.state.pid is None
    assert second is not None
    assert not psutil.pid_exists(second)


async def test_a_program_that_cannot_even_be_started_is_tried_again(tmp_path: Path) -> None:
    async with kept(a_program(tmp_path / "log", str(tmp_path / "no-such-program"))) as keeper:
        await until(lambda: keeper.state.restarts >= 2)
        assert "FileNotFoundError" in (keeper.state.last_exit or "")


async def test_a_program_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with kept(a_program(log, sys.executable, "-c", STUBBORN)) as keeper:
        await until(lambda: log.exists() and "deaf" in log.read_text())
        pid = keeper.state.pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert keeper.state.restarts == 0


async def test_what_must_happen_before_a_start_happens_before_every_start(tmp_path: Path) -> None:
    calls: list[int] = []
    program = a_program(tmp_path / "log", "true", before_start=lambda: calls.append(1))
    async with kept(program) as keeper:
        await until(lambda: keeper.state.restarts >= 2)
    assert len(calls) >= 2


async def test_a_child_dies_with_its_parent_even_when_that_is_killed() -> None:
    parent = (
        "import signal, subprocess, time\n"
        "from libs.devstack.spawn import die_with_parent\n"
        "child = subprocess.Popen(['sleep', '60'], preexec_fn=die_with_parent(signal.SIGKILL))\n"
        "print(child.pid, flush=True); time.sleep(60)\n"
    )
    assert die_with_parent(signal.SIGKILL) is not None, "this needs Linux"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    child = psutil.Process(int(await process.stdout.readline()))
    process.kill()
    await process.wait()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_log_that_has_grown_large_is_set_aside_once(tmp_path: Path) -> None:
    log = tmp_path / "petition.log"
    with open_log(log) as file:
        file.write(b"old")
    log.write_bytes(b"x" * (programs.LOG_LIMIT + 1))
    with open_log(log) as file:
        file.write(b"new")
    assert log.read_bytes() == b"new"
    assert (tmp_path / "petition.log.1").stat().st_size == programs.LOG_LIMIT + 1


def test_exit_statuses_are_told_in_words() -> None:
    assert describe_exit(3) == "exited with status 3"
    assert describe_exit(-9) == "killed by SIGKILL"
