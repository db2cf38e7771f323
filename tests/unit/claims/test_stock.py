"""Stock while a batch is decided: units move between counters and are never made, lost or given out twice."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.data.catalog.claims import (
    COUPON_CLAIMS,
    COUPON_REMAINING,
    COUPON_RESTOCKED,
    COUPON_STOCK,
    FOOD_STOCK,
    PORTIONS_CLAIMED,
    PORTIONS_HELD,
    PORTIONS_REMAINING,
)
from libs.data.catalog.petition import CO_SIGNERS
from libs.data.counters import Counter
from libs.data.stock import Shelf, Stock

POST, OTHER = "post", "other"


def a_post(remaining: int, held: int = 0, claimed: int = 0) -> dict[str, Any]:
    return {"portions_remaining": remaining, "portions_held": held, "portions_claimed": claimed}


def a_shelf(remaining: int = 5, held: int = 0, claimed: int = 0) -> Shelf:
    return Shelf(FOOD_STOCK, {POST: a_post(remaining, held, claimed), OTHER: a_post(9)})


def units(shelf: Shelf, key: str = POST) -> tuple[int, ...]:
    return tuple(shelf.units(counter, key) for counter in FOOD_STOCK.counters)


def additions(shelf: Shelf) -> dict[Counter, dict[Any, int]]:
    return {counter: added for counter, added in shelf.additions() if added}


@pytest.mark.parametrize(("n", "taken"), [(1, True), (4, True), (5, True), (6, False), (2**31, False)])
def test_at_most_what_remains_can_be_taken(n: int, taken: bool) -> None:
    """G4."""
    shelf = a_shelf(remaining=5)
    assert shelf.take(POST, n, PORTIONS_HELD) is taken
    assert units(shelf) == ((5 - n, n, 0) if taken else (5, 0, 0))
    assert units(shelf, OTHER) == (9, 0, 0)


def test_what_earlier_ones_took_is_gone_for_later_ones() -> None:
    """G4."""
    shelf = a_shelf(remaining=5)
    assert [shelf.take(POST, n, PORTIONS_HELD) for n in (3, 3, 2, 1)] == [True, False, True, False]
    assert (shelf.remaining(POST), shelf.units(PORTIONS_HELD, POST)) == (0, 5)


def test_what_was_put_back_can_be_taken_again() -> None:
    shelf = a_shelf(remaining=0, held=3, claimed=2)
    assert not shelf.take(POST, 1, PORTIONS_HELD)
    shelf.put_back(POST, 2, PORTIONS_HELD)
    shelf.put_back(POST, 2, PORTIONS_CLAIMED)
    assert units(shelf) == (4, 1, 0)
    assert shelf.take(POST, 4, PORTIONS_HELD)


def test_units_move_from_one_place_to_another() -> None:
    shelf = a_shelf(held=3)
    shelf.move(POST, 3, PORTIONS_HELD, PORTIONS_CLAIMED)
    assert units(shelf) == (5, 0, 3)


@pytest.mark.parametrize("n", [-1, 0, 4])
def test_nothing_negative_nothing_at_all_and_nothing_that_is_not_there_can_be_moved(n: int) -> None:
    """G4: a mistake of the service stops the transaction."""
    with pytest.raises(AssertionError):
        a_shelf(held=3).move(POST, n, PORTIONS_HELD, PORTIONS_CLAIMED)
    with pytest.raises(AssertionError):
        a_shelf(held=3).put_back(POST, n, PORTIONS_HELD)


def test_only_a_stock_that_can_grow_can_be_added_to() -> None:
    with pytest.raises(AssertionError):
        a_shelf().add(POST, 1)
    coupons = Shelf(COUPON_STOCK, {"bread": {"remaining_amount": 0, "claim_count": 3, "restocked_amount": 2}})
    for n in (0, -1):
        with pytest.raises(AssertionError):
            coupons.add("bread", n)
    coupons.add("bread", 4)
    assert coupons.take("bread", 1, COUPON_CLAIMS)
    assert additions(coupons) == {
        COUPON_REMAINING: {("bread",): 3},
        COUPON_CLAIMS: {("bread",): 1},
        COUPON_RESTOCKED: {("bread",): 4},
    }


def test_only_what_changed_in_the_end_is_written() -> None:
    shelf = a_shelf(remaining=5, held=3)
    shelf.take(POST, 2, PORTIONS_HELD)
    shelf.put_back(POST, 2, PORTIONS_HELD)
    shelf.take(OTHER, 1, PORTIONS_CLAIMED)
    assert additions(shelf) == {PORTIONS_REMAINING: {(OTHER,): -1}, PORTIONS_CLAIMED: {(OTHER,): 1}}


def test_a_stock_is_of_one_aggregate() -> None:
    with pytest.raises(AssertionError):
        Stock(PORTIONS_REMAINING, (PORTIONS_HELD, CO_SIGNERS))


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["take", "put_back", "move"]),
        st.integers(1, 4),
        st.sampled_from([PORTIONS_HELD, PORTIONS_CLAIMED]),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(st.integers(0, 10), MOVES)
def test_units_are_never_made_or_lost(stock: int, moves: list[tuple[str, int, Counter]]) -> None:
    """G4: whatever is taken, held, confirmed and given back; and what is written says what happened."""
    shelf = a_shelf(remaining=stock)
    for what, n, place in moves:
        there, enough = shelf.units(place, POST), n <= shelf.remaining(POST)
        if what == "take":
            assert shelf.take(POST, n, place) is enough
        elif n <= there and what == "put_back":
            shelf.put_back(POST, n, place)
        elif n <= there:
            shelf.move(POST, n, place, PORTIONS_CLAIMED if place is PORTIONS_HELD else PORTIONS_HELD)
        assert sum(units(shelf)) == stock
        assert min(units(shelf)) >= 0
    written = {counter: added.get((POST,), 0) for counter, added in shelf.additions()}
    remaining, *taken = units(shelf)
    assert [written[counter] for counter in FOOD_STOCK.counters] == [remaining - stock, *taken]
