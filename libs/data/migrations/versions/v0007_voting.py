"""Conversations, opinions and votes."""

from alembic import op

revision = "0007"
down_revision = "0006"

# Roles belong to the whole cluster, so another database may have made it already, even at this moment.
ROLE = """
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tally_voting') THEN
            CREATE ROLE tally_voting NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'tally_voting', 'MEMBER') THEN
        GRANT tally_voting TO current_user;
    END IF;
END
$$;
"""

CONVERSATIONS = """
CREATE SCHEMA voting;

CREATE TABLE voting.conversations (
    conversation_id           uuid        PRIMARY KEY,
    title                     text        NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    description               text        NOT NULL CHECK (char_length(description) <= 20000),
    creator_id                uuid,
    external_id               text,
    opinion_count             integer     NOT NULL DEFAULT 0 CHECK (opinion_count >= 0),
    vote_count                integer     NOT NULL DEFAULT 0 CHECK (vote_count >= 0),
    participant_count         integer     NOT NULL DEFAULT 0 CHECK (participant_count >= 0),
    visible_opinion_count     integer     NOT NULL DEFAULT 0 CHECK (visible_opinion_count >= 0),
    visible_vote_count        integer     NOT NULL DEFAULT 0 CHECK (visible_vote_count >= 0),
    visible_participant_count integer     NOT NULL DEFAULT 0 CHECK (visible_participant_count >= 0),
    version                   bigint      NOT NULL DEFAULT 0,
    created_time              timestamptz NOT NULL DEFAULT now(),
    locked_time               timestamptz,
    state                     text        NOT NULL GENERATED ALWAYS AS (
        CASE WHEN locked_time IS NULL THEN 'open' ELSE 'locked' END
    ) STORED
) WITH (fillfactor = 70);
COMMENT ON COLUMN voting.conversations.participant_count IS
    'People with at least one row in voting.votes, at every commit. Changed only under the row''s lock.';
CREATE INDEX conversations_by_time ON voting.conversations (created_time DESC, conversation_id DESC);

-- Requests that are answered again from here; votes and opinions have their own.
CREATE TABLE voting.requests (
    request_id   uuid        PRIMARY KEY,
    fingerprint  bytea       NOT NULL,
    answer       jsonb,
    commit_xid   xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE voting.moderation (
    conversation_id   uuid        NOT NULL,
    moderation_id     uuid        NOT NULL,
    opinion_id        uuid,
    moderation_action text        NOT NULL
        CHECK (moderation_action IN ('lock', 'unlock', 'accept', 'move', 'hide', 'restore', 'delete')),
    moderator_id      uuid        NOT NULL,
    reason            text        NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500),
    created_time      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, moderation_id)
);
COMMENT ON COLUMN voting.moderation.opinion_id IS 'NULL where the conversation itself was moderated.';
CREATE INDEX moderation_by_action ON voting.moderation (conversation_id, moderation_action);
"""

# Ranks stand in the indexes for the counters they follow from, because they change less often: an update that leaves them as
# they are touches no index. Polis' priority of an opinion, whose extremity is not known, in steps of a factor of sqrt(2).
PRIORITY = """
CREATE FUNCTION voting.priority_rank(agrees integer, disagrees integer, passes integer) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN floor(4 * ln(
        (1 - (passes + 1.0::float8) / (agrees + disagrees + passes + 2))
        * (agrees + 1.0::float8) / (agrees + disagrees + passes + 2)
        * (1 + 8 * power(2::float8, -least(agrees + disagrees + passes, 1000) / 5.0::float8))
    ) / ln(2::float8))::integer;

-- As it was, but not STRICT, which would keep Postgres from inlining it: an update of 50 opinions took 2.5 times as long.
CREATE OR REPLACE FUNCTION operations.rank_of(n bigint) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN n < 128 THEN n::integer
        ELSE 64 * (length(ltrim(n::bit(64)::text, '0')) - 7)
             + (n >> (length(ltrim(n::bit(64)::text, '0')) - 7))::integer
    END;
"""

