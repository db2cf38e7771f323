"""Food posts for a benchmark of discovery."""

from typing import Any

import psycopg

POSTS, GROUPS = 100_000, 1_000

# Nine of ten are available, in the order in which they were thought of, not of their pickup.
NEW = """
INSERT INTO claims.food_posts
    (food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining, portions_claimed, pickup_time)
SELECT uuidv7(), 'Soup of the day', md5((n %% %(groups)s)::text)::uuid, (ARRAY['neighborhood', 'community'])[n %% 2 + 1],
       gen_random_uuid(), 4, CASE WHEN n %% 10 = 0 THEN 0 ELSE 4 END, CASE WHEN n %% 10 = 0 THEN 4 ELSE 0 END,
       now() + interval '1 hour' + random() * interval '14 days'
FROM generate_series(1, %(posts)s) n
"""
GROUP_IDS = "SELECT DISTINCT group_id::text FROM claims.food_posts"


def discovery_groups(connection: "psycopg.Connection[Any]") -> list[str]:
    """The groups of a hundred thousand posts, made when first asked for."""
    there = [row[0] for row in connection.execute(GROUP_IDS)]
    if there:
        return there
    connection.execute(NEW, {"posts": POSTS, "groups": GROUPS})
    connection.execute("VACUUM (ANALYZE) claims.food_posts")
    connection.execute("CHECKPOINT")
    return [row[0] for row in connection.execute(GROUP_IDS)]
