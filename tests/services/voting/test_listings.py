"""ListOpinions and ListVotes."""

from typing import Any

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refused
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, Conversations, new_uuid
from tests.stored import Connection

NEWEST, TOP = messages.OPINION_ORDER_NEWEST, messages.OPINION_ORDER_TOP
CONTROVERSIAL, GROUP = messages.OPINION_ORDER_CONTROVERSIAL, messages.OPINION_ORDER_GROUP
NOT_A_TOKEN = ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


async def a_debate(voting: Conversations) -> list[resources.Opinion]:
    """Five opinions in one conversation, oldest first, with (agrees, disagrees): (1, 0) (4, 0) (2, 3) (3, 1) (1, 5)."""
    conversation_id = (await voting.create()).conversation_id
    opinions = [await voting.add_opinion(conversation_id, body=f"Opinion {n}") for n in range(5)]
    for opinion, agrees, disagrees in zip(opinions, (0, 3, 1, 2, 0), (0, 0, 3, 1, 5), strict=True):
        await voting.voted_by(opinion, agrees, AGREE)
        await voting.voted_by(opinion, disagrees, DISAGREE)
    return [await voting.get_opinion(opinion) for opinion in opinions]


async def listed(voting: Conversations, conversation_id: str, size: int = 0, **asked: Any) -> list[resources.Opinion]:
    """All pages."""
    found: list[resources.Opinion] = []
    token = ""
    while True:
        request = messages.ListOpinionsRequest(
            conversation_id=conversation_id, page_size=size, page_token=token, **asked
        )
        page = await voting.stub.ListOpinions(request)
        assert len(page.opinions) <= (size or 50)
        found += page.opinions
        token = page.next_page_token
        if not token:
            return found
        assert len(page.opinions) == size, "only the last page is short"


async def test_opinions_come_in_the_order_that_is_asked_for(voting: Conversations) -> None:
    """Whatever the size of a page; an order that is not given is the newest."""
    opinions = await a_debate(voting)
    conversation_id = opinions[0].conversation_id
    await voting.an_opinion()  # of another conversation
    for order, places in (
        (messages.OPINION_ORDER_UNSPECIFIED, [4, 3, 2, 1, 0]),
        (NEWEST, [4, 3, 2, 1, 0]),
        (TOP, [1, 3, 2, 4, 0]),
        (CONTROVERSIAL, [2, 4, 3, 1, 0]),
    ):
        for size in (0, 1, 2, 5):
            assert await listed(voting, conversation_id, size, order=order) == [opinions[n] for n in places], order


async def test_moderated_opinions_are_listed_apart_and_deleted_ones_nowhere(voting: Conversations) -> None:
    opinions = await a_debate(voting)
    conversation_id = opinions[0].conversation_id
    moved = (await voting.moderate(opinions[1], messages.MODERATION_ACTION_MOVE)).opinion
    hidden = (await voting.moderate(opinions[2], messages.MODERATION_ACTION_HIDE)).opinion
    accepted = (await voting.moderate(opinions[3], messages.MODERATION_ACTION_ACCEPT)).opinion
    await voting.delete(opinions[4])
    for order in (NEWEST, TOP, CONTROVERSIAL):
        assert await listed(voting, conversation_id, order=order) == [accepted, opinions[0]]
    for size in (0, 1):
        assert await listed(voting, conversation_id, size, moderated=True) == [hidden, moved]


async def test_opinions_of_a_group_come_by_place_with_how_each_group_voted(
    voting: Conversations, db: Connection
) -> None:
    opinions = await a_debate(voting)
    conversation_id = opinions[0].conversation_id
    assert await listed(voting, conversation_id, order=GROUP, group_id=1) == [], "no analysis yet"
    for group, place, n in ((0, 1, 0), (1, 1, 3), (1, 2, 2), (1, 3, 4)):
        await db.execute(
            "INSERT INTO voting.group_opinions VALUES ($1, $2, $3, $4)",
            conversation_id,
            group,
            place,
            opinions[n].opinion_id,
        )
    statistics = "INSERT INTO voting.opinion_statistics VALUES ($1, $2, $3)"
    await db.execute(statistics, conversation_id, opinions[3].opinion_id, [0, 5, 6, 7, 1, 8, 9, 10])
    votes = [(0, 5, 6, 7), (1, 8, 9, 10)]
    opinions[3].group_votes.extend(
        resources.GroupVotes(group_id=g, agrees=a, disagrees=d, passes=p) for g, a, d, p in votes
    )
    await voting.moderate(opinions[2], messages.MODERATION_ACTION_HIDE)
    for size in (0, 1):
        assert await listed(voting, conversation_id, size, order=GROUP, group_id=1) == [opinions[3], opinions[4]]
    assert await listed(voting, conversation_id, order=GROUP) == [opinions[0]]
    assert await listed(voting, conversation_id, order=GROUP, group_id=2) == []
    assert (await listed(voting, conversation_id, order=TOP))[1] == opinions[3]
    assert await voting.get_opinion(opinions[3]) == opinions[3]


