"""Listing a conversation's opinions, in several orders and for one person. Each listing is one statement over one index."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.data.pages import decode_page_token, encode_page_token, utc_time
from libs.data.transaction import Snapshot
from services.voting.model import Opinion
from services.voting.store_reads import (
    AFTER_ALL,
    END_OF_TIME,
    OPINION_COLUMNS,
    OPINIONS_WITH_GROUP_VOTES,
    must_exist,
    to_opinion,
)


class Order(StrEnum):
    """In which order opinions are listed."""

    NEWEST = "newest"
    TOP = "top"
    CONTROVERSIAL = "controversial"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Listing:
    """One way of listing a conversation's opinions.

    Args:
        sql: a page of a conversation ($1), of so many rows ($2), after a key ($3 and on); a group comes last.
        key: the columns that make the order, each with what makes its value from a page token.
        first: the key before all rows.
    """

    sql: str
    key: dict[str, Callable[[Any], Any]]
    first: tuple[object, ...]


# The states are written out, because only then Postgres knows that the partial indexes hold every row that is wanted.
VISIBLE = "state IN ('unmoderated', 'accepted')"
MODERATED = "state IN ('moved', 'hidden')"
ABOVE_ALL = 2**31 - 1


def _descending(column: str, type_: Callable[[Any], Any], above_all: object, states: str = VISIBLE) -> Listing:
    """By one column and, where that is equal, by id; both descending."""
    sql = f"""
SELECT {OPINION_COLUMNS}, group_votes, {column} FROM {OPINIONS_WITH_GROUP_VOTES}
WHERE conversation_id = $1 AND {states} AND ({column}, opinion_id) < ($3, $4)
ORDER BY {column} DESC, opinion_id DESC
LIMIT $2
"""
    return Listing(sql, {column: type_, "opinion_id": UUID}, (above_all, AFTER_ALL))


OF_GROUP = f"""
SELECT {OPINION_COLUMNS}, group_votes, place
FROM voting.group_opinions JOIN ({OPINIONS_WITH_GROUP_VOTES}) USING (conversation_id, opinion_id)
WHERE conversation_id = $1 AND {VISIBLE} AND place > $3 AND group_id = $4
ORDER BY place
LIMIT $2
"""
LISTINGS = {
    Order.NEWEST: _descending("created_time", utc_time, END_OF_TIME),
    Order.TOP: _descending("agree_rank", int, ABOVE_ALL),
    Order.CONTROVERSIAL: _descending("controversy_rank", int, ABOVE_ALL),
    Order.GROUP: Listing(OF_GROUP, {"place": int}, (0,)),
}
MODERATED_NEWEST = _descending("created_time", utc_time, END_OF_TIME, MODERATED)


async def list_opinions(
    snapshot: Snapshot, conversation_id: UUID, order: Order, group_id: int, moderated: bool, size: int, token: str
) -> tuple[list[Opinion], str]:
    """One page of the visible opinions, and the next page's token; deleted ones are in no listing.

    TOP goes by the rank of the agrees, CONTROVERSIAL by the rank of the smaller of agrees and disagrees, as
    `operations.rank_of` has it: below 128 the number itself, above its seven leading bits. Within a rank the opinion with the
    greater id, of those that were not imported the newer one, comes first.

    Args:
        group_id: whose opinions GROUP lists, by their place in the last analysis; a group that is not in it has none.
        moderated: those that were moved or hidden instead, newest first whatever the order.

    Raises:
        ConversationNotFound
        InvalidInput: not a token of this listing.
    """
    listing = MODERATED_NEWEST if moderated else LISTINGS[order]
    name = f"opinions/{conversation_id}/{order}/{group_id}/{'moderated' if moderated else 'visible'}"
    after = decode_page_token(token, name, *listing.key.values()) or listing.first
    group = [group_id] if listing is LISTINGS[Order.GROUP] else []
    rows = await snapshot.fetch(listing.sql, conversation_id, size + 1, *after, *group)
    if not rows:
        await must_exist(snapshot, conversation_id)
    opinions = [to_opinion(row, row["group_votes"]) for row in rows[:size]]
    if len(rows) <= size:
        return opinions, ""
    return opinions, encode_page_token(name, *(rows[size - 1][column] for column in listing.key))


# Three times the first so many of an index: of a conversation that was never analysed by the priorities its counts give, else
# by those of the analysis, and of what came after it by its counts again. Only the branches that apply are run.
# Statistics are looked up for each opinion that is fresh: a join could begin with all there are.
# NOT IN, because the person's votes are read once, into a hash table. NOT EXISTS becomes a join whose plan for any user is one
# for few votes: those of somebody who has voted on thousands it goes through again for each opinion.
UNSEEN = f"{VISIBLE} AND author_id <> $2 AND opinion_id NOT IN (SELECT opinion_id FROM voted)"
NEXT = f"""
WITH voted AS MATERIALIZED (
    SELECT opinion_id FROM voting.votes WHERE conversation_id = $1 AND user_id = $2
), analysed AS MATERIALIZED (
    SELECT horizon FROM voting.analyses WHERE conversation_id = $1
), fresh AS MATERIALIZED (
    SELECT {OPINION_COLUMNS}, NULL::integer[] AS group_votes, priority_rank AS rank FROM voting.opinions o
    WHERE conversation_id = $1 AND commit_xid >= (SELECT horizon FROM analysed) AND {UNSEEN}
      AND (SELECT s.analysed_rank FROM voting.opinion_statistics s
           WHERE s.conversation_id = $1 AND s.opinion_id = o.opinion_id) IS NULL
)
(
    SELECT {OPINION_COLUMNS}, group_votes, priority_rank AS rank FROM {OPINIONS_WITH_GROUP_VOTES}
    WHERE NOT EXISTS (SELECT FROM analysed) AND conversation_id = $1 AND {UNSEEN}
    ORDER BY priority_rank DESC, opinion_id DESC
    LIMIT $3
) UNION ALL (
    SELECT {OPINION_COLUMNS}, group_votes, analysed_rank
    FROM voting.opinion_statistics JOIN voting.opinions USING (conversation_id, opinion_id)
    WHERE EXISTS (SELECT FROM analysed) AND conversation_id = $1 AND {UNSEEN}
    ORDER BY analysed_rank DESC, opinion_id DESC
    LIMIT $3
) UNION ALL (
    SELECT * FROM fresh ORDER BY rank DESC, opinion_id DESC LIMIT $3
)
ORDER BY rank DESC, opinion_id DESC
LIMIT $3
"""


async def list_next(snapshot: Snapshot, conversation_id: UUID, user_id: UUID, size: int) -> list[Opinion]:
    """The visible opinions of others this person has not voted on, first those whose votes would tell most.

    That is Polis' comment priority, by rank: of the opinions in the last analysis as it was then; of the others without its
    extremity, which is not known (`voting.priority_rank`): high for few votes, few passes and many agrees. Within a rank
    the greater id comes first.
    """
    rows = await snapshot.fetch(NEXT, conversation_id, user_id, size)
    if not rows:
        await must_exist(snapshot, conversation_id)
    return [to_opinion(row, row["group_votes"]) for row in rows]
