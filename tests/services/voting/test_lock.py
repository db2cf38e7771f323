"""LockConversation and UnlockConversation."""

import asyncio

import grpc.aio
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refusal, refusal_of, refused
from tests.services.voting.conversations import AGREE, Conversations, a_vote, an_opinion, new_uuid, totals
from tests.stored import Connection, event_kinds, everything

LOCKED = ("FAILED_PRECONDITION", "CONVERSATION_LOCKED")


def a_locking(conversation_id: str) -> messages.LockConversationRequest:
    return messages.LockConversationRequest(
        conversation_id=conversation_id, moderator_id=new_uuid(), reason="over", request_id=new_uuid()
    )


def an_unlocking(conversation_id: str) -> messages.UnlockConversationRequest:
    return messages.UnlockConversationRequest(
        conversation_id=conversation_id, moderator_id=new_uuid(), reason="not over", request_id=new_uuid()
    )


async def test_a_locked_conversation_stands_still_until_it_is_unlocked(voting: Conversations, db: Connection) -> None:
    """G1, G2: opinions and votes, taken back or in bulk, are refused; it says who locked it, when and why."""
    opinion = await voting.an_opinion()
    conversation_id = opinion.conversation_id
    (voter,) = await voting.voted_by(opinion, 1)
    locking, unlocking = a_locking(conversation_id), an_unlocking(conversation_id)
    answer = await voting.stub.LockConversation(locking)
    locked = answer.conversation
    assert (locked.state, totals(locked.counts)) == (resources.CONVERSATION_STATE_LOCKED, (1, 2, 2))
    assert locked.HasField("locked_time") and answer.commit_token and not answer.replayed
    assert await voting.get(conversation_id) == locked
    before = await everything(db)
    vote = a_vote(opinion)
    for call in (voting.stub.CastVote(vote), voting.cancel(opinion, voter), voting.add_opinion(conversation_id)):
        assert (await refused(call)).said == LOCKED
    batch = await voting.stub.BatchCastVotes(messages.BatchCastVotesRequest(requests=[vote]))
    for result in (*batch.results, *await voting.stream([vote])):
        assert refusal(result.error).said == LOCKED
    assert await everything(db) == before
    opened = await voting.stub.UnlockConversation(unlocking)
    assert (opened.conversation.state, opened.replayed) == (resources.CONVERSATION_STATE_OPEN, False)
    assert opened.commit_token and not opened.conversation.HasField("locked_time")
    assert await voting.get(conversation_id) == opened.conversation
    assert not (await voting.stub.CastVote(vote)).replayed
    rows = await db.fetch(
        "SELECT moderation_action, moderator_id::text, reason FROM voting.moderation ORDER BY created_time"
    )
    assert [tuple(row) for row in rows] == [
        ("lock", locking.moderator_id, "over"),
        ("unlock", unlocking.moderator_id, "not over"),
    ]
    kinds = [kind for kind in await event_kinds(db, conversation_id) if kind != "conversation.counted"]
    assert kinds == ["conversation.created", "conversation.locked", "conversation.unlocked"]


async def test_only_an_open_conversation_is_locked_and_only_a_locked_one_unlocked(
    voting: Conversations, db: Connection
) -> None:
    open_, locked = [(await voting.create()).conversation_id for _ in range(2)]
    await voting.lock(locked)
    before = await everything(db)
    assert (await refused(voting.lock(locked))).said == LOCKED
    assert (await refused(voting.unlock(open_))).said == ("FAILED_PRECONDITION", "CONVERSATION_NOT_LOCKED")
    for call in (voting.lock(new_uuid()), voting.unlock(new_uuid())):
        assert (await refused(call)).said == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
    assert await everything(db) == before


async def test_repeating_a_lock_or_an_unlock_answers_the_first_answer_g5(voting: Conversations, db: Connection) -> None:
    """G5: a lock that is repeated after the unlock locks nothing; and an id says one thing."""
    opinion = await voting.an_opinion()
    conversation_id = opinion.conversation_id
    locking, unlocking = a_locking(conversation_id), an_unlocking(conversation_id)
    locked = await asyncio.gather(*(voting.stub.LockConversation(locking) for _ in range(10)))
    unlocked = await asyncio.gather(*(voting.stub.UnlockConversation(unlocking) for _ in range(10)))
    await voting.vote(opinion)
    before = await everything(db)
    locked.append(await voting.stub.LockConversation(locking))
    unlocked.append(await voting.stub.UnlockConversation(unlocking))
    for answers in (locked, unlocked):
        assert sorted(answer.replayed for answer in answers) == [False, *[True] * 10]
        assert all(answer.conversation == answers[0].conversation for answer in answers)
        assert {answer.commit_token for answer in answers} == {answers[0].commit_token}
    assert locked[0].conversation.state == resources.CONVERSATION_STATE_LOCKED
    assert (await voting.get(conversation_id)).state == resources.CONVERSATION_STATE_OPEN
    locking.reason = "another"
    unlocking.request_id = locking.request_id
    for call in (voting.stub.LockConversation(locking), voting.stub.UnlockConversation(unlocking)):
        answer = await refused(call)
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before


async def test_nothing_commits_in_a_conversation_after_its_lock_has_answered(
    voting: Conversations, db: Connection
) -> None:
    """Votes and opinions are under way as the lock comes; the counts it answers are those that stay."""
    opinion = await voting.an_opinion()
    conversation_id = opinion.conversation_id
    tried, under_way = 0, asyncio.Event()

    async def keep_on() -> tuple[int, tuple[str, str]]:
        """How many votes and opinions were taken until the first refusal, and that."""
        nonlocal tried
        for n in range(10_000):
            tried += 1
            if tried == 100:
                under_way.set()
            try:
                if n % 5 == 4:
                    await voting.stub.CreateOpinion(an_opinion(conversation_id))
                else:
                    await voting.vote(opinion, AGREE)
            except grpc.aio.AioRpcError as error:
                return n, refusal_of(error).said
        raise AssertionError("never refused")

    callers = [asyncio.create_task(keep_on()) for _ in range(8)]
    await under_way.wait()
    answer = await voting.lock(conversation_id)
    stored = await everything(db)
    took = await asyncio.gather(*callers)
    assert {said for _, said in took} == {LOCKED}
    assert await everything(db) == stored
    assert await voting.get(conversation_id) == answer.conversation
    # What was answered is there; an opinion's author's vote may still be due.
    counts, due = answer.conversation.counts, await db.fetchval("SELECT count(*) FROM voting.author_votes_due")
    assert counts.vote_count - 1 == sum(n for n, _ in took) - due
    assert await db.fetchval("SELECT count(*) FROM voting.votes") == counts.vote_count
