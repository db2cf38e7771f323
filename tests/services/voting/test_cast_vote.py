"""CastVote."""

import asyncio
from datetime import UTC, datetime, timedelta

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refused
from tests.services.voting.conversations import (
    AGREE,
    DISAGREE,
    PASS,
    Conversations,
    a_vote,
    new_uuid,
    three,
    totals,
)
from tests.stored import Connection, everything


def answered(answer: messages.CastVoteResponse) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Agrees, disagrees and passes of the opinion; opinions, votes and participants of the conversation."""
    return three(answer.opinion_counts), totals(answer.conversation_counts)


async def test_a_vote_is_answered_with_the_counts_just_after_it(voting: Conversations, db: Connection) -> None:
    """G1, G2: rows and counters are there when the answer is; the author's own vote was the first."""
    opinion, other = await voting.an_opinion(), await voting.an_opinion()
    expected = [((2, 0, 0), (1, 2, 2)), ((2, 1, 0), (1, 3, 3)), ((2, 1, 1), (1, 4, 4))]
    for place, (vote, counts) in enumerate(zip((AGREE, DISAGREE, PASS), expected, strict=True), start=2):
        answer = await voting.vote(opinion, vote)
        assert answered(answer) == counts
        assert answer.commit_token and not answer.replayed
        assert await db.fetchval("SELECT count(*) FROM voting.votes WHERE opinion_id = $1", opinion.opinion_id) == place
        assert (
            three((await voting.get_opinion(opinion)).counts),
            totals((await voting.get(opinion.conversation_id)).counts),
        ) == counts
    assert totals((await voting.get(other.conversation_id)).counts) == (1, 1, 1), (
        "another conversation counts by itself"
    )


