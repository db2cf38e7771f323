"""What a worker measures (B1): how deep the queue is, and what became of runs."""

from collections import Counter
from collections.abc import Mapping

import pytest

from libs.jobs import metrics, running
from libs.jobs.job import Job
from tests.eventually import becomes_true
from tests.jobs.test_failures import Failing
from tests.jobs.workshop import Workshop


class Remembered:
    """An instrument that can be asked."""

    def __init__(self) -> None:
        self.added: Counter[tuple[str, str]] = Counter()

    def add(self, amount: int, attributes: Mapping[str, str]) -> None:
        self.added[attributes["job_type"], attributes["outcome"]] += amount


def depth() -> dict[tuple[str, str], float]:
    """As it is told when somebody collects it."""
    return {(told["job_type"], told["state"]): count for told, count in metrics._read_depth()}


async def test_depth_and_every_retry_are_measured(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Remembered()
    monkeypatch.setattr(running, "RUNS", runs)
    jobs = [Job("shaky", Failing(2).work), Job("hopeless", Failing(99).work, retries=1)]
    await workshop.queue("shaky", "later", "still later", pause=3600.0)
    async with workshop.working(*jobs):
        await workshop.queue("shaky", "now")
        await workshop.queue("hopeless", "now")
        await workshop.become("shaky", succeeded=1, todo=2)
        await workshop.become("hopeless", failed=1)

        async def is_told() -> bool:
            return depth() == {("shaky", "queued"): 2, ("hopeless", "failed"): 1}

        await becomes_true(is_told)
    assert runs.added == {
        ("shaky", "retried"): 2,
        ("shaky", "succeeded"): 1,
        ("hopeless", "retried"): 1,
        ("hopeless", "failed"): 1,
    }
