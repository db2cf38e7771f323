"""What Postgres does for each statement that reads a conversation of 19,000 opinions and 113,000 votes (V5, V6)."""

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import asyncpg
import psycopg
import pytest

from libs.data.catalog.voting import OPINION_AGREES, OPINION_DISAGREES, OPINION_PASSES
from libs.data.counters import rows_update_sql
from services.voting import store_listings, store_reads
from services.voting.store_listings import LISTINGS, MODERATED_NEWEST, Listing, Order
from tests.data.large_conversation import (
    ACTIVE,
    CONVERSATION,
    FRESH,
    OPINIONS,
    TIRELESS,
    VOTES_OF_ACTIVE,
    large_conversation,
)
from tests.data.plans import Plan, explained

PAGE = 51
STATISTICS = "opinion_statistics_pkey"


@pytest.fixture(scope="module")
def large_database_url(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    with large_conversation(postgres_server, postgres_url, template_database) as url:
        yield url


# The priorities of the analysis are those that counts give.
AFTER_AN_ANALYSIS = (
    """
    UPDATE voting.opinion_statistics s SET analysed_rank = priority_rank
    FROM voting.opinions o WHERE o.conversation_id = s.conversation_id AND o.opinion_id = s.opinion_id
    """,
    f"""
    INSERT INTO voting.analyses
    SELECT '{CONVERSATION}', 1, 0, pg_current_xact_id(), now(), 0, 0, 0, '', '', '{{}}', '{{}}', '{{}}', '{{}}', ''
    """,
    f"""
    INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, created_time)
    SELECT '{CONVERSATION}', md5('late ' || n)::uuid, gen_random_uuid(), 'Late.', 'unmoderated', now()
    FROM generate_series(1, 5) n
    """,
    "VACUUM (ANALYZE) voting.opinion_statistics",
)
BEFORE_AN_ANALYSIS = (
    f"DELETE FROM voting.analyses WHERE conversation_id = '{CONVERSATION}'",
    "DELETE FROM voting.opinions WHERE body = 'Late.'",
)

each_way = pytest.mark.parametrize("generic", [False, True], ids=["planned", "cached"])


def keeps_the_order_of_its_index(plan: Plan) -> None:
    assert not [node for node in plan.nodes if "Sort" in node["Node Type"]]


async def last_row(url: str, sql: str, *arguments: object) -> asyncpg.Record:
    connection = await asyncpg.connect(url)
    try:
        return (await connection.fetch(sql, *arguments))[-1]
    finally:
        await connection.close()


async def key_at(url: str, listing: Listing, place: int, *group: int) -> list[object]:
    """The key of the row at a place, which is what a page token of the page after it carries."""
    row = await last_row(url, listing.sql, CONVERSATION, place, *listing.first, *group)
    return [row[column] for column in listing.key]


@pytest.mark.parametrize(
    ("listing", "index", "deep"),
    [
        (LISTINGS[Order.NEWEST], "opinions_newest", OPINIONS // 2),
        (LISTINGS[Order.TOP], "opinions_top", OPINIONS // 2),
        (LISTINGS[Order.CONTROVERSIAL], "opinions_controversial", OPINIONS // 2),
        (MODERATED_NEWEST, "opinions_moderated", 200),
    ],
    ids=["newest", "top", "controversial", "moderated"],
)
@each_way
async def test_a_page_of_opinions_reads_a_page_from_the_index_of_its_order(
    large_database_url: str, listing: Listing, index: str, deep: int, generic: bool
) -> None:
    """V5: each opinion and its group statistics, by key, and nothing else; the first page and one in the middle alike."""
    for after in (listing.first, await key_at(large_database_url, listing, deep)):
        plan = await explained(large_database_url, listing.sql, CONVERSATION, PAGE, *after, generic=generic)
        plan.uses(index, STATISTICS)
        keeps_the_order_of_its_index(plan)
        assert plan.rows_read == 2 * PAGE


@each_way
async def test_a_page_of_what_stands_for_a_group_is_read_by_place(large_database_url: str, generic: bool) -> None:
    """V5: one opinion in fifty is moderated, which is seen when it is read."""
    listing = LISTINGS[Order.GROUP]
    for after in (listing.first, await key_at(large_database_url, listing, 100, 2)):
        plan = await explained(large_database_url, listing.sql, CONVERSATION, PAGE, *after, 2, generic=generic)
        plan.uses("group_opinions_pkey", "opinions_pkey", STATISTICS)
        keeps_the_order_of_its_index(plan)
        assert 3 * PAGE <= plan.rows_read <= 3 * PAGE + 10
    plan = await explained(large_database_url, listing.sql, CONVERSATION, PAGE, *listing.first, 99, generic=generic)
    assert plan.rows_read == 0


@pytest.fixture
async def analysed_database_url(large_database_url: str) -> AsyncIterator[str]:
    """With an analysis, and a few opinions that came after it."""
    connection = await asyncpg.connect(large_database_url)
    for statement in AFTER_AN_ANALYSIS:
        await connection.execute(statement)
    yield large_database_url
    for statement in BEFORE_AN_ANALYSIS:
        await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize("user", [FRESH, ACTIVE, TIRELESS], ids=["nothing", "thousands", "all"])
@each_way
async def test_what_comes_next_is_the_head_of_an_index_past_what_was_voted_on(
    large_database_url: str, user: UUID, generic: bool
) -> None:
    """V6: the person's votes once, however many, the opinions they are on, and a page."""
    plan = await explained(large_database_url, store_listings.NEXT, CONVERSATION, user, 10, generic=generic)
    of_what_is_found = () if user == TIRELESS else (STATISTICS,)
    plan.run.uses("opinions_next", "opinions_by_commit", "votes_pkey", "analyses_pkey", *of_what_is_found)
    reads_a_page_past_the_votes_of(user, plan.run)


@pytest.mark.parametrize("user", [FRESH, ACTIVE, TIRELESS], ids=["nothing", "thousands", "all"])
@each_way
async def test_what_comes_next_by_an_analysis_is_the_head_of_its_index_and_what_has_come_since(
    analysed_database_url: str, user: UUID, generic: bool
) -> None:
    """V6."""
    plan = await explained(analysed_database_url, store_listings.NEXT, CONVERSATION, user, 10, generic=generic)
    indexes = ("opinion_statistics_by_priority", "opinions_pkey", "opinions_by_commit")
    plan.run.uses(*indexes, "votes_pkey", "analyses_pkey", STATISTICS)
    reads_a_page_past_the_votes_of(user, plan.run)


def reads_a_page_past_the_votes_of(user: UUID, plan: Plan) -> None:
    votes = {FRESH: 0, ACTIVE: VOTES_OF_ACTIVE, TIRELESS: OPINIONS}[user]
    assert plan.rows_sorted <= 3 * 10
    assert plan.rows_read <= 3 * votes + 50
    # One opinion in fifty is moderated, which is seen when it is read.
    assert plan.most_rows <= 1.03 * votes + 50, "no step goes through them again for each opinion"


@each_way
async def test_votes_are_read_from_the_index_of_whose_or_what_they_are(large_database_url: str, generic: bool) -> None:
    find = "SELECT opinion_id FROM voting.opinions ORDER BY agree_count DESC LIMIT 1"
    (opinion_id,) = await last_row(large_database_url, find)
    middle = UUID(int=1 << 127)
    for after in (store_reads.BEFORE_ALL, middle):
        asked = (CONVERSATION, opinion_id, after, PAGE)
        plan = await explained(large_database_url, store_reads.VOTES_ON, *asked, generic=generic)
        plan.uses("votes_by_opinion")
        keeps_the_order_of_its_index(plan)
        assert plan.rows_read == PAGE
        asked = (CONVERSATION, ACTIVE, after, PAGE)
        plan = await explained(large_database_url, store_reads.VOTES_OF, *asked, generic=generic)
        plan.uses("votes_pkey")
        keeps_the_order_of_its_index(plan)
        assert plan.rows_read == PAGE


@each_way
async def test_a_conversation_and_an_opinion_are_read_by_key(large_database_url: str, generic: bool) -> None:
    for sql in (store_reads.GET, store_reads.EXISTS):
        plan = await explained(large_database_url, sql, CONVERSATION, generic=generic)
        plan.uses("conversations_pkey")
        assert plan.rows_read == 1
    (opinion_id,) = await last_row(large_database_url, "SELECT md5('opinion 7')::uuid")
    plan = await explained(large_database_url, store_reads.GET_OPINION, CONVERSATION, opinion_id, generic=generic)
    plan.uses("opinions_pkey", STATISTICS)
    assert plan.rows_read == 2


@each_way
async def test_counters_of_opinions_are_moved_and_read_by_key(large_database_url: str, generic: bool) -> None:
    """G2: a batch of votes touches what it votes on, however large the conversation is."""
    some = "SELECT array_agg(md5('opinion ' || 50 * n)::uuid) FROM generate_series(1, 80) n"
    (ids,) = await last_row(large_database_url, some)
    conversations, ones = [CONVERSATION] * len(ids), [1] * len(ids)
    move = rows_update_sql((OPINION_AGREES, OPINION_DISAGREES, OPINION_PASSES))
    for plan in (
        await explained(large_database_url, move, conversations, ids, ones, ones, ones, generic=generic),
        await explained(large_database_url, OPINION_AGREES.values_sql, conversations, ids, generic=generic),
    ):
        plan.uses("opinions_pkey")
        assert plan.rows_read == len(ids)


@each_way
async def test_a_page_of_conversations_reads_a_page(large_database_url: str, generic: bool) -> None:
    listed = (
        "SELECT created_time, conversation_id FROM voting.conversations ORDER BY 1 DESC, 2 DESC OFFSET 2500 LIMIT 1"
    )
    deep = await last_row(large_database_url, listed)
    for after in ((store_reads.END_OF_TIME, store_reads.AFTER_ALL), deep):
        plan = await explained(large_database_url, store_reads.NEWEST, *after, PAGE, generic=generic)
        plan.uses("conversations_by_time")
        keeps_the_order_of_its_index(plan)
        assert plan.rows_read == PAGE
