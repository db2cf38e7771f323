"""Coupons and their claims; food posts, exchanges and ratings."""

from alembic import op

revision = "0005"
down_revision = "0004"

# Roles belong to the whole cluster, so another database may have made it already, even at this moment.
ROLE = """
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tally_claims') THEN
            CREATE ROLE tally_claims NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'tally_claims', 'MEMBER') THEN
        GRANT tally_claims TO current_user;
    END IF;
END
$$;
"""

# Names are compared byte by byte: as fast as can be, and the same on every machine.
COUPONS = """
CREATE SCHEMA claims;

CREATE TABLE claims.coupons (
    name             text COLLATE "C" PRIMARY KEY CHECK (char_length(name) BETWEEN 1 AND 255),
    amount           integer     NOT NULL CHECK (amount >= 1),
    restocked_amount integer     NOT NULL DEFAULT 0 CHECK (restocked_amount >= 0),
    remaining_amount integer     NOT NULL CHECK (remaining_amount >= 0),
    claim_count      integer     NOT NULL DEFAULT 0 CHECK (claim_count >= 0),
    waiting_count    integer     NOT NULL DEFAULT 0 CHECK (waiting_count >= 0),
    last_position    integer     NOT NULL DEFAULT 0 CHECK (last_position >= 0),
    version          bigint      NOT NULL DEFAULT 0,
    created_time     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT coupons_stock_adds_up
        CHECK (remaining_amount::bigint + claim_count = amount::bigint + restocked_amount),
    CONSTRAINT coupons_nobody_waits_beside_stock CHECK (remaining_amount = 0 OR waiting_count = 0)
) WITH (fillfactor = 70);
COMMENT ON COLUMN claims.coupons.remaining_amount IS
    'amount + restocked_amount less the rows of claims.claims, at every commit. Changed only under the row''s lock.';

-- No foreign key, as of signatures: every insert holds the coupon's row lock, and coupons are never deleted.
CREATE TABLE claims.claims (
    coupon_name      text COLLATE "C" NOT NULL,
    user_id          uuid        NOT NULL,
    ordinal          integer     NOT NULL CHECK (ordinal > 0),
    remaining_amount integer     NOT NULL,
    request_id       uuid        NOT NULL,
    commit_xid       xid8        NOT NULL DEFAULT pg_current_xact_id(),
    claimed_time     timestamptz NOT NULL,
    PRIMARY KEY (coupon_name, ordinal),
    UNIQUE (user_id, coupon_name)
);
COMMENT ON COLUMN claims.claims.remaining_amount IS
    'What was left just after this claim: what the claimant was answered, and is answered again.';

CREATE TABLE claims.waitlist (
    coupon_name text COLLATE "C" NOT NULL,
    position    integer     NOT NULL CHECK (position > 0),
    user_id     uuid        NOT NULL,
    request_id  uuid        NOT NULL,
    commit_xid  xid8        NOT NULL DEFAULT pg_current_xact_id(),
    joined_time timestamptz NOT NULL,
    served_time timestamptz,
    PRIMARY KEY (coupon_name, position),
    UNIQUE (user_id, coupon_name)
);
CREATE INDEX waitlist_waiting ON claims.waitlist (coupon_name, position) WHERE served_time IS NULL;
"""

# The status follows from what it depends on, so it cannot disagree with it, and an index on it changes only when it does.
FOOD = """
CREATE TABLE claims.food_posts (
    food_post_id       uuid        PRIMARY KEY,
    title              text        NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    group_id           uuid,
    sharing_mode       text        NOT NULL CHECK (char_length(sharing_mode) BETWEEN 1 AND 20),
    giver_id           uuid        NOT NULL,
    portions           integer     NOT NULL CHECK (portions >= 1),
    portions_remaining integer     NOT NULL CHECK (portions_remaining >= 0),
    portions_held      integer     NOT NULL DEFAULT 0 CHECK (portions_held >= 0),
    portions_claimed   integer     NOT NULL DEFAULT 0 CHECK (portions_claimed >= 0),
    completed_count    integer     NOT NULL DEFAULT 0 CHECK (completed_count >= 0),
    pickup_time        timestamptz NOT NULL,
    version            bigint      NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL DEFAULT now(),
    closed_time        timestamptz,
    status             text        NOT NULL GENERATED ALWAYS AS (
        CASE WHEN closed_time IS NOT NULL THEN 'closed' WHEN portions_remaining = 0 THEN 'exhausted' ELSE 'available' END
    ) STORED,
    CONSTRAINT food_posts_portions_add_up
        CHECK (portions_remaining::bigint + portions_held + portions_claimed = portions)
) WITH (fillfactor = 70);

CREATE TABLE claims.exchanges (
    food_id          uuid        NOT NULL,
    exchange_id      uuid        NOT NULL,
    giver_id         uuid        NOT NULL,
    receiver_id      uuid        NOT NULL,
    portions         integer     NOT NULL CHECK (portions >= 1),
    status           text        NOT NULL CHECK (status IN ('pending', 'confirmed', 'completed', 'cancelled', 'expired')),
    hold_expire_time timestamptz NOT NULL,
    created_at       timestamptz NOT NULL,
    status_time      timestamptz NOT NULL,
    PRIMARY KEY (food_id, exchange_id)
) WITH (fillfactor = 70);

-- Each status an exchange came to, by whom and by which request: what a repeated request is answered from.
CREATE TABLE claims.exchange_steps (
    food_id     uuid        NOT NULL,
    exchange_id uuid        NOT NULL,
    status      text        NOT NULL,
    actor_id    uuid,
    request_id  uuid,
    commit_xid  xid8        NOT NULL DEFAULT pg_current_xact_id(),
    step_time   timestamptz NOT NULL,
    PRIMARY KEY (food_id, exchange_id, status)
);
COMMENT ON COLUMN claims.exchange_steps.actor_id IS 'NULL where a hold expired by itself.';

CREATE TABLE claims.ratings (
    food_id     uuid        NOT NULL,
    exchange_id uuid        NOT NULL,
    rater_id    uuid        NOT NULL,
    rated_id    uuid        NOT NULL,
    stars       integer     NOT NULL CHECK (stars BETWEEN 1 AND 5),
    comment     text        NOT NULL CHECK (char_length(comment) <= 1000),
    request_id  uuid        NOT NULL,
    commit_xid  xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (food_id, exchange_id, rater_id)
);

CREATE TABLE claims.requests (
    request_id   uuid        PRIMARY KEY,
    fingerprint  bytea       NOT NULL,
    answer       jsonb,
    commit_xid   xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created_time timestamptz NOT NULL DEFAULT now()
);
"""

RIGHTS = """
GRANT USAGE ON SCHEMA operations TO tally_claims;
GRANT SELECT ON operations.halt TO tally_claims;
GRANT SELECT, INSERT ON operations.events TO tally_claims;
GRANT INSERT ON operations.counter_repairs TO tally_claims;
GRANT USAGE ON SCHEMA claims TO tally_claims, tally_aggregator;
GRANT SELECT, INSERT, UPDATE ON claims.coupons, claims.waitlist, claims.food_posts, claims.exchanges, claims.requests
    TO tally_claims;
GRANT SELECT, INSERT ON claims.claims, claims.exchange_steps, claims.ratings TO tally_claims;
GRANT SELECT ON claims.coupons, claims.food_posts TO tally_aggregator;
"""


def upgrade() -> None:
    op.execute(ROLE)
    op.execute(COUPONS)
    op.execute(FOOD)
    op.execute(RIGHTS)
