"""Reads that callers share: each gets what was there after it asked, an error and a deadline of its own."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from libs.data.deadlines import current_deadline
from libs.data.errors import DatabaseUnavailable, DeadlineExceeded, Internal, ResourceExhausted
from libs.data.shared_reads import SharedReads


class Shelf:
    """Numbers by name, read when the gate is open."""

    def __init__(self, **numbers: int) -> None:
        self.numbers = numbers
        self.reads: list[list[str]] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.deadline: float | None = None

    async def load(self, keys: Sequence[str]) -> dict[str, int]:
        self.reads.append(list(keys))
        self.deadline = current_deadline.get()
        found = {key: self.numbers[key] for key in keys if key in self.numbers}
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return found


def begun(lane: SharedReads[str, int], *keys: str) -> list["asyncio.Task[int | None]"]:
    return [asyncio.create_task(lane.read(key)) for key in keys]


async def test_those_that_arrive_while_a_read_is_in_flight_share_the_next() -> None:
    shelf = Shelf(a=1, b=2)
    lane = SharedReads(shelf.load, name="test")
    (first,) = begun(lane, "a")
    await asyncio.sleep(0.01)
    rest = begun(lane, "a", "b", "a", "c", "b")
    await asyncio.sleep(0.01)
    assert shelf.reads == [["a"]], "nobody waits for company"
    shelf.numbers["a"] = 10
    shelf.gate.set()
    assert await first == 1
    assert await asyncio.gather(*rest) == [10, 2, 10, None, 2], "who asked later sees what was written before that"
    assert shelf.reads == [["a"], ["a", "b", "c"]]


async def test_a_read_takes_so_many_keys_and_the_queue_so_many_more() -> None:
    shelf = Shelf(**{f"k{n}": n for n in range(10)})
    lane = SharedReads(shelf.load, name="test", max_keys=3, max_waiting=5)
    tasks = begun(lane, "k0")
    await asyncio.sleep(0.01)
    tasks += begun(lane, *(f"k{n}" for n in range(1, 6)))
    await asyncio.sleep(0.01)
    with pytest.raises(ResourceExhausted):
        await lane.read("k6")
    tasks += begun(lane, "k5")  # waits already, so it takes no room
    shelf.gate.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4, 5, 5]
    assert [len(keys) for keys in shelf.reads] == [1, 3, 2]
    assert await lane.read("k6") == 6


@pytest.mark.parametrize(
    ("failure", "told"), [(DatabaseUnavailable("away"), DatabaseUnavailable), (ValueError("a defect"), Internal)]
)
async def test_a_read_that_fails_is_told_to_each_caller_as_an_error_of_its_own(
    failure: Exception, told: type[Exception]
) -> None:
    shelf = Shelf(a=1)
    lane = SharedReads(shelf.load, name="test")
    shelf.failure = failure
    tasks = begun(lane, "a", "a", "b")
    shelf.gate.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in errors} == {told}
    assert len({id(error) for error in errors}) == 3
    shelf.failure = None
    assert await lane.read("a") == 1, "the next read is another one"


async def test_a_caller_whose_time_is_over_leaves_and_the_others_are_answered() -> None:
    shelf = Shelf(a=1)
    lane = SharedReads(shelf.load, name="test")

    async def hurried() -> int | None:
        current_deadline.set(time.monotonic() + 0.02)
        return await lane.read("a")

    impatient, patient, gone = asyncio.create_task(hurried()), *begun(lane, "a", "a")
    await asyncio.sleep(0.001)
    gone.cancel()
    with pytest.raises(DeadlineExceeded):
        await impatient
    shelf.gate.set()
    assert await patient == 1
    assert shelf.deadline is not None and shelf.deadline > time.monotonic() + 1, "the read has a deadline of its own"
