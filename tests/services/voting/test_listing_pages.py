"""ListOpinions on the store: each opinion once, in order, with its group statistics (V5)."""

import itertools
import random
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from libs.data.database import Database
from libs.data.errors import InvalidInput
from libs.data.pages import encode_page_token
from libs.data.transaction import Snapshot
from services.voting import store_listings, store_reads
from services.voting.errors import ConversationNotFound, OpinionNotFound
from services.voting.model import GroupVotes, Opinion, OpinionCounts
from services.voting.store_listings import Order
from tests.data.databases import opened
from tests.services.voting.stored_opinions import Stored, store_conversation, store_group
from tests.stored import Connection


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """With the rights the service has in production."""
    async with opened(database_url, database_role="tally_voting") as database:
        yield database


async def a_page(
    database: Database, conversation_id: UUID, size: int = 1000, token: str = "", **listing: Any
) -> tuple[list[Opinion], str]:
    asked: dict[str, Any] = {"order": Order.NEWEST, "group_id": 0, "moderated": False} | listing
    work = partial(store_listings.list_opinions, conversation_id=conversation_id, size=size, token=token, **asked)
    return await database.read(work)


async def pages(database: Database, conversation_id: UUID, size: int, **listing: Any) -> list[list[Opinion]]:
    found: list[list[Opinion]] = []
    token = ""
    while token or not found:
        opinions, token = await a_page(database, conversation_id, size, token, **listing)
        found.append(opinions)
        assert len(found) < 100, "pages without end"
    return found


def rank(n: int) -> int:
    """The number itself below 128; above, its seven leading bits, which grow on."""
    shift = max(n.bit_length() - 7, 0)
    return 64 * shift + (n >> shift)


def by_time(o: Stored) -> tuple[object, ...]:
    return o.minute, o.opinion_id


ORDERS = {
    Order.NEWEST: by_time,
    Order.TOP: lambda o: (rank(o.votes[0]), o.opinion_id),
    Order.CONTROVERSIAL: lambda o: (rank(min(o.votes[:2])), o.opinion_id),
}


