"""Runs one row once: data of its own, a warm-up, the measured calls, and a look at whether every count is right."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from threading import Event
from uuid import uuid4

from libs.cli.callers.fleet import Fleet
from libs.cli.callers.orders import Order, Outcome
from tests.load.analysing import analyser, to_outcome
from tests.load.coupons import AMPLE, FEW
from tests.load.results import Results
from tests.load.rows import Row
from tests.load.servers import Server
from tests.load.stage import Stage
from tests.load.votes import conversation_of, new_import

_SPREAD = 1_000
_SIGNED = 1_000
# Calls of a caller before the clock starts; emptied tables are planned for anew, and every row's connections are warm alike.
_WARM_CALLS = 16
# Messages made before the clock starts, a second: more than any contender takes.
_PREPARED = {
    **dict.fromkeys(("CoSign", "ClaimCoupon", "CastVote", "RecordReputationEvent"), 12_000),
    **dict.fromkeys(("BatchCoSign", "BatchClaimCoupon", "BatchCastVotes"), 200),
}
_WRITES = (*_PREPARED, "ImportConversation")
# Seconds for which voters go on after those they are beside.
_LONGER = 1.0
_PATIENCE = 60.0
_SOLD_OUT = "FAILED_PRECONDITION OUT_OF_STOCK"


class Bench:
    """What the rounds share."""

    def __init__(
        self,
        stage: Stage,
        clients: Fleet,
        voters: Fleet | None,
        servers: Mapping[str, Server],
        results: Results,
        callers: int,
        seconds: float,
    ) -> None:
        self._stage = stage
        self._clients = clients
        self._voters = voters
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
        if row.method == "Analysis":
            with analyser(self._stage.url, conversation_of(resources[0])) as analyses:
                self._results.add(row, to_outcome([analyses.next() for _ in range(row.calls)]))
            return
        order = Order(
            address=self._servers[row.contender].address,
            method=row.method,
            resources=resources,
            callers=row.callers or self._callers,
            batch=row.batch,
            seconds=0.0 if row.calls else self._seconds,
            calls=row.calls,
            prepared=row.calls or int(_PREPARED.get(row.method, 0) * self._seconds),
            refusals=[_SOLD_OUT]
            if row.data in ("few", "textbook-few", "sold-out") or row.contender == "refusing"
            else [],
        )
        before = self._stored(row, resources)[0]
        calls = (
            1 if row.data in ("import", "summary") else max(_WARM_CALLS * order.callers, len(resources) // row.batch)
        )
        warming = self._others(row) or resources
        warmed = self._clients.run(order.model_copy(update={"seconds": 0.0, "calls": calls, "resources": warming}))
        beside = analyser(self._stage.url, conversation_of(resources[0])) if row.analysing else nullcontext()
        with self._voting(row, resources) as cast, beside:
            outcome = self._clients.run(order)
        self._results.add(row, outcome)
        acknowledged = before + sum(beside.items for beside in cast)
        if row.method in _WRITES:
            acknowledged += outcome.items + (warmed.items if warming is resources else 0)
        self._check(row, resources, acknowledged, [outcome, *cast])

    @contextmanager
    def _voting(self, row: Row, resources: list[str]) -> Iterator[list[Outcome]]:
        """Voters vote for as long as this is open; then it is known what became of it."""
        cast: list[Outcome] = []
        if not row.voters:
            yield cast
            return
        assert self._voters is not None
        seconds = self._seconds + _LONGER
        order = Order(
            address=self._servers[row.contender].address,
            method="CastVote",
            resources=self._stage.votes.opinions(resources[0]),
            callers=row.voters,
            seconds=seconds,
            prepared=int(_PREPARED["CastVote"] * seconds),
        )
        begun = Event()
        with ThreadPoolExecutor(1) as pool:
            voting = pool.submit(self._voters.run, order, lambda _: begun.set())
            begun.wait(_PATIENCE)
            yield cast
            if voting.done():
                self._results.problems.append(f"{row.name}: the voters were done first")
            cast.append(voting.result())

    def _resources(self, row: Row) -> list[str]:
        match row.data:
            case "none" if row.method == "CastVote":
                return [f"{uuid4()}/{uuid4()}"]
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
            case "groups":
                return self._stage.clubs().ids()
            case "group-pages":
                return self._stage.clubs().pages()
            case "summary":
                return self._stage.clubs().ids()[:1]
            case "opinions":
                return self._stage.votes.new()
            case "textbook-opinions":
                return self._stage.votes.textbook()
            case "conversation":
                return [conversation_of(self._stage.votes.new()[0])]
            case "import":
                self._stage.votes.empty()
                return [new_import()]
            case "large":
                return self._stage.votes.of_large(self._servers["voting"].address)
            case "huge":
                return [self._stage.votes.huge(self._servers["voting"].address)]
            case "newest" | "top" | "controversial" | "group":
                return self._stage.votes.listings(row.data, self._servers["voting"].address)
            case "users":
                return self._stage.ledgers.users()
            case "ledger":
                return [self._stage.ledgers.new()]
            case "textbook-ledger":
                return [self._stage.ledgers.textbook()]
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
        if row.data == "import":
            return [new_import()]
        return []

    def _stored(self, row: Row, resources: list[str]) -> tuple[int, ...]:
        """What was signed or claimed, by every account there is of it."""
        match row.contender, row.method:
            case "petition", "CoSign" | "BatchCoSign":
                return self._stage.counter_and_rows(resources)
            case "claims", "ClaimCoupon" | "BatchClaimCoupon":
                return self._stage.coupons.given_out(resources[0])
            case "reputation", "RecordReputationEvent":
                return self._stage.ledgers.written(resources[0])
            case "textbook", "RecordReputationEvent":
                return self._stage.ledgers.textbook_written(resources[0])
            case "textbook" | "tuned", "CoSign":
                return (self._stage.textbook_counter(resources),)
            case "textbook", "ClaimCoupon":
                amount = FEW if row.data == "textbook-few" else AMPLE
                return self._stage.coupons.textbook_given_out(resources[0], amount)
            case "voting", "CastVote" | "BatchCastVotes" | "ImportConversation" | "GetConversation":
                return self._stage.votes.cast(conversation_of(resources[0]))
            case "textbook", "CastVote":
                return self._stage.votes.textbook_cast(conversation_of(resources[0]))
            case _:
                return (0,)

    def _check(self, row: Row, resources: list[str], acknowledged: int, outcomes: Sequence[Outcome]) -> None:
        stored = self._stored(row, resources)
        failures = sum((outcome.failures for outcome in outcomes), Counter())
        writes = row.method in _WRITES or row.voters
        if failures:
            self._results.problems.append(f"{row.name}: {dict(failures)}")
        elif writes and row.contender not in ("bare", "refusing", "chain") and set(stored) != {acknowledged}:
            self._results.problems.append(f"{row.name}: stored {stored}, acknowledged {acknowledged}")
        elif row.data in ("few", "textbook-few") and acknowledged != FEW:
            self._results.problems.append(f"{row.name}: {acknowledged} of {FEW} were given out")
        elif writes and row.contender == "voting":
            differing = self._stage.votes.differing(conversation_of(resources[0]))
            self._results.problems += [f"{row.name}: {counter} of {key}" for counter, key, *_ in differing]
