"""What happens to each vote and opinion: decided without a database, so any order and any split into batches can be tried."""

from dataclasses import replace
from uuid import UUID

import pytest

from services.voting import rules
from services.voting.errors import (
    ConversationLocked,
    ConversationNotFound,
    OpinionModerated,
    OpinionNotFound,
    RequestIdReused,
    VoteNotFound,
)
from services.voting.model import Choice, Command, Created, OpinionState, Voted
from tests.unit.voting.ledger import (
    AUTHORS,
    CONVERSATION,
    ELSEWHERE,
    FIRST,
    MISSING,
    NOWHERE,
    OTHER,
    SECOND,
    Ledger,
    author_vote,
    cancel,
    cast,
    create,
)

AGREE, DISAGREE, PASS = Choice.AGREE, Choice.DISAGREE, Choice.PASS
AUTHOR = AUTHORS[FIRST].int


def counts(outcome: rules.Outcome) -> tuple[int, ...]:
    """The opinion's agrees, disagrees and passes, then the conversation's votes and participants."""
    assert isinstance(outcome, Voted), outcome
    opinion, conversation = outcome.answer.opinion, outcome.answer.conversation
    return opinion.agrees, opinion.disagrees, opinion.passes, conversation.vote_count, conversation.participant_count


def test_votes_of_one_user_in_one_batch_are_decided_one_after_the_other() -> None:
    """G2: each sees what those before it did, and the last one stands."""
    ledger = Ledger()
    outcomes = ledger.run(
        cast(1, 10, AGREE),
        cast(2, 20, PASS),
        cast(1, 11, DISAGREE),
        cast(1, 12, AGREE, SECOND),
        cancel(1, 13),
        cast(1, 14, PASS),
        cancel(2, 21),
        cancel(1, 15, SECOND),
    )
    assert [counts(outcome) for outcome in outcomes] == [
        (1, 0, 0, 1, 1),
        (1, 0, 1, 2, 2),
        (0, 1, 1, 2, 2),
        (1, 0, 0, 3, 2),
        (0, 0, 1, 2, 2),
        (0, 0, 2, 3, 2),
        (0, 0, 1, 2, 1),
        (0, 0, 0, 1, 1),
    ]
    assert [(v.user_id.int, v.choice, v.request_id) for v in ledger.votes.values()] == [(1, PASS, UUID(int=14))]


def test_a_repeated_request_is_answered_as_it_was_whatever_came_since() -> None:
    """G5: replaced, taken back and cast again, in another transaction or the same."""
    commands: list[Command] = [cast(1, 10, AGREE), cast(1, 11, PASS), cancel(1, 12), cast(1, 13, DISAGREE), cast(2, 20)]
    for split in (False, True):
        ledger = Ledger()
        first = [outcome for c in commands for outcome in ledger.run(c)] if split else ledger.run(*commands)
        before = (dict(ledger.votes), dict(ledger.past))
        for again in (ledger.run(*commands), ledger.run(*commands[::-1])[::-1]):
            for now, then in zip(again, first, strict=True):
                assert isinstance(now, Voted) and now.replayed
                assert counts(now) == counts(then)
        tokens = [o.answer.token for o in ledger.run(*commands) if isinstance(o, Voted)]
        assert tokens == (["1", "2", "3", "4", "5"] if split else ["1"] * 5)
        assert (ledger.votes, ledger.past) == before


def test_a_request_id_for_another_choice_is_refused() -> None:
    """G5: whether the vote of the request stands, was replaced, or was a taking back."""
    ledger = Ledger()
    ledger.run(cast(1, 10, AGREE), cast(1, 11, PASS), cancel(1, 12), cast(1, 13, AGREE))
    wrong: list[Command] = [
        cast(1, 10, PASS),
        cast(1, 11, AGREE),
        cast(1, 12, AGREE),
        cast(1, 13, PASS),
        cancel(1, 10),
        cancel(1, 13),
    ]
    for outcomes in (ledger.run(*wrong), Ledger().run(cast(1, 10, AGREE), cast(1, 10, PASS), cancel(1, 10))[1:]):
        assert {type(outcome) for outcome in outcomes} == {RequestIdReused}
    # Bound to opinion and voter, the same id means something else elsewhere.
    outcomes = ledger.run(cast(2, 10, PASS), cast(1, 10, PASS, SECOND), cast(1, 10, PASS, ELSEWHERE))
    assert all(isinstance(outcome, Voted) and not outcome.replayed for outcome in outcomes)


def test_a_locked_conversation_takes_nothing_but_repeats() -> None:
    ledger = Ledger()
    first: list[Command] = [cast(1, 10), cancel(1, 11), cast(2, 20), create(1, 5, 50)]
    ledger.run(*first)
    ledger.lock()
    news: list[Command] = [cast(3, 30), cancel(2, 21), author_vote(), create(2, 5, 51)]
    outcomes = ledger.run(*first, *news, cast(3, 31, opinion=ELSEWHERE))
    assert all(isinstance(o, Voted | Created) and o.replayed for o in outcomes[:4])
    assert [type(o) for o in outcomes[4:]] == [*[ConversationLocked] * 4, Voted]
    assert FIRST in ledger.due, "the author's vote waits for the unlock"


