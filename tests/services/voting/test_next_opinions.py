"""ListNextOpinions: what a person should vote on next."""

import math

from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refused
from tests.services.voting.analyses import analyses_of, cast
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, Conversations, a_vote, new_uuid


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


async def test_after_an_analysis_its_priorities_say_what_comes_next(voting: Conversations, database_url: str) -> None:
    """V6: opinions that divide come before others of as many votes; what has come since is asked about, too."""
    conversation_id, user = (await voting.create()).conversation_id, new_uuid()
    opinions = [await voting.add_opinion(conversation_id) for _ in range(9)]
    people = [new_uuid() for _ in range(30)]
    votes = {
        (person, opinion.opinion_id): AGREE if n < 6 or number < 15 else DISAGREE
        for number, person in enumerate(people)
        for n, opinion in enumerate(opinions)
    }
    await cast(voting, opinions, votes)
    divide = {opinion.opinion_id for opinion in opinions[6:]}
    assert divide == set((await next_of(voting, conversation_id, user))[6:]), "they have fewer agrees"
    async with analyses_of(voting, database_url) as analyses:
        analysis = await analyses.analysed(conversation_id)
    by_priority = sorted(analysis.opinions, key=lambda o: (math.floor(2 * math.log2(o.priority)), o.opinion_id))[::-1]
    expected = [o.opinion_id for o in by_priority]
    assert await next_of(voting, conversation_id, user) == expected
    assert set(expected[:3]) == divide
    late = await voting.add_opinion(conversation_id)
    assert await next_of(voting, conversation_id, user) == [late.opinion_id, *expected]
    # What holds of other opinions holds of these: one's own, moderated and voted ones do not come.
    assert await next_of(voting, conversation_id, late.author_id) == expected
    await voting.moderate(opinions[6], messages.MODERATION_ACTION_HIDE)
    await voting.vote(opinions[7], AGREE, user)
    left = [each for each in expected if each not in (opinions[6].opinion_id, opinions[7].opinion_id)]
    assert await next_of(voting, conversation_id, user) == [late.opinion_id, *left]
    assert await next_of(voting, conversation_id, user, 2) == [late.opinion_id, left[0]]
    await voting.vote(late, AGREE, user)
    assert await next_of(voting, conversation_id, user) == left


async def test_next_opinions_of_a_conversation_that_is_not_there_are_refused(voting: Conversations) -> None:
    answer = await refused(next_of(voting, new_uuid(), new_uuid()))
    assert answer.said == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
    assert await next_of(voting, (await voting.create()).conversation_id, new_uuid()) == []
