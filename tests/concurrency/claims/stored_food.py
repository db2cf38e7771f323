"""What the database holds of a food post and its exchanges, read in one snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from psycopg.rows import dict_row

from tests.concurrency.stored import EVENTS, Event


@dataclass(slots=True)
class Step:
    """A status that an exchange came to; nobody's where a hold expired."""

    status: str
    actor_id: str
    request_id: str
    xid: int
    step_time: datetime


@dataclass(slots=True)
class StoredExchange:
    """A row of the exchanges, with its steps as they followed each other."""

    exchange_id: str
    receiver_id: str
    portions: int
    status: str
    hold_expire_time: datetime
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class StoredPost:
    """A food post and everything that was written about it; events of its counters by version."""

    food_post_id: str
    portions: int
    remaining: int
    held: int
    claimed: int
    completed: int
    version: int
    exchanges: dict[str, StoredExchange] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


POSTS = """
SELECT food_post_id::text AS food_post_id, portions, portions_remaining AS remaining, portions_held AS held,
       portions_claimed AS claimed, completed_count AS completed, version
FROM claims.food_posts WHERE food_post_id = ANY(%s::uuid[])
"""
EXCHANGES = """
SELECT food_id::text AS food_id, exchange_id::text AS exchange_id, receiver_id::text AS receiver_id, portions, status,
       hold_expire_time
FROM claims.exchanges WHERE food_id = ANY(%s::uuid[])
"""
# A transaction may make several steps of an exchange, all at one time: they follow in the order of a life.
STEPS = """
SELECT food_id::text AS food_id, exchange_id::text AS exchange_id, status, coalesce(actor_id::text, '') AS actor_id,
       coalesce(request_id::text, '') AS request_id, commit_xid::text::bigint AS xid, step_time
FROM claims.exchange_steps WHERE food_id = ANY(%s::uuid[])
ORDER BY commit_xid, array_position('{pending,confirmed,completed,cancelled,expired}', status)
"""


def read_posts(url: str, food_post_ids: Sequence[str]) -> dict[str, StoredPost]:
    """The posts by id."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        wanted = [list(food_post_ids)]
        stored = {row["food_post_id"]: StoredPost(**row) for row in connection.execute(POSTS, wanted)}
        for row in connection.execute(EXCHANGES, wanted):
            post = stored[row.pop("food_id")]
            post.exchanges[row["exchange_id"]] = StoredExchange(**row)
        for row in connection.execute(STEPS, wanted):
            exchange = stored[row.pop("food_id")].exchanges[row.pop("exchange_id")]
            exchange.steps.append(Step(**row))
        for row in connection.execute(EVENTS, wanted):
            stored[row.pop("aggregate_id")].events.append(Event(**row))
    return stored
