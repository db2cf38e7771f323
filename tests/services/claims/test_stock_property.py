"""Any sequence of commands, alone or sharing transactions, leaves exactly what a simple model of it says (G2, G4, G5)."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from libs.data.catalog import COUNTERS
from libs.data.database import Committed, Database
from libs.data.errors import TallyError
from libs.data.group_commit import GroupCommit
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Snapshot
from libs.data.verification import survey
from services.claims.coupons import model as coupons
from services.claims.coupons import store as coupon_store
from services.claims.coupons import store_coupons
from services.claims.exchanges import model as food
from services.claims.exchanges import store_posts
from services.claims.exchanges.errors import FoodPostClosed
from services.claims.exchanges.exchanging import Exchanging
from services.claims.exchanges.expiry import Expiry
from services.claims.settings import ClaimsSettings
from tests.seeds import chosen_seed
from tests.services.claims.stock_model import CouponModel, FoodModel
from tests.stored import Connection

T = TypeVar("T")

MOST_WAITING = 3
GIVER = UUID(int=99)
NOW = datetime.now(UTC)
# Few, so that they meet.
USERS = st.integers(1, 6)
NUMBERS = st.integers(0, 9)
STATUSES = st.sampled_from(["confirmed", "completed", "cancelled"])
FOOD_WORDS = st.one_of(
    st.tuples(st.just("claim"), USERS, st.integers(1, 4)), st.tuples(st.just("advance"), NUMBERS, STATUSES)
)
COUPON_WORDS = st.tuples(st.sampled_from(["claim", "join"]), USERS)


@dataclass
class Scene:
    """The lanes in which commands meet, on a real database."""

    runner: asyncio.Runner
    database: Database
    db: Connection
    exchanging: Exchanging
    expiry: Expiry
    claiming: GroupCommit[coupons.Command, coupons.Claimed | coupons.Joined]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


@asynccontextmanager
async def a_scene(runner: asyncio.Runner, database_url: str) -> AsyncIterator[Scene]:
    db = await asyncpg.connect(database_url)
    claims = DatabaseSettings(database_url=database_url, database_role="tally_claims")
    async with Database.open(claims) as database:
        exchanging = Exchanging(database, ClaimsSettings())
        work = partial(coupon_store.claim_and_join, most_waiting=MOST_WAITING)
        claiming: GroupCommit[coupons.Command, coupons.Claimed | coupons.Joined] = GroupCommit(
            database, work, name="claims.coupons"
        )
        yield Scene(runner, database, db, exchanging, Expiry(database, exchanging, 3600.0), claiming)
    await db.close()


@dataclass
class Sent:
    """A command that was accepted, and what it was answered."""

    command: Any
    answer: object
    lane: str


@dataclass
class Told:
    """What became of a command: a status or a reason, and the answer of which a repetition must be a copy."""

    word: str
    answer: object = None
    replayed: bool = False


def told(outcome: object) -> Told:
    if isinstance(outcome, TallyError):
        return Told(outcome.reason)
    assert isinstance(outcome, Committed)
    match outcome.value:
        case food.Advanced(step, replayed):
            # Without the end of the hold, which `let_a_hold_be_over` moves behind the service's back.
            return Told(step.exchange.status.value, replace(step.exchange, hold_expire_time=NOW), replayed)
        case coupons.Claimed(claim, replayed) | coupons.Joined(coupons.Claim() as claim, replayed):
            return Told("claimed", (claim.user_id, claim.ordinal, claim.remaining_amount), replayed)
        case coupons.Joined(coupons.Place() as place, replayed):
            return Told("waits", (place.user_id, place.position), replayed)
    raise AssertionError(outcome)


class StockMachine(RuleBasedStateMachine):
    """One food post and one coupon; their commands go to the lanes, one transaction a rule."""

    scene: ClassVar[Scene]

    @initialize(portions=st.integers(1, 8), amount=st.integers(1, 4))
    def create(self, portions: int, amount: int) -> None:
        self.food, self.coupon = FoodModel(portions), CouponModel(amount, MOST_WAITING)
        self.name = f"Bread {uuid4()}"
        self.exchange_ids: list[UUID] = []
        self.sent: list[Sent] = []
        new = food.NewFoodPost("Soup", None, "community", portions, NOW + timedelta(days=1), GIVER)
        post = self.write(lambda tx: store_posts.create(tx, new, uuid4()))
        assert isinstance(post, food.FoodPost)
        self.post_id = post.food_post_id
        self.write(lambda tx: store_coupons.create(tx, self.name, amount, uuid4()))

    def write(self, work: Any) -> Any:
        return self.scene.do(self.scene.database.write(work)).value

    def submit(self, lane: str, commands: Sequence[Any]) -> list[Told]:
        lanes: dict[str, GroupCommit[Any, Any]] = {
            "food": self.scene.exchanging._lane,
            "coupons": self.scene.claiming,
        }
        return [told(outcome) for outcome in self.scene.do(lanes[lane].submit_many(commands))]

    def accepted(self, lane: str, commands: Sequence[Any], outcomes: Sequence[Told], expected: Sequence[str]) -> None:
        assert [outcome.word for outcome in outcomes] == list(expected)
        for command, outcome in zip(commands, outcomes, strict=True):
            assert not outcome.replayed
            if outcome.answer is not None:
                self.sent.append(Sent(command, outcome.answer, lane))

    @rule(words=st.lists(FOOD_WORDS, min_size=1, max_size=5))
    def claim_and_advance(self, words: list[tuple[Any, ...]]) -> None:
        known = len(self.exchange_ids)
        commands: list[food.ClaimFood | food.Advance] = []
        expected = []
        for kind, number, more in words:
            if kind == "claim":
                made = food.ClaimFood(self.post_id, uuid4(), UUID(int=number), more, uuid4())
                commands.append(made)
                expected.append(self.food.claim(number, more))
                if expected[-1] == "pending":
                    self.exchange_ids.append(made.exchange_id)
            elif known:
                # Only what was there before: nobody knows an exchange whose claim was not answered.
                chosen = number % known
                actor = GIVER if number % 2 else UUID(int=self.food.exchanges[chosen].user)
                commands.append(food.Advance(self.exchange_ids[chosen], actor, uuid4(), food.Status(more)))
                expected.append(self.food.advance(chosen, more))
        self.accepted("food", commands, self.submit("food", commands), expected)

    @rule(number=NUMBERS)
    def let_a_hold_be_over(self, number: int) -> None:
        if self.exchange_ids:
            chosen = number % len(self.exchange_ids)
            self.food.exchanges[chosen].over = True
            past = "UPDATE claims.exchanges SET hold_expire_time = now() - interval '1 second' WHERE exchange_id = $1"
            self.scene.do(self.scene.db.execute(past, self.exchange_ids[chosen]))

    @rule()
    def expire(self) -> None:
        assert self.scene.do(self.scene.expiry.round()) == self.food.end(self.food.exchanges)

    @rule()
    def close(self) -> None:
        was_closed, self.food.closed = self.food.closed, True
        with pytest.raises(FoodPostClosed) if was_closed else nullcontext():
            self.write(lambda tx: store_posts.close(tx, self.post_id, GIVER, uuid4()))

    @rule(words=st.lists(COUPON_WORDS, min_size=1, max_size=5))
    def claim_and_join(self, words: list[tuple[str, int]]) -> None:
        makes = {"claim": coupons.ClaimCoupon, "join": coupons.JoinWaitlist}
        commands = [makes[kind](self.name, UUID(int=user), uuid4()) for kind, user in words]
        expected = [getattr(self.coupon, kind)(user) for kind, user in words]
        self.accepted("coupons", commands, self.submit("coupons", commands), expected)

    @rule(amount=st.integers(1, 3))
    def restock(self, amount: int) -> None:
        served = self.coupon.restock(amount)
        restocked = self.write(lambda tx: store_coupons.restock(tx, self.name, amount, uuid4()))
        assert (restocked.served_count, restocked.coupon.remaining_amount) == (served, self.coupon.remaining)

    @rule(numbers=st.lists(st.integers(0, 99), min_size=1, max_size=4))
    def repeat(self, numbers: list[int]) -> None:
        """G5: whatever happened since."""
        for number in numbers:
            if self.sent:
                sent = self.sent[number % len(self.sent)]
                (again,) = self.submit(sent.lane, [sent.command])
                assert (again.replayed, again.answer) == (True, sent.answer)

    def teardown(self) -> None:
        """Leaves no hold behind that another run would find over."""
        self.scene.do(self.scene.expiry.round())

    @invariant()
    def everything_stored_is_as_the_model_says(self) -> None:
        if not hasattr(self, "food"):
            return
        self.scene.do(self.check())

    async def check(self) -> None:
        db, model = self.scene.db, self.food
        post = await db.fetchrow(
            "SELECT portions_remaining, portions_held, portions_claimed, completed_count, status FROM claims.food_posts "
            "WHERE food_post_id = $1",
            self.post_id,
        )
        assert post is not None
        held, claimed = model.of("pending"), model.of("confirmed", "completed")
        completed = sum(e.status == "completed" for e in model.exchanges)
        status = "closed" if model.closed else "available" if model.remaining else "exhausted"
        assert tuple(post) == (model.remaining, held, claimed, completed, status)
        assert model.remaining + held + claimed == model.portions
        rows = await db.fetch(
            "SELECT exchange_id, receiver_id, portions, status FROM claims.exchanges WHERE food_id = $1", self.post_id
        )
        assert {row["exchange_id"]: tuple(row)[1:] for row in rows} == {
            exchange_id: (UUID(int=e.user), e.portions, e.status)
            for exchange_id, e in zip(self.exchange_ids, model.exchanges, strict=True)
        }
        await self.check_coupon(db)
        for counter in COUNTERS.values():
            key = {"food_post": self.post_id, "coupon": self.name}.get(counter.aggregate.aggregate)
            if key is not None and counter.counts is not None:
                found = await survey(Snapshot(db), counter, [key])  # type: ignore[arg-type]  # any connection reads
                assert (found.checked, found.discrepancies) == (1, {}), counter.name

    async def check_coupon(self, db: Connection) -> None:
        model = self.coupon
        coupon = await db.fetchrow(
            "SELECT remaining_amount, claim_count, waiting_count, last_position, amount + restocked_amount "
            "FROM claims.coupons WHERE name = $1",
            self.name,
        )
        assert coupon is not None
        put_in = model.amount + model.restocked
        assert tuple(coupon) == (
            model.remaining,
            len(model.claimants),
            len(model.waiting),
            len(model.line),
            put_in,
        )
        assert model.remaining + len(model.claimants) == put_in
        for table, number, users in (("claims", "ordinal", model.claimants), ("waitlist", "position", model.line)):
            rows = await db.fetch(
                f"SELECT {number}, user_id FROM claims.{table} WHERE coupon_name = $1 ORDER BY 1", self.name
            )
            assert [tuple(row) for row in rows] == [(n, UUID(int=user)) for n, user in enumerate(users, start=1)]
        unserved = "SELECT count(*) FROM claims.waitlist WHERE coupon_name = $1 AND served_time IS NULL"
        assert await db.fetchval(unserved, self.name) == len(model.waiting)


@pytest.mark.parametrize(
    ("examples", "steps"), [(20, 25), pytest.param(150, 50, marks=[pytest.mark.heavy, pytest.mark.timeout(900)])]
)
def test_any_sequence_of_commands_leaves_what_a_simple_model_says(database_url: str, examples: int, steps: int) -> None:
    """G2, G4, G5: stock adds up, counters equal rows, and who has what is as it was told."""

    async def enter() -> Scene:
        return await scene.__aenter__()

    with asyncio.Runner() as runner:
        scene = a_scene(runner, database_url)
        machine = type("BoundStockMachine", (StockMachine,), {"scene": runner.run(enter())})
        try:
            run_state_machine_as_test(
                seeded(int(chosen_seed()))(machine),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(scene.__aexit__(None, None, None))