async def test_votes_are_listed_by_opinion_or_by_person(voting: Conversations) -> None:
    conversation_id, voter = (await voting.create()).conversation_id, new_uuid()
    opinions = [await voting.add_opinion(conversation_id) for _ in range(3)]
    cast = dict(zip(sorted(o.opinion_id for o in opinions), (AGREE, DISAGREE, PASS), strict=True))
    for opinion in opinions:
        await voting.vote(opinion, cast[opinion.opinion_id], voter)
    others = await voting.voted_by(opinions[0], 5, PASS)

    async def votes(size: int, **selection: str) -> list[resources.CastVote]:
        found: list[resources.CastVote] = []
        token = ""
        while True:
            request = messages.ListVotesRequest(
                conversation_id=conversation_id, page_size=size, page_token=token, **selection
            )
            page = await voting.stub.ListVotes(request)
            found, token = [*found, *page.votes], page.next_page_token
            if not token:
                return found

    for size in (0, 1, 2):
        own = await votes(size, user_id=voter)
        assert [(v.opinion_id, v.vote, v.user_id) for v in own] == [(o, vote, voter) for o, vote in cast.items()]
        assert all(v.HasField("vote_time") for v in own)
        on_first = await votes(size, opinion_id=opinions[0].opinion_id)
        expected = dict.fromkeys(others, PASS) | {opinions[0].author_id: AGREE, voter: cast[opinions[0].opinion_id]}
        assert [(v.user_id, v.vote) for v in on_first] == sorted(expected.items())
    assert await votes(0, user_id=new_uuid()) == await votes(0, opinion_id=new_uuid()) == []
    await voting.cancel(opinions[0], voter)
    assert len(await votes(0, user_id=voter)) == 2


async def test_a_page_token_is_of_one_listing(voting: Conversations) -> None:
    opinions = await a_debate(voting)
    conversation_id, other = opinions[0].conversation_id, (await voting.create()).conversation_id
    page = await voting.stub.ListOpinions(messages.ListOpinionsRequest(conversation_id=conversation_id, page_size=1))
    token = page.next_page_token
    for listing in (
        messages.ListOpinionsRequest(conversation_id=conversation_id, page_token="xyz"),
        messages.ListOpinionsRequest(conversation_id=conversation_id, page_token=token, order=TOP),
        messages.ListOpinionsRequest(conversation_id=conversation_id, page_token=token, moderated=True),
        messages.ListOpinionsRequest(conversation_id=other, page_token=token),
    ):
        assert (await refused(voting.stub.ListOpinions(listing))).said == NOT_A_TOKEN
    for votes in (
        messages.ListVotesRequest(conversation_id=conversation_id, page_token=token, user_id=new_uuid()),
        messages.ListVotesRequest(conversation_id=conversation_id, page_token=token, opinion_id=new_uuid()),
    ):
        assert (await refused(voting.stub.ListVotes(votes))).said == NOT_A_TOKEN


async def test_listings_of_a_conversation_that_is_not_there_are_refused_and_of_an_empty_one_empty(
    voting: Conversations,
) -> None:
    for order in (NEWEST, TOP, CONTROVERSIAL, GROUP):
        answer = await refused(listed(voting, new_uuid(), order=order))
        assert answer.said == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
    by_user = messages.ListVotesRequest(conversation_id=new_uuid(), user_id=new_uuid())
    on_opinion = messages.ListVotesRequest(conversation_id=new_uuid(), opinion_id=new_uuid())
    for request in (by_user, on_opinion):
        assert (await refused(voting.stub.ListVotes(request))).said == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
    empty = (await voting.create()).conversation_id
    for order in (NEWEST, TOP, CONTROVERSIAL, GROUP):
        assert await listed(voting, empty, order=order) == []