async def test_a_changed_vote_moves_from_one_count_to_the_other(voting: Conversations, db: Connection) -> None:
    """G2: there is one vote a person and opinion, with the time it was changed."""
    opinion, voter = await voting.an_opinion(), new_uuid()
    counts = [answered(await voting.vote(opinion, vote, voter))[0] for vote in (AGREE, DISAGREE, DISAGREE, PASS, AGREE)]
    assert counts == [(2, 0, 0), (1, 1, 0), (1, 1, 0), (1, 0, 1), (2, 0, 0)]
    assert answered(await voting.vote(opinion, PASS, voter.upper())) == ((1, 0, 1), (1, 2, 2))
    (vote,) = await db.fetch("SELECT vote, vote_time FROM voting.votes WHERE user_id = $1", voter)
    assert vote["vote"] == 0
    assert abs(vote["vote_time"] - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_participant_is_counted_once_however_many_votes(voting: Conversations) -> None:
    """G2."""
    conversation_id, voter = (await voting.create()).conversation_id, new_uuid()
    for n in range(1, 4):
        opinion = await voting.add_opinion(conversation_id, author_id=voter)
        assert answered(await voting.vote(opinion, DISAGREE, voter)) == ((0, 1, 0), (n, n, 1))


async def test_a_vote_is_refused_where_it_cannot_count(voting: Conversations, db: Connection) -> None:
    """Unknown, of another conversation, deleted, moderated, locked: nothing is stored."""
    opinion, moved, hidden, deleted, locked, other = [await voting.an_opinion() for _ in range(6)]
    await voting.moderate(moved, messages.MODERATION_ACTION_MOVE)
    await voting.moderate(hidden, messages.MODERATION_ACTION_HIDE)
    await voting.delete(deleted)
    await voting.lock(locked.conversation_id)
    before = await everything(db)
    for conversation_id, opinion_id, code, reason in (
        (new_uuid(), opinion.opinion_id, "NOT_FOUND", "CONVERSATION_NOT_FOUND"),
        (opinion.conversation_id, new_uuid(), "NOT_FOUND", "OPINION_NOT_FOUND"),
        (opinion.conversation_id, other.opinion_id, "NOT_FOUND", "OPINION_NOT_FOUND"),
        (deleted.conversation_id, deleted.opinion_id, "NOT_FOUND", "OPINION_NOT_FOUND"),
        (moved.conversation_id, moved.opinion_id, "FAILED_PRECONDITION", "OPINION_MODERATED"),
        (hidden.conversation_id, hidden.opinion_id, "FAILED_PRECONDITION", "OPINION_MODERATED"),
        (locked.conversation_id, locked.opinion_id, "FAILED_PRECONDITION", "CONVERSATION_LOCKED"),
    ):
        named = resources.Opinion(conversation_id=conversation_id, opinion_id=opinion_id)
        assert (await refused(voting.vote(named))).said == (code, reason)
    assert await everything(db) == before


async def test_repeating_a_vote_answers_the_first_answer_g5(voting: Conversations, db: Connection) -> None:
    """G5: with the counts and the commit of then, after it was changed and taken back, and when no vote would be taken."""
    opinion, voter = await voting.an_opinion(), new_uuid()
    requests = [a_vote(opinion, vote, voter) for vote in (AGREE, PASS, DISAGREE)]
    answers = [await voting.stub.CastVote(request) for request in requests[:2]]
    await voting.cancel(opinion, voter)
    answers.append(await voting.stub.CastVote(requests[2]))
    await voting.voted_by(opinion, 3)
    await voting.moderate(opinion, messages.MODERATION_ACTION_HIDE)
    await voting.lock(opinion.conversation_id)
    before = await everything(db)
    for request, first in zip(requests, answers, strict=True):
        again = await voting.stub.CastVote(request)
        assert again.replayed
        again.replayed = False
        assert again == first
    assert len({answer.commit_token for answer in answers}) == 3
    assert await everything(db) == before


async def test_a_request_id_says_one_thing_of_an_opinion_and_voter(voting: Conversations, db: Connection) -> None:
    """G5: it is refused for another choice, and free for other opinions and voters."""
    opinion, other, voter = await voting.an_opinion(), await voting.an_opinion(), new_uuid()
    request = a_vote(opinion, AGREE, voter)
    await voting.stub.CastVote(request)
    before = await everything(db)
    for misuse in (
        voting.stub.CastVote(a_vote(opinion, PASS, voter, request.request_id)),
        voting.cancel(opinion, voter, request.request_id),
    ):
        answer = await refused(misuse)
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before
    for fresh in (a_vote(other, PASS, voter, request.request_id), a_vote(opinion, PASS, "", request.request_id)):
        assert not (await voting.stub.CastVote(fresh)).replayed


async def test_a_request_that_was_refused_may_be_sent_again(voting: Conversations) -> None:
    """G5: a refusal is no answer to keep."""
    opinion = await voting.an_opinion()
    request = a_vote(opinion)
    await voting.lock(opinion.conversation_id)
    await refused(voting.stub.CastVote(request))
    await voting.unlock(opinion.conversation_id)
    assert answered(await voting.stub.CastVote(request)) == ((2, 0, 0), (1, 2, 2))


async def test_one_vote_sent_many_times_at_once_is_one_vote_g5(voting: Conversations) -> None:
    """G5: unary, in a batch and on a stream."""
    opinion = await voting.an_opinion()
    request = a_vote(opinion, PASS)
    unary = [voting.stub.CastVote(request) for _ in range(20)]
    batch = voting.stub.BatchCastVotes(messages.BatchCastVotesRequest(requests=[request] * 20))
    streamed = voting.stream([request] * 20)
    answers = [
        *await asyncio.gather(*unary),
        *(result.vote for result in (await batch).results),
        *(result.vote for result in await streamed),
    ]
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 59]
    assert {(answered(answer), answer.commit_token) for answer in answers} == {
        (((1, 0, 1), (1, 2, 2)), answers[0].commit_token)
    }


async def test_of_many_votes_of_one_user_at_once_the_last_to_commit_stands(
    voting: Conversations, db: Connection
) -> None:
    """G2: whatever the order, there is one, and it is the one answered last."""
    opinion, voter = await voting.an_opinion(), new_uuid()
    votes = [AGREE, DISAGREE, PASS] * 10
    answers = await asyncio.gather(*(voting.vote(opinion, vote, voter) for vote in votes))
    assert {totals(answer.conversation_counts) for answer in answers} == {(1, 2, 2)}
    for answer, vote in zip(answers, votes, strict=True):
        assert three(answer.opinion_counts) == {AGREE: (2, 0, 0), DISAGREE: (1, 1, 0), PASS: (1, 0, 1)}[vote]
    assert await db.fetchval("SELECT count(*) FROM voting.votes WHERE user_id = $1", voter) == 1
    assert await db.fetchval("SELECT count(*) FROM voting.past_votes WHERE user_id = $1", voter) == 29
