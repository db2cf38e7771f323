"""What to vote on next, votes and conversations, listed by the store (V6)."""

import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.data.database import Database
from libs.data.errors import InvalidInput
from services.voting import store_listings, store_reads
from services.voting.errors import ConversationNotFound
from services.voting.model import Choice, GroupVotes
from tests.data.databases import opened
from tests.services.voting.stored_opinions import START, Stored, store_conversation, store_votes
from tests.stored import Connection


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """With the rights the service has in production."""
    async with opened(database_url, database_role="tally_voting") as database:
        yield database


async def next_for(database: Database, conversation_id: UUID, user_id: UUID, size: int = 100) -> list[UUID]:
    work = partial(store_listings.list_next, conversation_id=conversation_id, user_id=user_id, size=size)
    return [opinion.opinion_id for opinion in await database.read(work)]


def ids(*opinions: Stored) -> list[UUID]:
    return [opinion.opinion_id for opinion in opinions]


def polis_priority(agrees: int, disagrees: int, passes: int) -> float:
    """Polis: a comment's importance without its extremity, times what few votes add, squared."""
    votes = agrees + disagrees + passes
    passed, agreed = (passes + 1) / (votes + 2), (agrees + 1) / (votes + 2)
    return float(((1 - passed) * agreed * (1 + 8 * 2 ** (-votes / 5))) ** 2)


async def test_what_comes_next_is_by_polis_priority(database: Database, db: Connection) -> None:
    """Few votes before many, few passes before more: these differ by more than a rank."""
    votes = [(3, 0, 0), (1, 0, 0), (0, 0, 0), (0, 1, 0), (20, 0, 0), (3, 0, 3), (0, 0, 1), (20, 20, 0), (20, 20, 40)]
    assert votes == sorted(votes, key=lambda each: polis_priority(*each), reverse=True)
    opinions = [Stored(each) for each in votes]
    conversation_id = await store_conversation(db, random.Random(4).sample(opinions, len(opinions)))
    assert await next_for(database, conversation_id, uuid4()) == ids(*opinions)
    assert await next_for(database, conversation_id, uuid4(), size=4) == ids(*opinions[:4])


async def test_opinions_of_one_rank_come_by_id(database: Database, db: Connection) -> None:
    """1,000 and 1,001 agrees are one rank of priority, whose steps are a factor of the square root of two."""
    opinions = [Stored((1000 + n % 2, 0, 0)) for n in range(10)]
    conversation_id = await store_conversation(db, opinions)
    assert await next_for(database, conversation_id, uuid4()) == sorted(ids(*opinions), reverse=True)


async def test_nobody_is_asked_about_what_is_their_own_moderated_deleted_or_voted_on(
    database: Database, db: Connection
) -> None:
    me, somebody = uuid4(), uuid4()
    mine = Stored((3, 0, 0), author_id=me)
    aside = [Stored((3, 0, 0), state=state) for state in ("moved", "hidden", "deleted")]
    voted, first = Stored((3, 0, 0)), Stored((1, 0, 0), state="unmoderated", group_votes=[1, 4, 3, 2])
    last = Stored((0, 0, 0))
    opinions = [mine, *aside, voted, first, last]
    conversation_id, other = await store_conversation(db, opinions), await store_conversation(db, opinions)
    await store_votes(db, conversation_id, me, [voted])
    await store_votes(db, conversation_id, somebody, [first])
    await store_votes(db, other, me, [last])
    assert await next_for(database, conversation_id, me) == ids(first, last)
    assert await next_for(database, conversation_id, me, size=1) == ids(first)
    work = partial(store_listings.list_next, conversation_id=conversation_id, user_id=me, size=1)
    assert (await database.read(work))[0].group_votes == (GroupVotes(1, 4, 3, 2),)
    await store_votes(db, conversation_id, me, [first, last])
    assert await next_for(database, conversation_id, me) == []
    assert set(await next_for(database, conversation_id, somebody)) == set(ids(mine, voted, last))
    with pytest.raises(ConversationNotFound):
        await next_for(database, uuid4(), me)


