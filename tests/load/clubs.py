"""Groups, their members and what went on in them, for a benchmark of groups: on the food posts that are there."""

from typing import Any

import psycopg

from libs.data.pages import encode_page_token
from tests.load.food import GROUPS

USERS = 100_000

# Everybody is in two groups. Half of all went on in the last thirty days.
NEW = (
    """
    INSERT INTO reputation.community_groups (id, name, group_type, member_count)
    SELECT md5(n::text)::uuid, 'Group ' || md5(n::text), (ARRAY['neighborhood', 'community'])[n %% 2 + 1], 0
    FROM generate_series(0, %(groups)s - 1) n
    """,
    """
    WITH new AS (
        INSERT INTO reputation.users (id, registered_at)
        SELECT gen_random_uuid(), now() FROM generate_series(1, %(users)s) RETURNING id
    ), standing AS (
        INSERT INTO reputation.user_global_reputation (user_id, last_activity)
        SELECT id, (now() AT TIME ZONE 'UTC') - random() * interval '60 days' FROM new
    )
    INSERT INTO reputation.group_members (group_id, user_id, joined_time)
    SELECT md5(((row_number() OVER () + k * 137) %% %(groups)s)::text)::uuid, id, now() FROM new, generate_series(0, 1) k
    """,
    """
    INSERT INTO claims.exchanges
        (food_id, exchange_id, giver_id, receiver_id, portions, status, hold_expire_time, created_at, status_time)
    SELECT food_post_id, gen_random_uuid(), giver_id, gen_random_uuid(), 1, 'completed', now(), now(),
           now() - random() * interval '60 days'
    FROM claims.food_posts
    """,
    """
    INSERT INTO claims.ratings (food_id, exchange_id, rater_id, rated_id, stars, comment, request_id, created_at)
    SELECT food_id, exchange_id, rater, gen_random_uuid(), 1 + floor(random() * 5)::integer, '', gen_random_uuid(), now()
    FROM claims.exchanges, unnest(ARRAY[giver_id, receiver_id]) rater
    """,
)
IDS_AND_NAMES = "SELECT id::text, name FROM reputation.community_groups ORDER BY name"
_EVERY = 50


class Clubs:
    """Those of a database, made when they are first asked for."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def ids(self) -> list[str]:
        return [group_id for group_id, _ in self._there()]

    def pages(self) -> list[str]:
        """Tokens of the listing by name, from its first page to its last."""
        return [
            "",
            *(encode_page_token("groups//", name, group_id) for group_id, name in self._there()[_EVERY::_EVERY]),
        ]

    def _there(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = self._connection.execute(IDS_AND_NAMES).fetchall()
        if found:
            return found
        for statement in NEW:
            self._connection.execute(statement.encode(), {"users": USERS, "groups": GROUPS})
        self._connection.execute("VACUUM (ANALYZE)")
        self._connection.execute("SELECT reputation.refresh_group_activity()")
        self._connection.execute("CHECKPOINT")
        return self._connection.execute(IDS_AND_NAMES).fetchall()
