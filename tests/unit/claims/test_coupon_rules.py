"""What happens to each claim, join and restock: decided without a database, so any order and any batches can be tried."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.data.catalog.claims import COUPON_STOCK
from libs.data.stock import Shelf
from services.claims.coupons import rules
from services.claims.coupons.errors import AlreadyClaimed, AlreadyWaiting, CouponNotFound, OutOfStock, WaitlistFull
from services.claims.coupons.model import Claim, Claimant, ClaimCoupon, Claimed, Command, Joined, JoinWaitlist, Place

BREAD, SOUP, MISSING = "bread", "soup", "missing"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOST_WAITING = 3


@dataclass(frozen=True)
class Restock:
    """Stock that came back; decided alone, as the service does."""

    coupon_name: str
    amount: int


@dataclass
class Store:
    """What is stored, as far as rules see it: a decision is applied to it as the store would."""

    rows: dict[str, dict[str, Any]]
    claims: dict[Claimant, Claim] = field(default_factory=dict)
    places: dict[Claimant, Place] = field(default_factory=dict)
    served: set[Claimant] = field(default_factory=set)
    commits: int = 0

    @classmethod
    def of(cls, **amounts: int) -> "Store":
        return cls({name: a_row(name, amount) for name, amount in amounts.items()})

    def begin(self) -> None:
        self.commits += 1
        for row in self.rows.values():
            row["locked_time"] = NOON + timedelta(seconds=self.commits)

    def run(self, *commands: Command) -> list[rules.Outcome]:
        self.begin()
        wanted = {(command.coupon_name, command.user_id) for command in commands}
        seen = rules.Seen(
            {who: replace(self.claims[who]) for who in wanted if who in self.claims},
            {who: replace(self.places[who]) for who in wanted if who in self.places},
        )
        decision = rules.decide(self.rows, seen, commands, MOST_WAITING)
        for place in decision.places:
            assert (place.coupon_name, place.user_id) not in self.places
            self.places[place.coupon_name, place.user_id] = replace(place, token=f"{self.commits:x}")
        for (name,), n in decision.joined.items():
            self.rows[name]["waiting_count"] += n
            self.rows[name]["last_position"] += n
        self.settle(decision.shelf, decision.claims)
        return decision.outcomes

    def restock(self, name: str, amount: int) -> list[Claim]:
        self.begin()
        waiting = sorted(
            (p for who, p in self.places.items() if who[0] == name and who not in self.served), key=lambda p: p.position
        )[:amount]
        shelf, claims = rules.serve(self.rows[name], amount, waiting)
        self.served |= {(name, place.user_id) for place in waiting}
        self.rows[name]["waiting_count"] -= len(waiting)
        self.settle(shelf, claims)
        return claims

    def settle(self, shelf: Shelf, claims: Sequence[Claim]) -> None:
        for claim in claims:
            assert (claim.coupon_name, claim.user_id) not in self.claims, "two claims of one user"
            self.claims[claim.coupon_name, claim.user_id] = replace(claim, token=f"{self.commits:x}")
        for counter, added in shelf.additions():
            for (name,), n in added.items():
                self.rows[name][counter.column] += n

    def check(self) -> None:
        """Stock adds up, nobody waits beside it, numbers have no gaps, and places are served in order."""
        for name, row in self.rows.items():
            claims = [claim for who, claim in self.claims.items() if who[0] == name]
            assert row["remaining_amount"] + len(claims) == row["amount"] + row["restocked_amount"]
            assert row["claim_count"] == len(claims) and row["remaining_amount"] >= 0
            assert sorted(claim.ordinal for claim in claims) == list(range(1, len(claims) + 1))
            places = sorted((p for who, p in self.places.items() if who[0] == name), key=lambda p: p.position)
            assert [place.position for place in places] == list(range(1, row["last_position"] + 1))
            waiting = [place for place in places if (name, place.user_id) not in self.served]
            assert row["waiting_count"] == len(waiting) <= MOST_WAITING
            assert row["remaining_amount"] == 0 or not waiting
            assert places[len(places) - len(waiting) :] == waiting
            assert not any((name, place.user_id) in self.claims for place in waiting)
            ordinals = [self.claims[name, p.user_id].ordinal for p in places if (name, p.user_id) in self.served]
            assert all(one < later for one, later in pairwise(ordinals))


def a_row(name: str, amount: int) -> dict[str, Any]:
    counters = dict.fromkeys(("restocked_amount", "claim_count", "waiting_count", "last_position"), 0)
    return {"name": name, "amount": amount, "remaining_amount": amount, "locked_time": NOON, **counters}


def claim(user: int, request: int = 0, coupon: str = BREAD) -> ClaimCoupon:
    return ClaimCoupon(coupon, UUID(int=user), UUID(int=request or 1000 + user))


def join(user: int, request: int = 0, coupon: str = BREAD) -> JoinWaitlist:
    return JoinWaitlist(coupon, UUID(int=user), UUID(int=request or 2000 + user))


def told(outcome: rules.Outcome) -> tuple[object, ...]:
    """What a caller is told, times and tokens apart: those tell which commands shared a transaction."""
    if isinstance(outcome, Claimed):
        return "claimed", outcome.claim.ordinal, outcome.claim.remaining_amount, outcome.replayed
    if isinstance(outcome, Joined):
        if isinstance(outcome.result, Claim):
            return "served", outcome.result.ordinal, outcome.replayed
        return "waits", outcome.result.position, outcome.replayed
    times = ("claimed_time", "joined_time")
    return type(outcome), *((key, text) for key, text in outcome.metadata.items() if key not in times)


def test_claims_get_ordinals_in_the_order_they_came_until_nothing_is_left() -> None:
    """G4."""
    store = Store.of(bread=3, soup=1)
    outcomes = store.run(claim(7), claim(3), claim(9, coupon=SOUP), claim(5), claim(4), claim(7, coupon=SOUP))
    assert [told(outcome) for outcome in outcomes] == [
        ("claimed", 1, 2, False),
        ("claimed", 2, 1, False),
        ("claimed", 1, 0, False),
        ("claimed", 3, 0, False),
        (OutOfStock,),
        (OutOfStock,),
    ]
    store.check()


def test_the_second_claim_of_a_user_is_refused_with_when_and_as_which_number_the_first_was() -> None:
    store = Store.of(bread=5)
    _, refused_in_batch = store.run(claim(1), claim(1, 99))
    (refused_later,) = store.run(claim(1, 98))
    for refused in (refused_in_batch, refused_later):
        assert isinstance(refused, AlreadyClaimed)
        user_id = str(UUID(int=1))
        assert refused.metadata == {"user_id": user_id, "ordinal": "1", "claimed_time": "2026-01-01T12:00:01Z"}


def test_a_repeated_claim_is_answered_as_at_first_though_nothing_is_left() -> None:
    """G5."""
    store = Store.of(bread=2)
    first, repeated, _, again = store.run(claim(1), claim(1), claim(2), claim(1))
    (later,) = store.run(claim(1))
    assert told(first) == ("claimed", 1, 1, False)
    assert told(repeated) == told(again) == told(later) == ("claimed", 1, 1, True)
    assert isinstance(later, Claimed) and later.claim.token == "1"


def test_an_unknown_coupon_refuses_its_own_commands_only() -> None:
    outcomes = Store.of(bread=1).run(claim(1, coupon=MISSING), claim(1), join(2, coupon=MISSING), join(2))
    assert [type(outcome) for outcome in outcomes] == [CouponNotFound, Claimed, CouponNotFound, Joined]


def test_joining_claims_while_there_is_stock_and_waits_from_then_on() -> None:
    """G4."""
    store = Store.of(bread=1)
    outcomes = store.run(join(1), join(2), join(3), claim(4), claim(2))
    assert [told(outcome) for outcome in outcomes] == [
        ("served", 1, False),
        ("waits", 1, False),
        ("waits", 2, False),
        (OutOfStock,),
        (OutOfStock,),
    ]
    store.check()


def test_whoever_joins_again_is_told_what_is_so_already() -> None:
    store = Store.of(bread=1)
    store.run(join(1), join(2))
    outcomes = store.run(join(1, 98), join(2, 99), join(2), join(1))
    assert [type(outcome) for outcome in outcomes] == [AlreadyClaimed, AlreadyWaiting, Joined, Joined]
    assert told(outcomes[2]) == ("waits", 1, True)
    assert told(outcomes[3]) == ("served", 1, True)
    refused = outcomes[1]
    assert isinstance(refused, AlreadyWaiting)
    assert refused.metadata == {"user_id": str(UUID(int=2)), "position": "1", "joined_time": "2026-01-01T12:00:01Z"}


def test_whoever_was_served_is_told_the_place_by_the_same_request_and_the_claim_by_another() -> None:
    """G5."""
    store = Store.of(bread=1)
    store.run(claim(1), join(2))
    store.restock(BREAD, 1)
    outcomes = store.run(join(2), join(2, 99), claim(2, 98))
    assert told(outcomes[0]) == ("waits", 1, True)
    assert [type(outcome) for outcome in outcomes[1:]] == [AlreadyClaimed, AlreadyClaimed]


def test_a_full_line_takes_nobody_and_says_how_many_wait() -> None:
    store = Store.of(bread=1, soup=1)
    store.run(claim(1), claim(1, coupon=SOUP))
    outcomes = store.run(*(join(user) for user in range(2, 7)), join(2), join(2, 99), join(9, coupon=SOUP))
    expected = [*[Joined] * MOST_WAITING, WaitlistFull, WaitlistFull, Joined, AlreadyWaiting, Joined]
    assert [type(outcome) for outcome in outcomes] == expected
    store.check()
    store.restock(BREAD, 1)
    assert told(*store.run(join(6))) == ("waits", MOST_WAITING + 1, False)


def test_a_delivery_serves_those_who_wait_in_order_and_leaves_the_rest() -> None:
    """G4."""
    store = Store.of(bread=1)
    store.run(claim(9), join(7), join(3), join(5))
    assert [(c.user_id.int, c.ordinal, c.remaining_amount) for c in store.restock(BREAD, 2)] == [(7, 2, 1), (3, 3, 0)]
    assert [(c.user_id.int, c.ordinal, c.remaining_amount) for c in store.restock(BREAD, 5)] == [(5, 4, 4)]
    assert store.rows[BREAD]["remaining_amount"] == 4
    assert store.restock(BREAD, 1) == []
    store.check()


def test_claims_of_those_served_carry_the_request_that_joined() -> None:
    """G5: it is the only one they have."""
    store = Store.of(bread=1)
    store.run(claim(1), join(2, 77))
    (served,) = store.restock(BREAD, 1)
    assert served.request_id == UUID(int=77)
    assert served.claimed_time == NOON + timedelta(seconds=2)


def test_a_decision_names_only_what_changed() -> None:
    decision = rules.decide({BREAD: a_row(BREAD, 0)}, rules.Seen(), [claim(1)], MOST_WAITING)
    assert not (decision.claims or decision.places or decision.joined)
    assert not any(added for _, added in decision.shelf.additions())
    assert {counter for counter, _ in decision.shelf.additions()} == set(COUPON_STOCK.counters)


# Few users and request ids, so that they meet: duplicates, repeats, joins of claimants, claims of those who wait.
def commands(kind: type[Command]) -> st.SearchStrategy[Command]:
    users, requests = st.integers(1, 6).map(lambda n: UUID(int=n)), st.integers(100, 105).map(lambda n: UUID(int=n))
    return st.builds(kind, st.sampled_from([BREAD, BREAD, SOUP, MISSING]), users, requests)


COMMANDS = st.lists(st.one_of(commands(ClaimCoupon), commands(JoinWaitlist)), max_size=25)
STEPS = st.lists(st.one_of(COMMANDS, st.builds(Restock, st.sampled_from([BREAD, SOUP]), st.integers(1, 4))), max_size=8)


@settings(deadline=None)
@given(st.integers(1, 4), STEPS)
def test_stock_adds_up_after_any_claims_joins_and_restocks(stock: int, steps: list[list[Command] | Restock]) -> None:
    """G2, G4."""
    store = Store.of(bread=stock, soup=1)
    for step in steps:
        if isinstance(step, Restock):
            store.restock(step.coupon_name, step.amount)
        else:
            assert len(store.run(*step)) == len(step)
        store.check()


@settings(deadline=None)
@given(COMMANDS, st.lists(st.integers(0, 25), max_size=5))
def test_how_commands_share_transactions_changes_nothing_for_anybody(wanted: list[Command], cuts: list[int]) -> None:
    """G4, G5: one by one, all at once, or cut anywhere, everybody is told the same."""
    together, apart, one_by_one = (Store.of(bread=2, soup=1) for _ in range(3))
    expected = [told(outcome) for outcome in together.run(*wanted)]
    bounds = [0, *sorted(min(cut, len(wanted)) for cut in cuts), len(wanted)]
    assert [told(outcome) for a, b in pairwise(bounds) for outcome in apart.run(*wanted[a:b])] == expected
    assert [told(outcome) for command in wanted for outcome in one_by_one.run(command)] == expected
    for store in (apart, one_by_one):
        store.check()


@settings(deadline=None)
@given(COMMANDS, st.integers(0, 4))
def test_repeating_everything_that_succeeded_changes_nothing(wanted: list[Command], restocked: int) -> None:
    """G5: also after a delivery."""
    store = Store.of(bread=2, soup=1)
    first = store.run(*wanted)
    if restocked:
        store.restock(BREAD, restocked)
    before = (dict(store.claims), dict(store.places), {name: dict(row) for name, row in store.rows.items()})
    done = [(c, o) for c, o in zip(wanted, first, strict=True) if isinstance(o, Claimed | Joined)]
    again = store.run(*(command for command, _ in done))
    for (_, outcome), repeated in zip(done, again, strict=True):
        assert told(repeated) == (*told(outcome)[:-1], True)
    for row in store.rows.values():
        row["locked_time"] = before[2][row["name"]]["locked_time"]
    assert (store.claims, store.places, store.rows) == before
