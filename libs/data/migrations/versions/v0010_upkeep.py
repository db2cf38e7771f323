"""Upkeep: how far counters were compared with their rows, which are known to differ, and the end of old events."""

from alembic import op

revision = "0010"
down_revision = "0009"

DISCREPANCIES = """
CREATE TABLE operations.counter_discrepancies (
    counter       text        NOT NULL,
    aggregate_id  text        NOT NULL,
    resource_id   text        NOT NULL,
    counter_value bigint      NOT NULL,
    counted_value bigint      NOT NULL,
    found_time    timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (counter, aggregate_id, resource_id)
);
COMMENT ON TABLE operations.counter_discrepancies IS
    'Counters that were found to differ from their rows, as they were found, until they are repaired or differ no more.';
GRANT SELECT, INSERT, DELETE ON operations.counter_discrepancies TO tally_petition, tally_claims, tally_voting;
GRANT SELECT ON operations.counter_discrepancies TO tally_operations;
"""

ROUNDS = """
CREATE TABLE operations.reconciliation_rounds (
    job_type   text        PRIMARY KEY,
    until      xid8        NOT NULL,
    ended_time timestamptz NOT NULL DEFAULT statement_timestamp()
);
COMMENT ON COLUMN operations.reconciliation_rounds.until IS 'The next round looks at what moved from this transaction on.';
GRANT SELECT, INSERT, UPDATE ON operations.reconciliation_rounds TO tally_petition, tally_claims, tally_voting;
GRANT SELECT ON operations.reconciliation_rounds TO tally_operations;
"""

# Nobody may delete events; who may call this can have the oldest deleted, and never one of the last hour or one that is still
# to be read. Ids rise with time but for transactions at work, so the oldest come first.
PRUNE = """
CREATE FUNCTION operations.prune_events(retention interval, at_most integer) RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH oldest AS MATERIALIZED (
        SELECT xid, position, created_time FROM operations.events
        WHERE xid < least(pg_snapshot_xmin(pg_current_snapshot()), (SELECT xid FROM operations.job_cursor))
        ORDER BY xid, position
        LIMIT at_most
    ),
    pruned AS (
        DELETE FROM operations.events e USING oldest o
        WHERE e.xid = o.xid AND e.position = o.position
          AND o.created_time < statement_timestamp() - greatest(retention, interval '1 hour')
        RETURNING 1
    )
    SELECT count(*)::integer FROM pruned;
END;
REVOKE EXECUTE ON FUNCTION operations.prune_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION operations.prune_events TO tally_operations;
"""


def upgrade() -> None:
    op.execute(DISCREPANCIES)
    op.execute(ROUNDS)
    op.execute(PRUNE)
