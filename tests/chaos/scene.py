"""64 callers at work, something breaking under them, and what must hold afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

from libs.devstack.postgres import Cluster
from tests.concurrency.callers import Callers, calling
from tests.concurrency.history import A
from tests.concurrency.judging import never_answered
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import ServiceProcess

CALLERS = 64
# Attempts acknowledged before the trouble starts, and after it before the load ends.
WARM, HEALED = 200, 200
# Seconds in which a service must work again once what broke is whole.
HEALS_WITHIN = 10.0


@dataclass(slots=True)
class Scene(Generic[A]):
    """Everything a scenario needs; what breaks is the scenario's own.

    Args:
        plan: of the load.
        attempt: what its callers make.
        assert_exact: compares a history with the database.
    """

    cluster: Cluster
    database_url: str
    service: ServiceProcess
    plan: Plan
    folder: Path
    attempt: type[A]
    assert_exact: Callable[[list[A]], object]

    @contextmanager
    def load(self, weights: dict[Any, float] | None = None, deadline: float = 5.0) -> Iterator[Callers]:
        """Callers who are warm, and settle every write whose outcome they were not told."""
        plan = replace(self.plan, weights=weights or self.plan.weights, deadline=deadline)
        with calling(plan, self.folder) as callers:
            callers.wait_for(WARM)
            yield callers

    def finish(self, callers: Callers) -> list[A]:
        """After the trouble: work is acknowledged again within bounds, everything settles, and the database is exact."""
        callers.wait_for(1, HEALS_WITHIN)
        callers.wait_for(HEALED)
        callers.stop()
        history = callers.history_of(self.attempt)
        self.assert_exact(history)
        lost = never_answered(history)
        assert not lost, f"{len(lost)} requests never got an answer, such as {lost[0]}"
        return history
