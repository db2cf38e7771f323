"""Any sequence of votes and opinions, split into transactions in any way."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.voting import rules
from services.voting.model import Choice, Command, Created, CreateOpinion, OpinionState, Voted
from tests.unit.voting.ledger import (
    AUTHORS,
    ELSEWHERE,
    FIRST,
    NOWHERE,
    SECOND,
    Ledger,
    author_vote,
    cancel,
    cast,
    create,
)

AUTHOR = AUTHORS[FIRST].int

# Few users and request ids, so that they meet: changes, repeats, ids used twice, cancelling, authors who are quicker.
USERS, REQUESTS = st.sampled_from([1, 2, AUTHOR]), st.integers(200, 205)
OPINIONS = st.sampled_from([FIRST, FIRST, SECOND, ELSEWHERE, NOWHERE])
COMMANDS = st.lists(
    st.one_of(
        st.builds(cast, USERS, REQUESTS, st.sampled_from(Choice), OPINIONS),
        st.builds(cancel, USERS, REQUESTS, OPINIONS),
        st.builds(author_vote, st.sampled_from(list(AUTHORS))),
        st.builds(create, st.just(0), USERS, REQUESTS, st.sampled_from(["Yes.", "No."])),
    ),
    max_size=30,
)
STATES = st.sampled_from([OpinionState.UNMODERATED, OpinionState.ACCEPTED, OpinionState.HIDDEN, OpinionState.DELETED])


def numbered(commands: Sequence[Command]) -> list[Command]:
    """With an id of its own for each opinion."""
    return [
        replace(c, opinion_id=UUID(int=1000 + n)) if isinstance(c, CreateOpinion) else c for n, c in enumerate(commands)
    ]


def told(outcome: rules.Outcome) -> tuple[object, ...]:
    """What a caller is told, times and tokens apart: those tell which commands shared a transaction."""
    if isinstance(outcome, Voted):
        return outcome.answer.opinion, outcome.answer.conversation, outcome.replayed
    if isinstance(outcome, Created):
        opinion = outcome.opinion
        return opinion.opinion_id, opinion.author_id, opinion.body, outcome.author_vote_due, outcome.replayed
    return type(outcome), str(outcome)


@settings(deadline=None)
@given(COMMANDS, STATES, st.lists(st.integers(0, 30), max_size=5))
def test_how_commands_share_transactions_changes_nothing_for_anybody(
    drawn: list[Command], state: OpinionState, cuts: list[int]
) -> None:
    """G2, G5: one by one, all at once, or cut anywhere, everybody is told the same, and counters equal rows throughout."""
    commands, ledgers = numbered(drawn), [Ledger() for _ in range(3)]
    for ledger in ledgers:
        ledger.set_state(SECOND, state)
    together, apart, one_by_one = ledgers
    expected = [told(outcome) for outcome in together.run(*commands)]
    bounds = [0, *sorted(min(cut, len(commands)) for cut in cuts), len(commands)]
    parts = [commands[start:end] for start, end in pairwise(bounds)]
    assert [told(outcome) for part in parts for outcome in apart.run(*part)] == expected
    assert [told(outcome) for command in commands for outcome in one_by_one.run(command)] == expected
    for ledger in (apart, one_by_one):
        assert ledger.due == together.due
        assert {k: v.choice for k, v in ledger.votes.items()} == {k: v.choice for k, v in together.votes.items()}
        assert set(ledger.past) == set(together.past)


@settings(deadline=None)
@given(COMMANDS)
def test_repeating_everything_that_succeeded_changes_nothing(drawn: list[Command]) -> None:
    """G5."""
    commands, ledger = numbered(drawn), Ledger()
    first = ledger.run(*commands)
    before = (dict(ledger.votes), dict(ledger.past), dict(ledger.created))
    succeeded = [
        (command, outcome)
        for command, outcome in zip(commands, first, strict=True)
        if isinstance(outcome, Voted | Created) and hasattr(command, "request_id")
    ]
    again = ledger.run(*(command for command, _ in succeeded))
    for (_, outcome), repeated in zip(succeeded, again, strict=True):
        assert told(repeated)[:-1] == told(outcome)[:-1]
        assert isinstance(repeated, Voted | Created) and repeated.replayed
    assert (ledger.votes, ledger.past, ledger.created) == before
