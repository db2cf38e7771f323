"""Users, groups and reputation: a ledger of what people did, and the scores that follow from it."""

from alembic import op

revision = "0011"
down_revision = "0010"

# Roles belong to the whole cluster, so another database may have made it already, even at this moment.
ROLE = """
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tally_reputation') THEN
            CREATE ROLE tally_reputation NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'tally_reputation', 'MEMBER') THEN
        GRANT tally_reputation TO current_user;
    END IF;
END
$$;
"""

# Names, types and defaults of the columns are given by those who read these tables elsewhere; what Tally itself needs besides
# follows after them. Times without a zone are UTC, as every connection of Tally's is.
USERS = """
CREATE SCHEMA reputation;

CREATE TABLE reputation.users (
    id                 uuid        PRIMARY KEY,
    sharing_mode       varchar(20) NOT NULL DEFAULT 'neighborhood',
    verification_level varchar(20) NOT NULL DEFAULT 'full',
    created_at         timestamp   NOT NULL DEFAULT now(),
    registered_at      timestamp
);
COMMENT ON COLUMN reputation.users.registered_at IS 'NULL for somebody known only by what they did.';

CREATE TABLE reputation.community_groups (
    id                    uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    telegram_group_id     bigint       UNIQUE,
    name                  varchar(255) NOT NULL CHECK (char_length(name) >= 1),
    group_type            varchar(20)  NOT NULL CHECK (group_type IN ('neighborhood', 'community')),
    verification_required boolean      NOT NULL DEFAULT false,
    admin_user_id         uuid         REFERENCES reputation.users (id),
    created_at            timestamp    NOT NULL DEFAULT now(),
    member_count          integer      NOT NULL DEFAULT 0 CHECK (member_count >= 0),
    admin_count           integer      NOT NULL DEFAULT 0 CHECK (admin_count >= 0),
    version               bigint       NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
COMMENT ON COLUMN reputation.community_groups.member_count IS
    'Rows of reputation.group_members that have not left, at every commit. Changed only under the row''s lock.';

CREATE TABLE reputation.group_members (
    group_id    uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    role        varchar(20) NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'moderator', 'admin')),
    joined_time timestamptz NOT NULL,
    left_time   timestamptz,
    PRIMARY KEY (group_id, user_id)
);

-- Each change of a membership, by which request: what a repeated request is answered from, and who became what when.
CREATE TABLE reputation.group_member_changes (
    group_id     uuid        NOT NULL,
    user_id      uuid        NOT NULL,
    request_id   uuid        NOT NULL,
    change       text        NOT NULL CHECK (change IN ('joined', 'left', 'role_set')),
    role         varchar(20) NOT NULL,
    actor_id     uuid        NOT NULL,
    joined_time  timestamptz NOT NULL,
    member_count integer     NOT NULL,
    commit_xid   xid8        NOT NULL DEFAULT pg_current_xact_id(),
    change_time  timestamptz NOT NULL,
    PRIMARY KEY (group_id, user_id, request_id)
);

CREATE TABLE reputation.mode_transition_events (
    id         uuid         PRIMARY KEY,
    user_id    uuid         REFERENCES reputation.users (id),
    from_mode  varchar(20),
    to_mode    varchar(20),
    reason     text,
    stream_id  varchar(100),
    created_at timestamp    NOT NULL DEFAULT now()
);
"""

