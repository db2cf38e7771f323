"""Runs one row once: data of its own, a warm-up, the measured calls, and a look at whether every count is right."""

from collections.abc import Mapping
from uuid import uuid4

from libs.cli.callers.fleet import Fleet
from libs.cli.callers.orders import Order, Outcome
from tests.load.coupons import AMPLE, FEW
from tests.load.results import Results
from tests.load.rows import Row
from tests.load.servers import Server
from tests.load.stage import Stage

_SPREAD = 1_000
_SIGNED = 1_000
# Calls of a caller before the clock starts; emptied tables are planned for anew, and every row's connections are warm alike.
_WARM_CALLS = 16
# Messages made before the clock starts, a second: more than any contender takes.
_PREPARED = {"CoSign": 12_000, "BatchCoSign": 200, "ClaimCoupon": 12_000, "BatchClaimCoupon": 200}
_SOLD_OUT = "FAILED_PRECONDITION OUT_OF_STOCK"


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
            seconds=0.0 if row.calls else self._seconds,
            calls=row.calls,
            prepared=row.calls or int(_PREPARED.get(row.method, 0) * self._seconds),
            refusals=[_SOLD_OUT] if row.data in ("few", "textbook-few", "sold-out") else [],
        )
        before = self._stored(row, resources)[0]
        calls = max(_WARM_CALLS * order.callers, len(resources) // row.batch)
        warming = self._others(row) or resources
        warmed = self._clients.run(order.model_copy(update={"seconds": 0.0, "calls": calls, "resources": warming}))
        outcome = self._clients.run(order)
        self._results.add(row, outcome)
        acknowledged = before + outcome.items + (warmed.items if warming is resources else 0)
        self._check(row, resources, acknowledged, outcome)

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
            case "coupon":
                return [self._stage.coupons.new(AMPLE)]
            case "few":
                return [self._stage.coupons.new(FEW)]
            case "sold-out":
                return [self._stage.coupons.sold_out()]
            case "posts":
                return self._stage.discovery_groups()
            case "textbook-coupon":
                return [self._stage.coupons.textbook(AMPLE)]
            case "textbook-few":
                return [self._stage.coupons.textbook(FEW)]

    def _others(self, row: Row) -> list[str]:
        """What to warm up with, if what is measured must be untouched."""
        if row.data == "few":
            return [self._stage.coupons.new(AMPLE)]
        if row.data == "textbook-few":
            return [self._stage.coupons.textbook(AMPLE)]
        return []

    def _stored(self, row: Row, resources: list[str]) -> tuple[int, ...]:
        """What was signed or claimed, by every account there is of it."""
        match row.contender, row.method:
            case "petition", "CoSign" | "BatchCoSign":
                return self._stage.counter_and_rows(resources)
            case "claims", "ClaimCoupon" | "BatchClaimCoupon":
                return self._stage.coupons.given_out(resources[0])
            case "textbook" | "tuned", "CoSign":
                return (self._stage.textbook_counter(resources),)
            case "textbook", "ClaimCoupon":
                amount = FEW if row.data == "textbook-few" else AMPLE
                return self._stage.coupons.textbook_given_out(resources[0], amount)
            case _:
                return (0,)

    def _check(self, row: Row, resources: list[str], acknowledged: int, outcome: Outcome) -> None:
        stored = self._stored(row, resources)
        writes = row.method in ("CoSign", "BatchCoSign", "ClaimCoupon", "BatchClaimCoupon")
        if outcome.failures:
            self._results.problems.append(f"{row.name}: {dict(outcome.failures)}")
        elif writes and row.contender not in ("bare", "chain") and set(stored) != {acknowledged}:
            self._results.problems.append(f"{row.name}: stored {stored}, acknowledged {acknowledged}")
