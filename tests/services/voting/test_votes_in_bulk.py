"""BatchCastVotes and StreamVotes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refusal, refused
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

CHOICES = (AGREE, DISAGREE, PASS)


def outcome(result: messages.CastVoteResult) -> str:
    return "cast" if result.HasField("vote") else refusal(result.error).reason


async def a_mixed_load(voting: Conversations) -> tuple[list[messages.CastVoteRequest], list[str]]:
    """Good and bad votes on one opinion and others, and what is to become of each."""
    opinion, hidden, locked, deleted = [await voting.an_opinion() for _ in range(4)]
    await voting.moderate(hidden, messages.MODERATION_ACTION_HIDE)
    await voting.lock(locked.conversation_id)
    await voting.delete(deleted)
    voter = new_uuid()
    nowhere = resources.Opinion(conversation_id=new_uuid(), opinion_id=opinion.opinion_id)
    swapped = resources.Opinion(conversation_id=hidden.conversation_id, opinion_id=opinion.opinion_id)
    pairs = [
        (a_vote(opinion, AGREE, voter), "cast"),
        (a_vote(nowhere), "CONVERSATION_NOT_FOUND"),
        (a_vote(opinion, resources.VOTE_UNSPECIFIED), "INVALID_FIELDS"),
        (a_vote(opinion, PASS, voter), "cast"),
        (a_vote(locked), "CONVERSATION_LOCKED"),
        (a_vote(swapped), "OPINION_NOT_FOUND"),
        (a_vote(deleted), "OPINION_NOT_FOUND"),
        (a_vote(hidden), "OPINION_MODERATED"),
        (messages.CastVoteRequest(), "INVALID_FIELDS"),
        (a_vote(opinion, user_id="x"), "INVALID_FIELDS"),
        (a_vote(opinion, DISAGREE), "cast"),
    ]
    return [request for request, _ in pairs], [expected for _, expected in pairs]


async def test_each_item_of_a_batch_and_of_a_stream_has_its_own_result_in_order(voting: Conversations) -> None:
    """G2, G9: a bad one fails alone."""
    requests, expected = await a_mixed_load(voting)
    batch = (await voting.stub.BatchCastVotes(messages.BatchCastVotesRequest(requests=requests))).results
    assert [outcome(result) for result in batch] == expected
    cast = [result.vote for result in batch if result.HasField("vote")]
    assert [three(v.opinion_counts) for v in cast] == [(2, 0, 0), (1, 0, 1), (1, 1, 1)]
    assert [totals(v.conversation_counts) for v in cast] == [(1, 2, 2), (1, 2, 2), (1, 3, 3)]
    assert len({v.commit_token for v in cast}) == 1
    requests, expected = await a_mixed_load(voting)
    streamed = await voting.stream(requests)
    assert [outcome(result) for result in streamed] == expected
    counts = [three(result.vote.opinion_counts) for result in streamed if result.HasField("vote")]
    assert counts == [(2, 0, 0), (1, 0, 1), (1, 1, 1)]


async def test_an_item_with_bad_fields_names_them_with_its_place(voting: Conversations, db: Connection) -> None:
    """G9."""
    before = await everything(db)
    bad = messages.CastVoteRequest(
        conversation_id="x", opinion_id=new_uuid(), user_id=new_uuid(), request_id=new_uuid()
    )
    answer = await voting.stub.BatchCastVotes(messages.BatchCastVotesRequest(requests=[bad, bad]))
    fields = [refusal(result.error).fields for result in answer.results]
    assert fields == [[f"requests[{n}].conversation_id", f"requests[{n}].vote"] for n in range(2)]
    call = voting.stub.StreamVotes(iter([messages.StreamVotesRequest(request=bad), messages.StreamVotesRequest()]))
    named = [refusal(message.result.error).fields async for message in call]
    assert named[0] == ["request.conversation_id", "request.vote"]
    needed = ("conversation_id", "opinion_id", "request_id", "user_id", "vote")
    assert sorted(named[1]) == [f"request.{field}" for field in needed]
    assert await everything(db) == before
    assert await voting.stream([]) == []


async def test_a_batch_may_hold_1000_votes_and_no_more(voting: Conversations, db: Connection) -> None:
    """G2, G9; repeated, it answers every item again (G5)."""
    opinion = await voting.an_opinion()
    requests = [a_vote(opinion, CHOICES[n % 3]) for n in range(1001)]
    before = await everything(db)
    for wrong in ([], requests):
        answer = await refused(voting.stub.BatchCastVotes(messages.BatchCastVotesRequest(requests=wrong)))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ["requests"])
    assert await everything(db) == before
    batch = messages.BatchCastVotesRequest(requests=requests[:1000])
    first = await voting.stub.BatchCastVotes(batch)
    assert [totals(result.vote.conversation_counts) for result in first.results] == [(1, n, n) for n in range(2, 1002)]
    assert three((await voting.get_opinion(opinion)).counts) == (335, 333, 333)
    before = await everything(db)
    again = await voting.stub.BatchCastVotes(batch)
    assert all(result.vote.replayed for result in again.results)
    for result in again.results:
        result.vote.replayed = False
    assert again == first
    assert await everything(db) == before


async def test_batches_over_many_conversations_at_once_count_each_exactly(voting: Conversations) -> None:
    """G2: they lock the same conversations in different orders of arrival; none waits for another in a circle."""
    opinions = [await voting.an_opinion() for _ in range(8)]
    batches = [
        messages.BatchCastVotesRequest(requests=[a_vote(opinions[(n + k) % 8], CHOICES[k % 3]) for k in range(48)])
        for n in range(10)
    ]
    answers = await asyncio.gather(*(voting.stub.BatchCastVotes(batch) for batch in batches))
    assert {outcome(result) for answer in answers for result in answer.results} == {"cast"}
    for opinion in opinions:
        assert totals((await voting.get(opinion.conversation_id)).counts) == (1, 61, 61)


async def test_two_streams_on_one_conversation_are_counted_exactly(voting: Conversations) -> None:
    """G2: the answers of a stream come in the order of its requests."""
    conversation_id = (await voting.create()).conversation_id
    opinions = [await voting.add_opinion(conversation_id) for _ in range(2)]
    people = [new_uuid() for _ in range(300)]
    results = await asyncio.gather(
        *(voting.stream([a_vote(opinion, DISAGREE, person) for person in people]) for opinion in opinions)
    )
    for stream in results:
        assert [result.vote.opinion_counts.disagrees for result in stream] == list(range(1, 301))
    read = await voting.get(conversation_id)
    assert totals(read.counts) == totals(read.visible_counts) == (2, 602, 302)


@pytest.mark.parametrize("read_first", [0, 50])
async def test_what_a_cancelled_stream_was_answered_stays_stored_g1(
    voting: Conversations, db: Connection, read_first: int
) -> None:
    """G1: the caller may go at any moment; what it was told is true, and counts and rows are equal."""
    opinion = await voting.an_opinion()
    sent = [a_vote(opinion, PASS) for _ in range(400)]

    async def requests() -> AsyncIterator[messages.StreamVotesRequest]:
        for request in sent:
            yield messages.StreamVotesRequest(request=request)
        await asyncio.Event().wait()

    call = voting.stub.StreamVotes(requests())
    for n in range(read_first):
        message = await call.read()
        assert isinstance(message, messages.StreamVotesResponse)
        assert message.result.vote.opinion_counts.passes == n + 1
    call.cancel()
    await voting.vote(opinion)  # behind everything the stream left in the lane
    stored = {str(row[0]) for row in await db.fetch("SELECT user_id FROM voting.votes WHERE vote = 0")}
    assert stored >= {request.user_id for request in sent[:read_first]}