LEDGER = """
CREATE TABLE reputation.user_global_reputation (
    user_id                   uuid         PRIMARY KEY REFERENCES reputation.users (id),
    overall_score             decimal(4,2) NOT NULL DEFAULT 75.00 CHECK (overall_score BETWEEN 0.00 AND 99.99),
    trust_level               varchar(20)  NOT NULL DEFAULT 'developing'
        CHECK (trust_level IN ('restricted', 'limited', 'developing', 'trusted', 'exemplary')),
    total_food_shared         integer      NOT NULL DEFAULT 0 CHECK (total_food_shared >= 0),
    total_food_claimed        integer      NOT NULL DEFAULT 0 CHECK (total_food_claimed >= 0),
    total_exchanges_completed integer      NOT NULL DEFAULT 0 CHECK (total_exchanges_completed >= 0),
    total_groups_participated integer      NOT NULL DEFAULT 0 CHECK (total_groups_participated >= 0),
    avg_food_rating           decimal(3,2) NOT NULL DEFAULT 0.00,
    avg_recipient_rating      decimal(3,2) NOT NULL DEFAULT 0.00,
    reliability_score         decimal(4,2) NOT NULL DEFAULT 75.00,
    reported_incidents        integer      NOT NULL DEFAULT 0 CHECK (reported_incidents >= 0),
    resolved_disputes         integer      NOT NULL DEFAULT 0 CHECK (resolved_disputes >= 0),
    community_contributions   integer      NOT NULL DEFAULT 0 CHECK (community_contributions >= 0),
    account_age_days          integer      NOT NULL DEFAULT 0,
    last_activity             timestamp    NOT NULL DEFAULT now(),
    reputation_updated_at     timestamp    NOT NULL DEFAULT now(),
    peak_reputation           decimal(4,2) NOT NULL DEFAULT 75.00,
    reputation_trend          varchar(10)  NOT NULL DEFAULT 'stable'
        CHECK (reputation_trend IN ('falling', 'stable', 'rising')),
    last_stream_event_id      varchar(100),
    stream_lag_seconds        integer      NOT NULL DEFAULT 0,
    reputation_sync_status    varchar(20)  NOT NULL DEFAULT 'synced',
    version                   bigint       NOT NULL DEFAULT 0,
    event_count               integer      NOT NULL DEFAULT 0 CHECK (event_count >= 0),
    no_show_count             integer      NOT NULL DEFAULT 0 CHECK (no_show_count >= 0),
    food_rating_count         integer      NOT NULL DEFAULT 0 CHECK (food_rating_count >= 0),
    food_rating_stars         integer      NOT NULL DEFAULT 0 CHECK (food_rating_stars >= 0),
    recipient_rating_count    integer      NOT NULL DEFAULT 0 CHECK (recipient_rating_count >= 0),
    recipient_rating_stars    integer      NOT NULL DEFAULT 0 CHECK (recipient_rating_stars >= 0),
    demotion_time             timestamp,
    trend_base_score          decimal(4,2) NOT NULL DEFAULT 75.00,
    trend_base_time           timestamp    NOT NULL DEFAULT now(),
    known_since               timestamp    NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
COMMENT ON COLUMN reputation.user_global_reputation.overall_score IS
    '75.00 and what reputation_events moved it by, at every commit. Changed only under the row''s lock.';
COMMENT ON COLUMN reputation.user_global_reputation.known_since IS
    'The created_at of the user, whose row is made in the same transaction: reading a reputation takes one table.';
COMMENT ON COLUMN reputation.user_global_reputation.demotion_time IS
    'When the trust level falls unless the score is high enough for it again; NULL while it is.';

CREATE TABLE reputation.reputation_events (
    id                   uuid         PRIMARY KEY,
    user_id              uuid         REFERENCES reputation.users (id),
    event_type           varchar(50)  NOT NULL CHECK (char_length(event_type) >= 1),
    impact_score         decimal(5,2) NOT NULL,
    previous_score       decimal(4,2) NOT NULL,
    new_score            decimal(4,2) NOT NULL CHECK (new_score BETWEEN 0.00 AND 99.99),
    group_id             uuid         NULL REFERENCES reputation.community_groups (id),
    related_exchange_id  uuid         NULL,
    description          text,
    stream_id            varchar(100),
    stream_partition     integer,
    processed_at         timestamp,
    created_at           timestamp    NOT NULL DEFAULT now(),
    sequence             integer      NOT NULL CHECK (sequence > 0),
    counted_impact       decimal(5,2) NOT NULL,
    cap_day              date         NOT NULL,
    stars                integer      CHECK (stars BETWEEN 1 AND 5),
    reverses_event_id    uuid,
    reversed_by_event_id uuid,
    request_id           uuid,
    commit_xid           xid8         NOT NULL DEFAULT pg_current_xact_id()
);
COMMENT ON COLUMN reputation.reputation_events.impact_score IS 'As asked for.';
COMMENT ON COLUMN reputation.reputation_events.counted_impact IS
    'What of it the cap of its day left. new_score is previous_score and this, held within 0.00..99.99.';
COMMENT ON COLUMN reputation.reputation_events.request_id IS 'NULL where it came from the event stream.';

-- What the events of one type that stand add up to on one day, before the cap: by these alone an event knows what it counts
-- for, in whatever order events come.
CREATE TABLE reputation.daily_impacts (
    user_id    uuid         NOT NULL,
    day        date         NOT NULL,
    event_type varchar(50)  NOT NULL,
    impact_sum decimal(12,2) NOT NULL,
    PRIMARY KEY (user_id, day, event_type)
) WITH (fillfactor = 70);

CREATE TABLE reputation.event_stream_checkpoints (
    consumer_group    varchar(100),
    stream_name       varchar(100),
    last_processed_id varchar(50) NOT NULL,
    processed_at      timestamp   NOT NULL DEFAULT now(),
    lag_seconds       integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (consumer_group, stream_name)
);

CREATE TABLE reputation.requests (
    request_id   uuid        PRIMARY KEY,
    fingerprint  bytea       NOT NULL,
    answer       jsonb,
    commit_xid   xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created_time timestamptz NOT NULL DEFAULT now()
);
"""

RIGHTS = """
GRANT USAGE ON SCHEMA operations TO tally_reputation;
GRANT SELECT ON operations.halt TO tally_reputation;
GRANT SELECT, INSERT ON operations.events TO tally_reputation;
GRANT INSERT ON operations.counter_repairs TO tally_reputation;
GRANT SELECT, INSERT, DELETE ON operations.counter_discrepancies TO tally_reputation;
GRANT SELECT, INSERT, UPDATE ON operations.reconciliation_rounds TO tally_reputation;
GRANT USAGE ON SCHEMA reputation TO tally_reputation, tally_aggregator;
GRANT SELECT, INSERT, UPDATE ON
    reputation.users, reputation.community_groups, reputation.group_members, reputation.user_global_reputation,
    reputation.daily_impacts, reputation.event_stream_checkpoints, reputation.requests
    TO tally_reputation;
GRANT SELECT, INSERT, UPDATE (reversed_by_event_id) ON reputation.reputation_events TO tally_reputation;
GRANT SELECT, INSERT ON reputation.group_member_changes, reputation.mode_transition_events TO tally_reputation;
GRANT SELECT ON reputation.user_global_reputation, reputation.community_groups TO tally_aggregator;
"""

# As before, and not what reputation has still to read: a consumer that is down loses nothing.
PRUNE = """
CREATE OR REPLACE FUNCTION operations.prune_events(retention interval, at_most integer) RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH oldest AS MATERIALIZED (
        SELECT xid, position, created_time FROM operations.events
        WHERE xid < least(
            pg_snapshot_xmin(pg_current_snapshot()),
            (SELECT xid FROM operations.job_cursor),
            (SELECT min(split_part(last_processed_id, '-', 1)::xid8) FROM reputation.event_stream_checkpoints)
        )
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
"""


def upgrade() -> None:
    op.execute(ROLE)
    op.execute(USERS)
    op.execute(LEDGER)
    op.execute(RIGHTS)
    op.execute(PRUNE)