async def paged(database: Database, listing: Callable[..., Any], size: int, **asked: object) -> list[Any]:
    found: list[Any] = []
    page, token = await database.read(partial(listing, size=size, token="", **asked))
    while token:
        assert len(page) == size and len(found) < 100
        found += page
        page, token = await database.read(partial(listing, size=size, token=token, **asked))
        assert page, "no page after the first is empty"
    return [*found, *page]


async def test_votes_are_listed_once_by_voter_or_by_opinion(database: Database, db: Connection) -> None:
    opinions, users = [Stored() for _ in range(7)], [uuid4() for _ in range(5)]
    conversation_id, other = await store_conversation(db, opinions), await store_conversation(db, opinions)
    for user_id in users:
        await store_votes(db, conversation_id, user_id, opinions[:6])
    await store_votes(db, other, users[0], opinions)
    on, of = store_reads.list_votes_on, store_reads.list_votes_of
    here = {"conversation_id": conversation_id}
    for size in (1, 2, 5, 6, 1000):
        votes = await paged(database, on, size, **here, opinion_id=opinions[0].opinion_id)
        assert [(v.user_id, v.opinion_id) for v in votes] == [(u, opinions[0].opinion_id) for u in sorted(users)]
        votes = await paged(database, of, size, **here, user_id=users[0])
        assert [(v.user_id, v.opinion_id) for v in votes] == [(users[0], o) for o in sorted(ids(*opinions[:6]))]
        assert {(v.choice, v.vote_time, v.request_id) for v in votes} == {(Choice.DISAGREE, START, None)}
        assert not any(v.answer for v in votes)
    assert await paged(database, on, 5, **here, opinion_id=opinions[6].opinion_id) == []
    assert await paged(database, of, 5, **here, user_id=uuid4()) == []


async def test_a_listing_refuses_the_tokens_of_others_and_an_unknown_conversation(
    database: Database, db: Connection
) -> None:
    opinions, users = [Stored() for _ in range(2)], [uuid4() for _ in range(2)]
    conversations = [await store_conversation(db, opinions) for _ in range(2)]
    listings: list[Callable[..., Any]] = [partial(store_reads.list_newest, size=1)]
    for conversation_id in conversations:
        for user_id in users:
            await store_votes(db, conversation_id, user_id, opinions)
        on = partial(store_reads.list_votes_on, conversation_id=conversation_id, size=1)
        of = partial(store_reads.list_votes_of, conversation_id=conversation_id, size=1)
        listings += [partial(on, opinion_id=opinion.opinion_id) for opinion in opinions]
        listings += [partial(of, user_id=user_id) for user_id in users]
    tokens = [(await database.read(partial(listing, token="")))[1] for listing in listings]
    for place, listing in enumerate(listings):
        assert (await database.read(partial(listing, token=tokens[place])))[0]
        for token in (*tokens[:place], *tokens[place + 1 :]):
            with pytest.raises(InvalidInput) as refused:
                await database.read(partial(listing, token=token))
            assert refused.value.reason == "INVALID_PAGE_TOKEN"
    for listing in listings[1:]:
        with pytest.raises(ConversationNotFound):
            await database.read(partial(listing, conversation_id=uuid4(), token=""))


async def test_conversations_are_listed_newest_first_each_once(database: Database, db: Connection) -> None:
    """Several of one moment, too: by id."""
    created = [(n // 3, await store_conversation(db, minute=n // 3)) for n in range(10)]
    expected = [conversation_id for _, conversation_id in sorted(created, reverse=True)]
    for size in (1, 3, 10, 1000):
        found = await paged(database, store_reads.list_newest, size)
        assert [conversation.conversation_id for conversation in found] == expected
