"""The lane in which everything that votes meets, driven without a server so that the order of arrival is the test's."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.database import Committed
from libs.data.deadlines import current_deadline
from libs.data.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from services.voting.errors import VoteNotFound
from services.voting.model import CancelVote, CastVote, Choice
from tests.data.rows import waiting_for_locks
from tests.servers import refusal, refused
from tests.services.voting.conftest import all_counts_hold
from tests.services.voting.conversations import a_vote, an_opinion, voting_service
from tests.services.voting.lane import a_lane, held, superuser
from tests.stored import Connection

AGREE, DISAGREE, PASS = Choice.AGREE, Choice.DISAGREE, Choice.PASS


async def test_votes_of_one_person_share_a_transaction_and_are_decided_in_order(
    database_url: str, db: Connection
) -> None:
    """G2, G5: a vote that was cast and taken back in one transaction never stands, but keeps its answer."""
    async with a_lane(database_url) as lane:
        user, other = uuid4(), uuid4()
        there, back = lane.cast(PASS, other), lane.cancel(other)
        commands: list[CastVote | CancelVote] = [
            *(lane.cast(AGREE, user), lane.cast(DISAGREE, user), lane.cancel(user), lane.cancel(user)),
            *(lane.cast(PASS, user), there, back),
        ]
        version = "SELECT version FROM voting.conversations"
        before = await db.fetchval(version)
        outcomes = await lane.each(commands)
        assert [type(o) for o in outcomes if isinstance(o, BaseException)] == [VoteNotFound]
        assert await db.fetchval(version) == before + 1, "the conversation's row changed once"
        standing = await db.fetch("SELECT vote FROM voting.votes WHERE user_id = ANY($1)", [user, other])
        assert [row[0] for row in standing] == [0]
        for command, first in zip(commands[-2:], outcomes[-2:], strict=True):
            again = (await lane.casting.vote(command)).value
            assert again.replayed and isinstance(first, Committed)
            assert (again.answer.opinion, again.answer.conversation) == (
                *(first.value.answer.opinion, first.value.answer.conversation),
            )
            assert again.answer.token == first.token
        assert len({o.token for o in outcomes if not isinstance(o, BaseException)}) == 1


@pytest.mark.parametrize("same_request", [False, True])
@pytest.mark.parametrize("voted_before", [False, True], ids=["first_vote", "voted_before"])
async def test_a_vote_that_another_service_stored_while_this_one_waited_for_the_conversation_is_seen(
    database_url: str, db: Connection, same_request: bool, voted_before: bool
) -> None:
    """G2, G5: the other one held the row when this one began to look; where the same vote stood, no count tells it."""
    async with a_lane(database_url) as lane, a_lane(database_url) as other, superuser(database_url) as watcher:
        other.conversation_id, other.opinion_id = lane.conversation_id, lane.opinion_id
        user, request_id = uuid4(), uuid4()
        if voted_before:
            await lane.casting.vote(lane.cast(DISAGREE, user))
        async with held(db, lane.conversation_id):
            theirs = asyncio.create_task(other.casting.vote(other.cast(DISAGREE, user, request_id)))
            await waiting_for_locks(watcher, 1)
            ours = asyncio.create_task(
                lane.casting.vote(lane.cast(DISAGREE, user, request_id if same_request else None))
            )
            await waiting_for_locks(watcher, 2)
        first, second = (await theirs).value, (await ours).value
        assert (first.replayed, second.replayed) == (False, same_request)
        assert second.answer.opinion == first.answer.opinion
        assert await db.fetchval("SELECT count(*) FROM voting.past_votes") == voted_before + (not same_request)


async def test_a_full_queue_refuses_with_a_time_to_come_back_and_takes_nothing_on(
    database_url: str, db: Connection
) -> None:
    async with a_lane(database_url, voting_max_queue=5) as lane:
        async with held(db, lane.conversation_id):
            outcomes = lane.each([lane.cast() for _ in range(20)])
            await asyncio.sleep(0)
        too_many = [outcome for outcome in await outcomes if isinstance(outcome, BaseException)]
        assert {type(outcome) for outcome in too_many} == {ResourceExhausted}
        assert (await db.fetchval("SELECT count(*) FROM voting.votes") - 1, len(too_many)) == (5, 15)


async def test_a_call_that_finds_the_queue_full_is_told_when_to_come_back(database_url: str, db: Connection) -> None:
    """CastVote, CreateOpinion and a batch that does not fit."""
    async with voting_service(database_url, voting_max_queue=1) as voting, superuser(database_url) as watcher:
        opinion = await voting.an_opinion()
        batch = messages.BatchCastVotesRequest(requests=[a_vote(opinion), a_vote(opinion)])
        answers = [await refused(voting.stub.BatchCastVotes(batch))]
        async with held(db, UUID(opinion.conversation_id)):
            in_flight = asyncio.ensure_future(voting.vote(opinion))
            await waiting_for_locks(watcher, 1)
            # One of these two waits, whichever comes first; everything else is refused.
            two = [asyncio.ensure_future(voting.vote(opinion)) for _ in range(2)]
            done, _ = await asyncio.wait(two, return_when=asyncio.FIRST_COMPLETED)
            answers += [await refused(call) for call in done]
            answers.append(await refused(voting.stub.CreateOpinion(an_opinion(opinion.conversation_id))))
        assert {answer.said for answer in answers} == {("RESOURCE_EXHAUSTED", "QUEUE_FULL")}
        assert all(answer.retry_after for answer in answers)
        (waited,) = set(two) - done
        assert [(await call).conversation_counts.vote_count for call in (in_flight, waited)] == [2, 3]
    await all_counts_hold(database_url)


async def test_what_gets_no_turn_before_its_deadline_or_after_draining_stores_nothing(
    database_url: str, db: Connection
) -> None:
    async with a_lane(database_url) as lane:
        async with held(db, lane.conversation_id):
            first = asyncio.ensure_future(lane.casting.vote(lane.cast()))
            await asyncio.sleep(0)
            reset = current_deadline.set(time.monotonic())
            late = lane.each([lane.cast(), lane.cast()])
            opinion = asyncio.ensure_future(lane.casting.create_opinion(lane.create()))
            current_deadline.reset(reset)
            in_time = asyncio.ensure_future(lane.casting.vote(lane.cast()))
            await asyncio.sleep(0)
        assert [type(outcome) for outcome in await late] == [DeadlineExceeded] * 2
        with pytest.raises(DeadlineExceeded):
            await opinion
        assert [(await call).value.answer.opinion.agrees for call in (first, in_time)] == [2, 3]
        await lane.casting.drain()
        for refused_ in (lane.casting.vote(lane.cast()), lane.casting.create_opinion(lane.create())):
            with pytest.raises(Unavailable) as caught:
                await refused_
            assert caught.value.reason == "SHUTTING_DOWN"
        counts = await db.fetchrow("SELECT opinion_count, vote_count FROM voting.conversations")
        assert counts is not None and tuple(counts) == (1, 3)


async def test_a_full_queue_refuses_single_votes_of_a_stream_which_goes_on(database_url: str, db: Connection) -> None:
    async with a_lane(database_url, voting_max_queue=3, voting_stream_window=50) as lane:
        async with held(db, lane.conversation_id):
            stream = lane.casting.cast_stream(lane.requests(50))
            first = asyncio.ensure_future(anext(stream))
            for _ in range(1000):
                await asyncio.sleep(0)
        results = [await first, *[result async for result in stream]]
        too_many = [refusal(result.error) for result in results if result.HasField("error")]
        assert {answer.said for answer in too_many} == {("RESOURCE_EXHAUSTED", "QUEUE_FULL")}
        assert all(answer.retry_after for answer in too_many)
        assert 0 < await db.fetchval("SELECT count(*) FROM voting.votes") - 1 == 50 - len(too_many) < 50


async def test_a_stream_takes_no_more_than_its_window_while_nothing_commits(database_url: str, db: Connection) -> None:
    taken = 0

    async def counted(requests: AsyncIterator[messages.CastVoteRequest]) -> AsyncIterator[messages.CastVoteRequest]:
        nonlocal taken
        async for request in requests:
            taken += 1
            yield request

    async with a_lane(database_url, voting_stream_window=8) as lane:
        async with held(db, lane.conversation_id):
            results = lane.casting.cast_stream(counted(lane.requests(60)))
            first = asyncio.ensure_future(anext(results))
            for _ in range(1000):
                await asyncio.sleep(0)
            assert (taken, first.done()) == (8, False)
        agrees = [(await first).vote.opinion_counts.agrees, *[r.vote.opinion_counts.agrees async for r in results]]
        assert agrees == list(range(2, 62))
