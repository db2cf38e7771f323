"""What happens to claims of food and to exchanges: decided without a database, so any order and any split can be tried."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.data.catalog.claims import PORTIONS_CLAIMED, PORTIONS_HELD, PORTIONS_REMAINING
from libs.data.errors import TallyError
from services.claims.exchanges import rules
from services.claims.exchanges.errors import (
    AlreadyClaimed,
    ExchangeEnded,
    ExchangeNotConfirmed,
    ExchangeNotFound,
    ExchangeNotPending,
    FoodPostClosed,
    FoodPostNotFound,
    HoldExpired,
    NotAParty,
    OutOfStock,
    OwnFoodPost,
)
from services.claims.exchanges.model import Advanced, Command, Expire, Status
from tests.unit.claims.kitchen import GIVER, HOLD, MISSING, NOON, OTHER, PORTIONS, POST, Kitchen, a_row, advance, claim


def test_a_claim_holds_portions_from_the_time_of_its_lock() -> None:
    kitchen = Kitchen()
    (outcome,) = kitchen.run(claim(11, 100, 2))
    assert isinstance(outcome, Advanced) and not outcome.replayed
    exchange = outcome.step.exchange
    assert (exchange.giver_id, exchange.receiver_id, exchange.portions) == (GIVER, UUID(int=11), 2)
    assert (exchange.created_time, exchange.hold_expire_time) == (NOON, NOON + HOLD)


def test_claims_are_decided_in_the_order_they_came_until_nothing_is_left() -> None:
    """G4: who asks for less may still get it."""
    outcomes = Kitchen().run(claim(11, 100, 3), claim(12, 101, 3), claim(13, 102, 2), claim(14, 103))
    assert [type(outcome) for outcome in outcomes] == [Advanced, OutOfStock, Advanced, OutOfStock]
    assert [o.metadata["remaining"] for o in outcomes if isinstance(o, OutOfStock)] == ["2", "0"]


def test_an_unknown_post_or_exchange_refuses_its_own_commands_only() -> None:
    outcomes = Kitchen().run(
        claim(11, 100, post=MISSING), advance(999, Status.CONFIRMED, 11), claim(11, 101), Expire(UUID(int=999))
    )
    assert [type(outcome) for outcome in outcomes] == [FoodPostNotFound, ExchangeNotFound, Advanced, type(None)]


def test_a_closed_post_takes_nothing_but_repeats() -> None:
    """G5."""
    kitchen = Kitchen()
    kitchen.run(claim(11, 100))
    kitchen.rows[POST]["status"] = "closed"
    repeated, refused, own = kitchen.run(claim(11, 101, request=100), claim(12, 102), claim(GIVER.int, 103))
    assert isinstance(repeated, Advanced) and repeated.replayed
    assert isinstance(refused, FoodPostClosed) and isinstance(own, FoodPostClosed)
    assert isinstance(kitchen.run(advance(100, Status.CONFIRMED, 11))[0], Advanced)


def test_who_claims_what_is_their_own_or_twice_is_refused() -> None:
    own, first, second = Kitchen().run(claim(GIVER.int, 100), claim(11, 101), claim(11, 102))
    assert isinstance(own, OwnFoodPost) and isinstance(first, Advanced)
    assert isinstance(second, AlreadyClaimed)
    assert second.metadata == {"exchange_id": str(UUID(int=101)), "status": "pending"}


def test_later_commands_see_what_earlier_ones_of_their_transaction_did() -> None:
    kitchen = Kitchen()
    kitchen.run(claim(11, 100, 5))
    outcomes = kitchen.run(
        claim(12, 101),
        advance(100, Status.COMPLETED, 11),
        advance(100, Status.CONFIRMED, GIVER.int),
        advance(100, Status.CONFIRMED, 11, 7),
        advance(100, Status.CANCELLED, 11),
        claim(12, 102, 5),
        advance(100, Status.CANCELLED, 11, 8),
    )
    expected = [OutOfStock, ExchangeNotConfirmed, Advanced, ExchangeNotPending, Advanced, Advanced, ExchangeEnded]
    assert [type(outcome) for outcome in outcomes] == expected


def test_only_the_two_sides_advance_an_exchange() -> None:
    kitchen = Kitchen()
    kitchen.run(claim(11, 100), claim(12, 101))
    for to in (Status.CONFIRMED, Status.COMPLETED, Status.CANCELLED):
        assert isinstance(kitchen.run(advance(100, to, 12))[0], NotAParty)


@pytest.mark.parametrize("to", [Status.CONFIRMED, Status.COMPLETED, Status.CANCELLED])
def test_a_hold_is_over_at_its_very_end_and_not_a_moment_before(to: Status) -> None:
    for before, over in ((timedelta(microseconds=1), False), (timedelta(0), True)):
        kitchen = Kitchen()
        kitchen.run(claim(11, 100, 2))
        kitchen.now = NOON + HOLD - before
        (outcome,) = kitchen.run(advance(100, to, 11))
        assert isinstance(outcome, HoldExpired) is over
        assert kitchen.run(Expire(UUID(int=100))) == [None], "it was not yet, or is already"
        if over:
            assert kitchen.rows[POST]["portions_remaining"] == PORTIONS


def test_a_claim_ends_the_holds_it_needs_and_no_others() -> None:
    kitchen = Kitchen()
    kitchen.run(claim(11, 100, 2), claim(12, 101, 2))
    kitchen.now += HOLD
    kitchen.run(claim(13, 102))
    assert [e.status for e in kitchen.exchanges.values()] == [Status.PENDING] * 3
    kitchen.run(claim(14, 103, 4))
    assert [e.status for e in kitchen.exchanges.values()] == [Status.EXPIRED] * 2 + [Status.PENDING] * 2


def test_who_claims_again_after_the_hold_ends_it_first() -> None:
    kitchen = Kitchen()
    kitchen.run(claim(11, 100, 5))
    kitchen.now += HOLD
    again, repeated = kitchen.run(claim(11, 101, 5), claim(11, 102, request=100))
    assert isinstance(again, Advanced) and not again.replayed
    assert isinstance(repeated, Advanced) and repeated.replayed
    assert repeated.step.exchange.exchange_id == UUID(int=100)
    assert repeated.step.exchange.status is Status.PENDING, "as it was just then"


def test_a_decision_names_only_what_changed() -> None:
    decision = rules.decide({POST: a_row()}, rules.Seen(), [claim(11, 100, 9), Expire(UUID(int=7))], HOLD)
    assert not (decision.created or decision.changed or decision.steps or decision.completed)
    assert not any(additions for _, additions in decision.shelf.additions())
    assert [counter for counter, _ in decision.shelf.additions()] == [
        PORTIONS_REMAINING,
        PORTIONS_HELD,
        PORTIONS_CLAIMED,
    ]


# Few users, requests and exchanges, so that they meet; None lets a third of a hold pass.
Word = tuple[Any, ...] | None
WORDS: st.SearchStrategy[list[Word]] = st.lists(
    st.one_of(
        st.tuples(
            st.just("claim"), st.integers(11, 14), st.integers(1, 3), st.integers(1, 6), st.sampled_from([POST, OTHER])
        ),
        st.tuples(
            st.just("advance"),
            st.integers(100, 107),
            st.sampled_from([Status.CONFIRMED, Status.COMPLETED, Status.CANCELLED]),
            st.sampled_from([9, 11, 12, 13, 14]),
        ),
        st.tuples(st.just("expire"), st.integers(100, 107)),
        st.none(),
    ),
    max_size=40,
)


def moments(words: Sequence[Word]) -> Iterator[list[Command]]:
    """The commands between two passings of time; the n-th claim makes exchange 100 + n.

    Nobody knows an exchange before its claim has been answered: naming one earlier names none.
    """
    commands: list[Command] = []
    claims = known = 0
    for word in words:
        match word:
            case None:
                yield commands
                commands, known = [], claims
            case ("claim", user, portions, request, post):
                commands.append(claim(user, 100 + claims, portions, request, post))
                claims += 1
            case ("advance", exchange, to, user):
                commands.append(advance(exchange if exchange < 100 + known else 99, to, user))
            case (_, exchange):
                commands.append(Expire(UUID(int=exchange if exchange < 100 + known else 99)))
    yield commands


def told(outcome: rules.Outcome) -> object:
    """What a caller is told, tokens apart: those tell which commands shared a transaction."""
    if isinstance(outcome, Advanced):
        return outcome.step.exchange, outcome.replayed
    return (type(outcome), outcome.metadata) if isinstance(outcome, TallyError) else outcome


@settings(deadline=None)
@given(WORDS, st.lists(st.integers(0, 40), max_size=5))
def test_how_commands_share_transactions_changes_nothing_for_anybody(words: list[Word], cuts: list[int]) -> None:
    """G2, G4, G5: one by one, all of a moment at once, or cut anywhere, everybody is told the same; portions add up."""
    together, apart, one_by_one = Kitchen(), Kitchen(), Kitchen()
    for commands in moments(words):
        expected = [told(outcome) for outcome in together.run(*commands)]
        bounds = [0, *sorted(min(cut, len(commands)) for cut in cuts), len(commands)]
        parts = [commands[start:end] for start, end in pairwise(bounds)]
        assert [told(outcome) for part in parts for outcome in apart.run(*part)] == expected
        assert [told(outcome) for command in commands for outcome in one_by_one.run(command)] == expected
        assert apart.exchanges == one_by_one.exchanges == together.exchanges
        for kitchen in (together, apart, one_by_one):
            kitchen.now += HOLD / 3


@settings(deadline=None)
@given(WORDS)
def test_repeating_everything_that_succeeded_changes_nothing(words: list[Word]) -> None:
    """G5: with the first answers, in whatever order and however late."""
    kitchen = Kitchen()
    succeeded: list[tuple[Command, Advanced]] = []
    for commands in moments(words):
        outcomes = kitchen.run(*commands)
        succeeded += [
            (command, outcome)
            for command, outcome in zip(commands, outcomes, strict=True)
            if isinstance(outcome, Advanced) and not isinstance(command, Expire)
        ]
        kitchen.now += HOLD / 3
    stored = {key: list(steps) for key, steps in kitchen.steps.items()}
    again = kitchen.run(*(command for command, _ in reversed(succeeded)))
    for (_, first), repeated in zip(reversed(succeeded), again, strict=True):
        assert isinstance(repeated, Advanced) and repeated.replayed
        assert repeated.step.exchange == first.step.exchange
    assert kitchen.steps == stored
