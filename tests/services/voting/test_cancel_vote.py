"""CancelVote."""

import asyncio

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refused
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, Conversations, a_vote, new_uuid, three, totals
from tests.stored import Connection, everything


async def test_a_vote_taken_back_no_longer_counts(voting: Conversations, db: Connection) -> None:
    """G1, G2: with it goes the participant whose last vote it was."""
    conversation_id, voter = (await voting.create()).conversation_id, new_uuid()
    first, second = [await voting.add_opinion(conversation_id) for _ in range(2)]
    for opinion, vote in ((first, DISAGREE), (second, PASS)):
        await voting.vote(opinion, vote, voter)
    answer = await voting.cancel(first, voter)
    assert (three(answer.opinion_counts), totals(answer.conversation_counts)) == ((1, 0, 0), (2, 3, 3))
    assert answer.commit_token and not answer.replayed
    answer = await voting.cancel(second, voter.upper())
    assert (three(answer.opinion_counts), totals(answer.conversation_counts)) == ((1, 0, 0), (2, 2, 2))
    read = await voting.get(conversation_id)
    assert totals(read.counts) == totals(read.visible_counts) == (2, 2, 2)
    assert await db.fetchval("SELECT count(*) FROM voting.votes WHERE user_id = $1", voter) == 0
    again = await voting.vote(first, AGREE, voter)
    assert (three(again.opinion_counts), totals(again.conversation_counts)) == ((2, 0, 0), (2, 3, 3))


async def test_an_author_takes_back_the_vote_that_came_with_the_opinion(voting: Conversations) -> None:
    opinion = await voting.an_opinion()
    answer = await voting.cancel(opinion, opinion.author_id)
    assert (three(answer.opinion_counts), totals(answer.conversation_counts)) == ((0, 0, 0), (1, 0, 0))


async def test_a_vote_on_a_moderated_opinion_can_be_taken_back(voting: Conversations) -> None:
    """G2: it counts where moderated opinions do."""
    opinion = await voting.an_opinion()
    (voter,) = await voting.voted_by(opinion, 1)
    await voting.moderate(opinion, messages.MODERATION_ACTION_MOVE)
    answer = await voting.cancel(opinion, voter)
    assert (three(answer.opinion_counts), totals(answer.conversation_counts)) == ((1, 0, 0), (1, 1, 1))
    assert totals((await voting.get(opinion.conversation_id)).visible_counts) == (0, 0, 0)


async def test_what_is_not_there_cannot_be_taken_back(voting: Conversations, db: Connection) -> None:
    opinion, deleted, locked, other = [await voting.an_opinion() for _ in range(4)]
    (voter,) = await voting.voted_by(opinion, 1)
    await voting.cancel(opinion, voter)
    await voting.delete(deleted)
    await voting.lock(locked.conversation_id)
    before = await everything(db)
    for conversation_id, opinion_id, user, code, reason in (
        (new_uuid(), opinion.opinion_id, voter, "NOT_FOUND", "CONVERSATION_NOT_FOUND"),
        (opinion.conversation_id, new_uuid(), voter, "NOT_FOUND", "OPINION_NOT_FOUND"),
        (opinion.conversation_id, other.opinion_id, other.author_id, "NOT_FOUND", "OPINION_NOT_FOUND"),
        (deleted.conversation_id, deleted.opinion_id, deleted.author_id, "NOT_FOUND", "OPINION_NOT_FOUND"),
        (opinion.conversation_id, opinion.opinion_id, voter, "NOT_FOUND", "VOTE_NOT_FOUND"),
        (opinion.conversation_id, opinion.opinion_id, new_uuid(), "NOT_FOUND", "VOTE_NOT_FOUND"),
        (locked.conversation_id, locked.opinion_id, locked.author_id, "FAILED_PRECONDITION", "CONVERSATION_LOCKED"),
    ):
        named = resources.Opinion(conversation_id=conversation_id, opinion_id=opinion_id)
        assert (await refused(voting.cancel(named, user))).said == (code, reason)
    assert await everything(db) == before


async def test_repeating_a_cancellation_answers_the_first_and_leaves_a_later_vote_alone_g5(
    voting: Conversations, db: Connection
) -> None:
    """G5: at the same moment, after voting again, and after the lock."""
    opinion = await voting.an_opinion()
    (voter,) = await voting.voted_by(opinion, 1)
    request_id = new_uuid()
    answers = await asyncio.gather(*(voting.cancel(opinion, voter, request_id) for _ in range(20)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 19]
    await voting.vote(opinion, PASS, voter)
    await voting.lock(opinion.conversation_id)
    before = await everything(db)
    answers.append(await voting.cancel(opinion, voter, request_id))
    assert {(three(a.opinion_counts), totals(a.conversation_counts), a.commit_token) for a in answers} == {
        ((1, 0, 0), (1, 1, 1), answers[0].commit_token)
    }
    answer = await refused(voting.stub.CastVote(a_vote(opinion, AGREE, voter, request_id)))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before
    assert totals((await voting.get(opinion.conversation_id)).counts) == (1, 2, 2)
