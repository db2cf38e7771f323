"""ListNextOpinions: what a person should vote on next."""

from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refused
from tests.services.voting.conversations import AGREE, PASS, Conversations, a_vote, new_uuid


async def next_of(voting: Conversations, conversation_id: str, user_id: str, size: int = 0) -> list[str]:
    """The ids, first things first."""
    request = messages.ListNextOpinionsRequest(conversation_id=conversation_id, user_id=user_id, page_size=size)
    return [opinion.opinion_id for opinion in (await voting.stub.ListNextOpinions(request)).opinions]


async def test_what_comes_next_is_visible_somebody_elses_and_not_voted_on_yet(voting: Conversations) -> None:
    conversation_id, user = (await voting.create()).conversation_id, new_uuid()
    await voting.an_opinion()  # of another conversation
    own = await voting.add_opinion(conversation_id, author_id=user)
    others = [await voting.add_opinion(conversation_id) for _ in range(6)]
    await voting.cancel(own, user)
    moved, hidden, accepted, deleted, voted, untouched = others
    await voting.moderate(moved, messages.MODERATION_ACTION_MOVE)
    await voting.moderate(hidden, messages.MODERATION_ACTION_HIDE)
    await voting.moderate(accepted, messages.MODERATION_ACTION_ACCEPT)
    await voting.delete(deleted)
    await voting.vote(voted, PASS, user)
    left = {accepted.opinion_id, untouched.opinion_id}
    assert set(await next_of(voting, conversation_id, user)) == left
    assert set(await next_of(voting, conversation_id, user.upper())) == left
    # What was just voted on does not come again, what was taken back does, and at the end there is nothing.
    await voting.vote(accepted, AGREE, user)
    assert await next_of(voting, conversation_id, user) == [untouched.opinion_id]
    await voting.vote(untouched, AGREE, user)
    assert await next_of(voting, conversation_id, user) == []
    await voting.cancel(voted, user)
    assert await next_of(voting, conversation_id, user) == [voted.opinion_id]


async def test_opinions_whose_votes_would_tell_most_come_first(voting: Conversations) -> None:
    """Few votes before many, and of as many those before that fewer pass on; ten unless more are asked for."""
    conversation_id, user = (await voting.create()).conversation_id, new_uuid()
    opinions = [await voting.add_opinion(conversation_id) for _ in range(12)]
    fresh, agreed, passed = opinions[:10], opinions[10], opinions[11]
    for opinion, vote in ((agreed, AGREE), (passed, PASS)):
        requests = [a_vote(opinion, vote) for _ in range(30)]
        await voting.stub.BatchCastVotes(messages.BatchCastVotesRequest(requests=requests))
    newest_first = [opinion.opinion_id for opinion in fresh[::-1]]
    everything = [*newest_first, agreed.opinion_id, passed.opinion_id]
    assert await next_of(voting, conversation_id, user) == newest_first
    assert await next_of(voting, conversation_id, user, 100) == everything
    for size in (1, 11):
        assert await next_of(voting, conversation_id, user, size) == everything[:size]


async def test_next_opinions_of_a_conversation_that_is_not_there_are_refused(voting: Conversations) -> None:
    answer = await refused(next_of(voting, new_uuid(), new_uuid()))
    assert answer.said == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
    assert await next_of(voting, (await voting.create()).conversation_id, new_uuid()) == []
