"""What goes on in each group, summed up across services in a view that is refreshed without blocking its readers."""

from alembic import op

revision = "0013"
down_revision = "0012"

# Each part is summed up by itself before they are joined: joined row by row, members times posts times exchanges times ratings
# would have to be told apart again. The first refresh is plain: only a view that holds rows can be refreshed CONCURRENTLY.
VIEW = """
CREATE MATERIALIZED VIEW reputation.group_activity_summary AS
WITH members AS (
    SELECT m.group_id, count(*) AS active_members
    FROM reputation.group_members m JOIN reputation.user_global_reputation r USING (user_id)
    WHERE m.left_time IS NULL AND r.last_activity >= (now() AT TIME ZONE 'UTC') - interval '30 days'
    GROUP BY m.group_id
), posts AS (
    SELECT group_id, count(*) FILTER (WHERE created_at >= now() - interval '30 days') AS food_posts_30d,
           max(created_at) AS last_food_post
    FROM claims.food_posts WHERE group_id IS NOT NULL
    GROUP BY group_id
), exchanges AS (
    SELECT p.group_id, count(*) AS successful_exchanges_30d
    FROM claims.food_posts p JOIN claims.exchanges e ON e.food_id = p.food_post_id
    WHERE p.group_id IS NOT NULL AND e.status = 'completed' AND e.status_time >= now() - interval '30 days'
    GROUP BY p.group_id
), ratings AS (
    SELECT p.group_id, avg(r.stars) AS avg_rating
    FROM claims.food_posts p JOIN claims.ratings r ON r.food_id = p.food_post_id
    WHERE p.group_id IS NOT NULL
    GROUP BY p.group_id
)
SELECT g.id AS group_id, g.name AS group_name, g.group_type, coalesce(m.active_members, 0) AS active_members,
       coalesce(p.food_posts_30d, 0) AS food_posts_30d, r.avg_rating,
       coalesce(e.successful_exchanges_30d, 0) AS successful_exchanges_30d, p.last_food_post
FROM reputation.community_groups g
LEFT JOIN members m ON m.group_id = g.id
LEFT JOIN posts p ON p.group_id = g.id
LEFT JOIN exchanges e ON e.group_id = g.id
LEFT JOIN ratings r ON r.group_id = g.id
WITH NO DATA;
CREATE UNIQUE INDEX group_activity_summary_group ON reputation.group_activity_summary (group_id);
CREATE INDEX group_activity_summary_by_exchanges
    ON reputation.group_activity_summary (successful_exchanges_30d, group_id);
CREATE INDEX group_activity_summary_by_type
    ON reputation.group_activity_summary (group_type, successful_exchanges_30d, group_id);
REFRESH MATERIALIZED VIEW reputation.group_activity_summary;

CREATE TABLE reputation.group_activity_refresh (
    singleton      boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    refreshed_time timestamptz NOT NULL DEFAULT statement_timestamp()
);
INSERT INTO reputation.group_activity_refresh DEFAULT VALUES;
"""

# Only a view's owner may refresh it, and it reads tables of claims, which no other service may: so it is a function of the
# owner's. Whoever calls it while another refreshes waits for that one, for as long as it takes and not only as for a row. It
# reads all there is, and connections of services are set up for reading a few rows by their keys.
REFRESH = """
CREATE FUNCTION reputation.refresh_group_activity() RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET lock_timeout = 0 SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
BEGIN
    REFRESH MATERIALIZED VIEW CONCURRENTLY reputation.group_activity_summary;
    UPDATE reputation.group_activity_refresh SET refreshed_time = statement_timestamp();
    RETURN statement_timestamp();
END
$$;
REVOKE EXECUTE ON FUNCTION reputation.refresh_group_activity FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reputation.refresh_group_activity TO tally_reputation;
GRANT SELECT ON reputation.group_activity_summary, reputation.group_activity_refresh TO tally_reputation;
"""


def upgrade() -> None:
    op.execute(VIEW)
    op.execute(REFRESH)