def a_crowd() -> list[Stored]:
    """Sixty opinions of all states that share times, numbers, and ranks of different numbers: 130 and 131, 300 to 303."""
    dice = random.Random(4)
    states = ["unmoderated", "accepted", "accepted", "moved", "hidden", "deleted"]
    numbers = [0, 1, 2, 3, 130, 131, 300, 301, 302, 303, 2000]
    crowd = []
    for n in range(60):
        agrees, disagrees, passes = dice.choices(numbers, k=3)
        opinion_id = UUID(int=dice.getrandbits(128))
        crowd.append(Stored((agrees, disagrees, passes), states[n % 6], minute=n // 3, opinion_id=opinion_id))
    return crowd


@pytest.mark.parametrize("moderated", [False, True], ids=["visible", "moderated"])
async def test_pages_hold_each_opinion_once_in_their_order(database: Database, db: Connection, moderated: bool) -> None:
    """What was moved or hidden is listed newest first, whatever the order; what was deleted, never."""
    crowd = a_crowd()
    conversation_id = await store_conversation(db, crowd)
    await store_conversation(db, crowd)  # ids are a conversation's own
    states = ("moved", "hidden") if moderated else ("unmoderated", "accepted")
    wanted = [o for o in crowd if o.state in states]
    for order, key in ORDERS.items():
        expected = [o.opinion_id for o in sorted(wanted, key=by_time if moderated else key, reverse=True)]
        for size in (1, 7, len(wanted), 1000):
            found = await pages(database, conversation_id, size, order=order, moderated=moderated)
            assert [o.opinion_id for page in found for o in page] == expected, (order, size)
            assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
            assert 0 < len(found[-1]) <= size


async def test_a_group_lists_what_stands_for_it_by_place_and_leaves_out_what_was_moderated(
    database: Database, db: Connection
) -> None:
    opinions = [Stored(votes=(n, 0, 0), state="hidden" if n == 3 else "accepted") for n in range(9)]
    conversation_id, other = await store_conversation(db, opinions), await store_conversation(db, opinions)
    placed = random.Random(4).sample(opinions, 9)
    await store_group(db, conversation_id, 1, placed)
    await store_group(db, conversation_id, 2, placed[::-1])
    await store_group(db, other, 3, placed)
    expected = [o.opinion_id for o in placed if o.state == "accepted"]
    for size in (1, 3, 8, 1000):
        for group_id, ids in ((1, expected), (2, expected[::-1]), (3, [])):
            found = await pages(database, conversation_id, size, order=Order.GROUP, group_id=group_id)
            assert [o.opinion_id for page in found for o in page] == ids


async def test_an_opinion_comes_with_its_counts_and_how_each_group_voted(database: Database, db: Connection) -> None:
    analysed = Stored((5, 4, 1), group_votes=[0, 5, 1, 1, 3, 0, 3, 0])
    new = Stored((1, 0, 0), minute=1)
    conversation_id = await store_conversation(db, [analysed, new])
    await store_conversation(db, [Stored(group_votes=[9, 9, 9, 9], opinion_id=o.opinion_id) for o in (analysed, new)])
    await store_group(db, conversation_id, 0, [new, analysed])
    for order in Order:
        opinions, _ = await a_page(database, conversation_id, order=order)
        found = {o.opinion_id: o for o in opinions}
        assert found[analysed.opinion_id].group_votes == (GroupVotes(0, 5, 1, 1), GroupVotes(3, 0, 3, 0))
        assert found[analysed.opinion_id].counts == OpinionCounts(5, 4, 1)
        assert found[new.opinion_id].group_votes == ()
        for opinion_id, opinion in found.items():
            get = partial(store_reads.get_opinion, conversation_id=conversation_id, opinion_id=opinion_id)
            assert await database.read(get) == opinion


async def test_a_moderated_opinion_is_found_and_a_deleted_one_is_not(database: Database, db: Connection) -> None:
    opinions = [Stored(state=state) for state in ("hidden", "deleted")]
    conversation_id = await store_conversation(db, opinions)
    hidden, deleted = (
        partial(store_reads.get_opinion, conversation_id=conversation_id, opinion_id=o.opinion_id) for o in opinions
    )
    assert (await database.read(hidden)).state == "hidden"
    for work in (deleted, partial(hidden, conversation_id=await store_conversation(db))):
        with pytest.raises(OpinionNotFound):
            await database.read(work)


async def test_a_page_token_is_good_for_its_listing_only(database: Database, db: Connection) -> None:
    opinions = [Stored(state=state) for state in ("accepted", "accepted", "hidden", "moved")]
    conversations = [await store_conversation(db, opinions) for _ in range(2)]
    tokens = {}
    for conversation_id, order, group_id, moderated in itertools.product(conversations, Order, (0, 1), (False, True)):
        await db.execute("DELETE FROM voting.group_opinions WHERE conversation_id = $1", conversation_id)
        await store_group(db, conversation_id, group_id, opinions)
        listing: dict[str, Any] = {"order": order, "group_id": group_id, "moderated": moderated}
        _, tokens[conversation_id, order, group_id, moderated] = await a_page(database, conversation_id, 1, **listing)
    assert len(set(tokens.values())) == 32
    ((conversation_id, order, group_id, moderated), own), *others = tokens.items()
    listing = {"order": order, "group_id": group_id, "moderated": moderated}
    assert await a_page(database, conversation_id, 1, own, **listing)
    forged = encode_page_token(f"opinions/{conversation_id}/newest/0/visible", "2026-01-01T00:00:00+23:00", uuid4())
    for token in (*(token for _, token in others), forged, "not a token"):
        with pytest.raises(InvalidInput) as refused:
            await a_page(database, conversation_id, 1, token, **listing)
        assert refused.value.reason == "INVALID_PAGE_TOKEN"


async def test_a_conversation_without_opinions_has_an_empty_page_and_an_unknown_one_has_none(
    database: Database, db: Connection
) -> None:
    conversation_id = await store_conversation(db)
    for order, moderated in itertools.product(Order, (False, True)):
        assert await a_page(database, conversation_id, order=order, moderated=moderated) == ([], "")
        with pytest.raises(ConversationNotFound):
            await a_page(database, uuid4(), order=order, moderated=moderated)


async def test_a_page_is_one_statement(database_url: str, db: Connection) -> None:
    opinions = [Stored(group_votes=[0, 1, 1, 1]) for _ in range(5)]
    conversation_id = await store_conversation(db, opinions)
    await store_group(db, conversation_id, 0, opinions)
    statements: list[str] = []
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        connection.add_query_logger(lambda query: statements.append(query.query))
        for order, size in itertools.product(Order, (2, 1000)):
            page = store_listings.list_opinions(Snapshot(connection), conversation_id, order, 0, False, size, "")
            opinions_found, _ = await page
            assert len(opinions_found) == min(size, 5)
            assert all(opinion.group_votes for opinion in opinions_found)
    assert len([sql for sql in statements if "voting." in sql]) == 2 * len(Order)