@pytest.mark.parametrize("state", [OpinionState.MOVED, OpinionState.HIDDEN])
def test_a_moderated_opinion_takes_no_votes_but_gives_them_back(state: OpinionState) -> None:
    ledger = Ledger()
    ledger.set_state(FIRST, state)
    # The author's own vote, which is due, is among those that can be taken back.
    outcomes = ledger.run(
        cast(1, 10), cancel(1, 11), author_vote(), cast(AUTHOR, 20), cancel(AUTHOR, 21), author_vote()
    )
    refused = [OpinionModerated, VoteNotFound, OpinionModerated, OpinionModerated]
    assert [type(o) for o in outcomes] == [*refused, Voted, OpinionModerated]
    assert counts(outcomes[4]) == (0, 0, 0, 0, 0)
    assert (ledger.due, ledger.votes) == ({SECOND, ELSEWHERE}, {})
    ledger = Ledger()
    ledger.run(cast(1, 10), cast(2, 20), cast(1, 11, PASS, SECOND))
    ledger.set_state(FIRST, state)
    outcomes = ledger.run(cancel(1, 12), cancel(2, 21), cancel(1, 13, SECOND))
    assert [counts(o) for o in outcomes] == [(1, 0, 0, 2, 2), (0, 0, 0, 1, 1), (0, 0, 0, 0, 0)]


def test_what_is_not_there_refuses_its_own_commands_only() -> None:
    ledger = Ledger()
    ledger.set_state(SECOND, OpinionState.DELETED)
    missing: list[Command] = [cast(1, 10, conversation=MISSING), cancel(1, 11, conversation=MISSING)]
    missing += [create(1, 1, 12, conversation=MISSING), replace(author_vote(), conversation_id=MISSING)]
    assert {type(o) for o in ledger.run(*missing)} == {ConversationNotFound}
    elsewhere: list[Command] = [cast(1, 20, opinion=NOWHERE), cancel(1, 21, opinion=NOWHERE)]
    elsewhere += [cast(1, 22, opinion=SECOND), cancel(1, 23, opinion=SECOND), author_vote(SECOND)]
    elsewhere += [cast(1, 24, opinion=FIRST, conversation=OTHER), cancel(1, 25, opinion=FIRST, conversation=OTHER)]
    outcomes = ledger.run(*elsewhere, cancel(1, 26), cast(1, 26))
    assert [type(o) for o in outcomes] == [*[OpinionNotFound] * 7, VoteNotFound, Voted]


def test_an_authors_vote_that_is_due_comes_before_what_the_author_does_himself() -> None:
    """So taking it back, or changing it, means the same whether the vote had been cast yet or not."""
    for early in (False, True):
        ledger = Ledger()
        if early:
            ledger.run(author_vote())
        outcomes = ledger.run(cast(1, 10, PASS), cancel(AUTHOR, 20), cancel(AUTHOR, 21), author_vote())
        assert [type(o) for o in outcomes] == [Voted, Voted, VoteNotFound, Voted]
        assert counts(outcomes[1]) == counts(outcomes[3]) == (0, 0, 1, 1, 1)
        assert counts(ledger.run(cast(AUTHOR, 22, DISAGREE))[0]) == (0, 1, 1, 2, 2)
        assert counts(ledger.run(author_vote())[0]) == (0, 1, 1, 2, 2), "it is cast once"


def test_somebody_elses_vote_leaves_the_authors_due() -> None:
    ledger = Ledger()
    assert counts(ledger.run(cast(1, 10, PASS))[0]) == (0, 0, 1, 1, 1)
    assert ledger.due == set(AUTHORS)
    assert [counts(o) for o in ledger.run(author_vote(), author_vote())] == [(1, 0, 1, 2, 2)] * 2
    assert ledger.due == {SECOND, ELSEWHERE}


def test_an_opinion_is_added_once_a_request() -> None:
    """G5."""
    ledger = Ledger()
    both = ledger.run(create(1, 5, 50), create(2, 5, 50))
    (later,) = ledger.run(create(3, 5, 50))
    added = [o for o in (*both, later) if isinstance(o, Created)]
    assert {o.opinion.opinion_id for o in added} == {UUID(int=1001)}
    assert [(o.opinion, o.replayed) for o in added] == [(added[0].opinion, n > 0) for n in range(3)]
    outcomes = ledger.run(create(4, 6, 50), create(5, 5, 50, body="No."), create(6, 5, 50, conversation=OTHER))
    assert [type(o) for o in outcomes] == [RequestIdReused, RequestIdReused, Created]
    # Its text is gone once it was deleted, so that can no longer be compared.
    first = ledger.created[CONVERSATION, UUID(int=50)]
    first.opinion = replace(first.opinion, body="", state=OpinionState.DELETED)
    assert [type(o) for o in ledger.run(create(7, 5, 50, body="No."), create(8, 6, 50))] == [Created, RequestIdReused]


def test_a_decision_names_only_what_changed() -> None:
    ledger = Ledger()
    ledger.run(cast(1, 10))
    refused: list[Command] = [
        cast(1, 10),
        cancel(2, 20),
        cast(1, 11, opinion=NOWHERE),
        cast(1, 12, conversation=MISSING),
    ]
    assert replace(rules.decide(ledger.rows, ledger.seen(refused), refused), outcomes=[]) == rules.Decision()
    there_and_back: list[Command] = [cast(3, 30), cancel(3, 31)]
    decision = rules.decide(ledger.rows, ledger.seen(there_and_back), there_and_back)
    assert not (decision.inserted or decision.updated or decision.deleted or decision.polls or decision.participants)
    assert (len(decision.past), decision.changed) == (2, {CONVERSATION})
