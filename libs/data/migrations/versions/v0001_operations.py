"""Events, halt and audit: what every service shares."""

from alembic import op

revision = "0001"
down_revision = None

# Roles belong to the whole cluster, so another database may have made them already, even at this moment.
ROLES = """
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['tally_petition', 'tally_aggregator', 'tally_operations'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        IF NOT pg_has_role(current_user, role_name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO current_user', role_name);
        END IF;
    END LOOP;
END
$$;
"""

TABLES = """
CREATE TABLE operations.halt (
    singleton    boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    halted       boolean     NOT NULL DEFAULT false,
    reason       text        NOT NULL DEFAULT '',
    actor        text        NOT NULL DEFAULT '',
    changed_time timestamptz
);
COMMENT ON TABLE operations.halt IS 'One row; every write transaction reads it after its xid is assigned.';
INSERT INTO operations.halt DEFAULT VALUES;

CREATE TABLE operations.halt_log (
    xid          xid8        NOT NULL DEFAULT pg_current_xact_id() PRIMARY KEY,
    halted       boolean     NOT NULL,
    reason       text        NOT NULL,
    actor        text        NOT NULL,
    changed_time timestamptz NOT NULL
);

CREATE TABLE operations.requests (
    request_id   uuid        PRIMARY KEY,
    fingerprint  bytea       NOT NULL,
    answer       jsonb,
    commit_xid   xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE operations.events (
    xid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    position     integer     NOT NULL,
    kind         text        NOT NULL,
    aggregate_id text        NOT NULL,
    version      bigint      NOT NULL,
    payload      jsonb       NOT NULL,
    created_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (xid, position)
);
COMMENT ON TABLE operations.events IS
    'What committed, in the transaction that did it. Read below pg_snapshot_xmin only: ids do not commit in order.';

CREATE TABLE operations.counter_repairs (
    xid           xid8        NOT NULL DEFAULT pg_current_xact_id(),
    counter       text        NOT NULL,
    resource_id   text        NOT NULL,
    counter_value bigint      NOT NULL,
    counted_value bigint      NOT NULL,
    repaired_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (counter, resource_id, xid)
);

-- Below 128 the count itself; above, its seven leading bits. Order-preserving, and it changes so rarely that an index on it
-- leaves almost all updates of a hot counter heap-only.
CREATE FUNCTION operations.rank_of(n bigint) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE
        WHEN n < 128 THEN n::integer
        ELSE 64 * (length(ltrim(n::bit(64)::text, '0')) - 7)
             + (n >> (length(ltrim(n::bit(64)::text, '0')) - 7))::integer
    END;
"""

RIGHTS = """
GRANT USAGE ON SCHEMA operations TO tally_petition, tally_aggregator, tally_operations;
GRANT SELECT ON operations.halt TO tally_petition, tally_aggregator, tally_operations;
GRANT INSERT ON operations.events, operations.counter_repairs TO tally_petition;
GRANT SELECT ON operations.events TO tally_petition, tally_aggregator;
GRANT SELECT ON operations.schema_revision TO tally_operations;
GRANT INSERT, UPDATE, SELECT ON operations.halt, operations.halt_log, operations.requests TO tally_operations;
GRANT INSERT, SELECT ON operations.events TO tally_operations;
"""


def upgrade() -> None:
    op.execute(ROLES)
    op.execute(TABLES)
    op.execute(RIGHTS)
