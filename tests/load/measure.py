"""Runs one row once: data of its own, a warm-up, the measured calls, and a look at whether every count is right."""

from collections.abc import Mapping
from uuid import uuid4

from libs.cli.callers.fleet import Fleet
from libs.cli.callers.orders import Order, Outcome
from tests.load.results import Results
from tests.load.rows import Row
from tests.load.servers import Server
from tests.load.stage import Stage

_SPREAD = 1_000
_SIGNED = 1_000
# Calls of a caller before the clock starts; emptied tables are planned for anew, and every row's connections are warm alike.
_WARM_CALLS = 16
# Messages made before the clock starts, a second: more than any contender takes.
_PREPARED = {"CoSign": 12_000, "BatchCoSign": 200}


class Bench:
    """What the rounds share."""

    def __init__(
        self,
        stage: Stage,
        clients: Fleet,
        servers: Mapping[str, Server],
        results: Results,
        callers: int,
        seconds: float,
    ) -> None:
        self._stage = stage
        self._clients = clients
        self._servers = servers
        self._results = results
        self._callers = callers
        self._seconds = seconds
        self._full: list[str] = []

    def fill(self, signers: int) -> None:
        """Makes the petition that rows about size are measured on."""
        self._full = [self._stage.signed_petition(signers)]

    def measure(self, row: Row) -> None:
        if not self._full:
            self._stage.empty()
        resources = self._resources(row)
        order = Order(
            address=self._servers[row.contender].address,
            method=row.method,
            resources=resources,
            callers=row.callers or self._callers,
            batch=row.batch,
            seconds=self._seconds,
            prepared=int(_PREPARED.get(row.method, 0) * self._seconds),
        )
        before, _ = self._exact(row, resources)
        warm = order.model_copy(
            update={"seconds": 0.0, "calls": max(_WARM_CALLS * order.callers, len(resources) // row.batch)}
        )
        warmed = self._clients.run(warm)
        outcome = self._clients.run(order)
        self._results.add(row, outcome)
        self._check(row, resources, before + warmed.items + outcome.items, outcome)

    def _resources(self, row: Row) -> list[str]:
        match row.data:
            case "none":
                return [str(uuid4())]
            case "hot":
                return self._stage.petitions(1)
            case "spread":
                return self._stage.petitions(_SPREAD)
            case "textbook":
                return self._stage.textbook_petitions(1)
            case "signed":
                return [self._stage.signed_petition(_SIGNED)]
            case "full":
                return self._full

    def _exact(self, row: Row, resources: list[str]) -> tuple[int, int]:
        if row.contender == "petition" and "CoSign" in row.method:
            return self._stage.counter_and_rows(resources)
        return 0, 0

    def _check(self, row: Row, resources: list[str], acknowledged: int, outcome: Outcome) -> None:
        if outcome.failures:
            self._results.problems.append(f"{row.name}: {dict(outcome.failures)}")
        elif row.method in ("CoSign", "BatchCoSign") and row.contender == "petition":
            counter, counted = self._stage.counter_and_rows(resources)
            if not counter == counted == acknowledged:
                self._results.problems.append(
                    f"{row.name}: counter {counter}, rows {counted}, acknowledged {acknowledged}"
                )
        elif row.contender in ("textbook", "tuned"):
            counter = self._stage.textbook_counter(resources)
            if counter != acknowledged:
                self._results.problems.append(f"{row.name}: counter {counter}, acknowledged {acknowledged}")
