"""64 callers at work, something breaking under them, and what must hold afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.devstack.postgres import Cluster
from tests.concurrency.callers import Callers, calling
from tests.concurrency.checker import assert_exact
from tests.concurrency.history import History
from tests.concurrency.mix import LIVELY, Action
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import ServiceProcess
from tests.concurrency.stored import StoredPetition

CALLERS = 64
# Attempts acknowledged before the trouble starts, and after it before the load ends.
WARM, HEALED = 200, 200
# Seconds in which a service must work again once what broke is whole.
HEALS_WITHIN = 10.0


@dataclass(slots=True)
class Scene:
    """Everything a scenario needs; what breaks is the scenario's own.

    Args:
        petitions: ids of the petitions under load.
    """

    cluster: Cluster
    database_url: str
    service: ServiceProcess
    petitions: list[str]
    seed: str
    folder: Path

    @contextmanager
    def load(self, weights: Mapping[Action, float] = LIVELY, deadline: float = 5.0) -> Iterator[Callers]:
        """Callers who are warm, and settle every write whose outcome they were not told."""
        plan = Plan(
            [self.service.address],
            self.petitions,
            self.seed,
            callers=CALLERS,
            users=100_000,
            items=10,
            weights=dict(weights),
            deadline=deadline,
        )
        with calling(plan, self.folder) as callers:
            callers.wait_for(WARM)
            yield callers

    def finish(self, callers: Callers) -> History:
        """After the trouble: work is acknowledged again within bounds, everything settles, and the database is exact."""
        callers.wait_for(1, HEALS_WITHIN)
        callers.wait_for(HEALED)
        callers.stop()
        history = callers.history()
        self.check(history)
        return history

    def check(self, history: History) -> dict[str, StoredPetition]:
        stored = assert_exact(self.database_url, self.petitions, history)
        settled = {(a.kind, a.request_id) for a in history if not a.unknown}
        lost = [a for a in history if (a.kind, a.request_id) not in settled]
        assert not lost, f"{len(lost)} requests never got an answer, such as {lost[0]}"
        return stored