# No foreign keys, as of signatures: every insert holds the conversation's row lock, and no conversation is deleted.
OPINIONS = """
CREATE TABLE voting.opinions (
    conversation_id  uuid        NOT NULL,
    opinion_id       uuid        NOT NULL,
    author_id        uuid        NOT NULL,
    body             text        NOT NULL CHECK (char_length(body) <= 1000),
    state            text        NOT NULL CHECK (state IN ('unmoderated', 'accepted', 'moved', 'hidden', 'deleted')),
    agree_count      integer     NOT NULL DEFAULT 0 CHECK (agree_count >= 0),
    disagree_count   integer     NOT NULL DEFAULT 0 CHECK (disagree_count >= 0),
    pass_count       integer     NOT NULL DEFAULT 0 CHECK (pass_count >= 0),
    agree_rank       integer     NOT NULL GENERATED ALWAYS AS (operations.rank_of(agree_count)) STORED,
    controversy_rank integer     NOT NULL GENERATED ALWAYS AS (operations.rank_of(least(agree_count, disagree_count))) STORED,
    priority_rank    integer     NOT NULL GENERATED ALWAYS AS
        (voting.priority_rank(agree_count, disagree_count, pass_count)) STORED,
    external_id      text,
    request_id       uuid,
    commit_xid       xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created_time     timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, opinion_id),
    CONSTRAINT opinions_have_a_body_until_deleted CHECK ((body = '') = (state = 'deleted'))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX opinions_by_request ON voting.opinions (conversation_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX opinions_newest ON voting.opinions (conversation_id, created_time DESC, opinion_id DESC)
    WHERE state IN ('unmoderated', 'accepted');
CREATE INDEX opinions_moderated ON voting.opinions (conversation_id, created_time DESC, opinion_id DESC)
    WHERE state IN ('moved', 'hidden');
CREATE INDEX opinions_top ON voting.opinions (conversation_id, agree_rank DESC, opinion_id DESC)
    WHERE state IN ('unmoderated', 'accepted');
CREATE INDEX opinions_controversial ON voting.opinions (conversation_id, controversy_rank DESC, opinion_id DESC)
    WHERE state IN ('unmoderated', 'accepted');
CREATE INDEX opinions_next ON voting.opinions (conversation_id, priority_rank DESC, opinion_id DESC)
    WHERE state IN ('unmoderated', 'accepted');

-- What the last analysis says of each opinion: how each group voted, four numbers a group (group, agrees, disagrees, passes).
CREATE TABLE voting.opinion_statistics (
    conversation_id uuid      NOT NULL,
    opinion_id      uuid      NOT NULL,
    group_votes     integer[] NOT NULL CHECK (cardinality(group_votes) % 4 = 0),
    PRIMARY KEY (conversation_id, opinion_id)
);

-- The opinions that stand for a group, by the last analysis: place 1 first.
CREATE TABLE voting.group_opinions (
    conversation_id uuid    NOT NULL,
    group_id        integer NOT NULL,
    place           integer NOT NULL,
    opinion_id      uuid    NOT NULL,
    PRIMARY KEY (conversation_id, group_id, place)
);

-- The author's vote on a new opinion that is still to be cast: gone in the transaction that casts it.
CREATE TABLE voting.author_votes_due (
    conversation_id uuid        NOT NULL,
    opinion_id      uuid        NOT NULL,
    author_id       uuid        NOT NULL,
    created_time    timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, opinion_id)
);
CREATE INDEX author_votes_due_by_time ON voting.author_votes_due (created_time);
"""

# 1 agrees, -1 disagrees, 0 passes, as Polis writes it. The numbers a vote was answered with are kept, to be answered again.
VOTES = """
CREATE TABLE voting.votes (
    conversation_id   uuid        NOT NULL,
    user_id           uuid        NOT NULL,
    opinion_id        uuid        NOT NULL,
    vote              smallint    NOT NULL CHECK (vote IN (-1, 0, 1)),
    vote_time         timestamptz NOT NULL,
    request_id        uuid,
    agrees_then       integer,
    disagrees_then    integer,
    passes_then       integer,
    opinions_then     integer,
    votes_then        integer,
    participants_then integer,
    commit_xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (conversation_id, user_id, opinion_id)
) WITH (fillfactor = 90);
COMMENT ON COLUMN voting.votes.request_id IS
    'NULL where the vote was imported, or is its author''s first; so is what it would have been answered.';
CREATE INDEX votes_by_opinion ON voting.votes (conversation_id, opinion_id, user_id);

-- Votes that were changed or taken back, and the taking back itself (vote IS NULL): what a repeated request is answered from.
CREATE TABLE voting.past_votes (
    conversation_id   uuid        NOT NULL,
    user_id           uuid        NOT NULL,
    opinion_id        uuid        NOT NULL,
    request_id        uuid        NOT NULL,
    vote              smallint    CHECK (vote IN (-1, 0, 1)),
    vote_time         timestamptz NOT NULL,
    agrees_then       integer     NOT NULL,
    disagrees_then    integer     NOT NULL,
    passes_then       integer     NOT NULL,
    opinions_then     integer     NOT NULL,
    votes_then        integer     NOT NULL,
    participants_then integer     NOT NULL,
    commit_xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (conversation_id, user_id, opinion_id, request_id)
);

CREATE TABLE voting.participants (
    conversation_id    uuid    NOT NULL,
    user_id            uuid    NOT NULL,
    vote_count         integer NOT NULL DEFAULT 0 CHECK (vote_count >= 0),
    visible_vote_count integer NOT NULL DEFAULT 0 CHECK (visible_vote_count >= 0),
    external_id        text,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 70);

CREATE VIEW voting.visible_votes AS
    SELECT v.conversation_id, v.user_id, v.opinion_id, v.vote
    FROM voting.votes v JOIN voting.opinions o USING (conversation_id, opinion_id)
    WHERE o.state IN ('unmoderated', 'accepted');
"""

RIGHTS = """
GRANT USAGE ON SCHEMA operations TO tally_voting;
GRANT SELECT ON operations.halt TO tally_voting;
GRANT SELECT, INSERT ON operations.events TO tally_voting;
GRANT INSERT ON operations.counter_repairs TO tally_voting;
GRANT USAGE ON SCHEMA voting TO tally_voting, tally_aggregator;
GRANT SELECT, INSERT, UPDATE ON voting.conversations, voting.opinions, voting.participants, voting.requests TO tally_voting;
GRANT SELECT, INSERT ON voting.moderation TO tally_voting;
GRANT SELECT, INSERT, UPDATE, DELETE ON voting.votes, voting.past_votes, voting.author_votes_due, voting.opinion_statistics,
    voting.group_opinions TO tally_voting;
GRANT SELECT ON voting.visible_votes TO tally_voting;
GRANT SELECT ON voting.conversations, voting.opinions TO tally_aggregator;
"""


def upgrade() -> None:
    op.execute(ROLE)
    op.execute(CONVERSATIONS)
    op.execute(PRIORITY)
    op.execute(OPINIONS)
    op.execute(VOTES)
    op.execute(RIGHTS)
