"""Computing in other processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from libs.jobs.errors import ComputeFailed
from libs.jobs.job import Job, JobContext
from libs.jobs.processes import NICENESS, Processes
from tests.contract.sources import ROOT
from tests.eventually import becomes_true
from tests.jobs import sums
from tests.jobs.workshop import Workshop


@pytest.fixture
async def one() -> AsyncIterator[Processes]:
    async with Processes.open(1) as processes:
        yield processes


async def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def written_to(file: Path) -> int:
    """The process id that a call wrote."""

    def written() -> str:
        return file.read_text() if file.exists() else ""

    async def is_there() -> str:
        return await asyncio.to_thread(written)

    await becomes_true(is_there, 30)
    return int(written())


async def test_a_call_is_answered_by_another_process_that_steps_back_and_is_used_again(one: Processes) -> None:
    assert await one.call(sums.add, 2, 3) == 5
    first = await one.call(sums.process_id)
    assert first != os.getpid()
    assert psutil.Process(first).nice() >= NICENESS
    assert await one.call(sums.process_id) == first


async def test_what_the_function_raises_is_raised_and_costs_no_process(one: Processes) -> None:
    first = await one.call(sums.process_id)
    with pytest.raises(ValueError, match="odd"):
        await one.call(sums.refuse, "odd")
    assert await one.call(sums.process_id) == first


async def test_a_process_that_dies_fails_its_call_and_is_replaced(one: Processes) -> None:
    with pytest.raises(ComputeFailed):
        await one.call(sums.die)
    assert await one.call(sums.add, 1, 1) == 2


async def test_a_process_that_died_while_it_had_nothing_to_do_is_replaced(one: Processes) -> None:
    pid = await one.call(sums.process_id)
    os.kill(pid, signal.SIGKILL)
    await becomes_true(lambda: gone(pid))
    with pytest.raises(ComputeFailed):
        await one.call(sums.add, 1, 1)
    assert await one.call(sums.add, 1, 1) == 2


async def test_processes_end_with_the_one_that_had_them_started_however_that_ends(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = (
        "import asyncio, sys\n"
        "from libs.jobs.processes import Processes\n"
        "from tests.jobs import sums\n"
        "async def main():\n"
        "    async with Processes.open(1) as processes:\n"
        "        await processes.call(sums.stay, sys.argv[1])\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(file), cwd=ROOT)
    pid = await written_to(file)
    parent.kill()
    await parent.wait()
    await becomes_true(lambda: gone(pid))


async def test_a_call_that_is_given_up_ends_its_process(one: Processes, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    call = asyncio.create_task(one.call(sums.stay, str(file)))
    pid = await written_to(file)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await becomes_true(lambda: gone(pid))
    assert await one.call(sums.add, 1, 1) == 2


async def test_as_many_calls_run_at_once_as_there_are_processes(tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    async with Processes.open(2) as processes:
        assert all(await asyncio.gather(processes.call(sums.meet, a, b), processes.call(sums.meet, b, a)))


async def test_a_job_whose_process_died_is_tried_again_beside_one_that_goes_on(workshop: Workshop) -> None:
    answers: list[int] = []
    deaths = 0

    async def dying(context: JobContext, key: str) -> None:
        nonlocal deaths
        if not deaths:
            deaths += 1
            await context.compute(sums.die)
        answers.append(await context.compute(sums.add, 1, 2))

    async def computing(context: JobContext, key: str) -> None:
        answers.append(await context.compute(sums.add, 10, 20))

    async with Processes.open(2) as processes:
        context = JobContext({}, processes.call)
        async with workshop.working(Job("dying", dying), Job("computing", computing), context=context):
            await workshop.queue("dying", "a")
            await workshop.queue("computing", "a")
            await workshop.become("dying", within=30, succeeded=1)
            await workshop.become("computing", within=30, succeeded=1)
    assert sorted(answers) == [3, 30]
    assert await workshop.attempts("dying") == [2]
    assert await workshop.attempts("computing") == [1]


async def test_a_run_that_computes_for_too_long_ends_with_its_process(workshop: Workshop, tmp_path: Path) -> None:
    file = tmp_path / "pid"

    async def work(context: JobContext, key: str) -> None:
        await context.compute(sums.stay, str(file))

    async with Processes.open(1) as processes:
        await processes.call(sums.add, 1, 1)  # it has started, so the limit is of the work alone
        async with workshop.working(Job("long", work, timeout=1.0, retries=0), context=JobContext({}, processes.call)):
            await workshop.queue("long", "a")
            await workshop.become("long", within=30, failed=1)
        pid = await written_to(file)
        await becomes_true(lambda: gone(pid))
