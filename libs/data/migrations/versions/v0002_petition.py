"""Petitions and their signatures."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE SCHEMA petition;

-- Updated thousands of times a second: room for heap-only updates, and long texts kept out of the copied row.
CREATE TABLE petition.petition_submissions (
    petition_id           uuid        PRIMARY KEY,
    title                 text        NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    body                  text        NOT NULL CHECK (char_length(body) BETWEEN 1 AND 20000),
    petition_type         text        NOT NULL CHECK (char_length(petition_type) BETWEEN 1 AND 50),
    submitter_id          uuid        NOT NULL,
    state                 text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed', 'withdrawn')),
    escalation_thresholds integer[]   NOT NULL,
    last_ordinal          integer     NOT NULL DEFAULT 0 CHECK (last_ordinal >= 0),
    version               bigint      NOT NULL DEFAULT 0,
    created_time          timestamptz NOT NULL DEFAULT now(),
    closed_time           timestamptz
) WITH (fillfactor = 70, toast_tuple_target = 256);

-- The signatures that stand. No foreign key: every insert holds the petition's row lock, petitions are never deleted, and a
-- trigger a row adds a quarter to the cost of a bulk insert (docs/decisions/0102).
CREATE TABLE petition.co_signs (
    petition_id     uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    ordinal         integer     NOT NULL CHECK (ordinal > 0),
    co_signer_count integer     NOT NULL,
    region_code     text,
    request_id      uuid        NOT NULL,
    commit_xid      xid8        NOT NULL DEFAULT pg_current_xact_id(),
    signed_time     timestamptz NOT NULL,
    PRIMARY KEY (petition_id, user_id)
);
COMMENT ON COLUMN petition.co_signs.co_signer_count IS
    'The petition''s count just after this signature: what the signer was answered, and is answered again.';

-- Signed by time is signed by place in the table: a block range index costs nothing to keep.
CREATE INDEX co_signs_signed_time ON petition.co_signs USING brin (signed_time) WITH (pages_per_range = 32);

-- Signatures that no longer stand: withdrawn by their signer or invalidated for fraud.
CREATE TABLE petition.removed_co_signs (
    petition_id        uuid        NOT NULL,
    user_id            uuid        NOT NULL,
    ordinal            integer     NOT NULL,
    co_signer_count    integer     NOT NULL,
    region_code        text,
    request_id         uuid        NOT NULL,
    commit_xid         xid8        NOT NULL,
    signed_time        timestamptz NOT NULL,
    removal            text        NOT NULL CHECK (removal IN ('withdrawn', 'invalidated')),
    reason             text        NOT NULL,
    removal_request_id uuid        NOT NULL,
    removal_count      integer     NOT NULL,
    removal_xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    removed_time       timestamptz NOT NULL,
    PRIMARY KEY (petition_id, user_id, ordinal)
);

CREATE TABLE petition.region_counts (
    petition_id     uuid    NOT NULL REFERENCES petition.petition_submissions,
    region_code     text    NOT NULL,
    co_signer_count integer NOT NULL CHECK (co_signer_count >= 0),
    PRIMARY KEY (petition_id, region_code)
) WITH (fillfactor = 70);
COMMENT ON TABLE petition.region_counts IS
    'Signatures by region code; those without a code are the petition''s count less the sum of these.';

CREATE TABLE petition.escalations (
    petition_id     uuid        NOT NULL REFERENCES petition.petition_submissions,
    version         bigint      NOT NULL,
    position        integer     NOT NULL,
    threshold       integer     NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('crossed', 'reversed')),
    co_signer_count integer     NOT NULL,
    ordinal         integer     NOT NULL,
    recorded_time   timestamptz NOT NULL,
    PRIMARY KEY (petition_id, version, position)
);

CREATE TABLE petition.requests (
    request_id   uuid        PRIMARY KEY,
    fingerprint  bytea       NOT NULL,
    answer       jsonb,
    commit_xid   xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created_time timestamptz NOT NULL DEFAULT now()
);
"""

RIGHTS = """
GRANT USAGE ON SCHEMA petition TO tally_petition, tally_aggregator;
GRANT SELECT, INSERT, UPDATE ON petition.petition_submissions, petition.region_counts, petition.requests TO tally_petition;
GRANT SELECT, INSERT, DELETE ON petition.co_signs TO tally_petition;
GRANT SELECT, INSERT ON petition.removed_co_signs, petition.escalations TO tally_petition;
GRANT SELECT ON petition.petition_submissions, petition.region_counts TO tally_aggregator;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(RIGHTS)
