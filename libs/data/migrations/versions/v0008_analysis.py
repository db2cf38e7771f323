"""Analyses of conversations, and which opinions to vote on next by them."""

from alembic import op

from libs.data.migrations.concurrently import create_index

revision = "0008"
down_revision = "0007"

# One row a conversation, replaced whole: what belongs to one analysis is never seen beside what belongs to the next.
ANALYSES = """
CREATE TABLE IF NOT EXISTS voting.analyses (
    conversation_id      uuid               PRIMARY KEY,
    version              bigint             NOT NULL CHECK (version >= 1),
    conversation_version bigint             NOT NULL,
    horizon              xid8               NOT NULL,
    computed_time        timestamptz        NOT NULL,
    vote_count           integer            NOT NULL CHECK (vote_count >= 0),
    participant_count    integer            NOT NULL CHECK (participant_count >= 0),
    group_count          integer            NOT NULL CHECK (group_count >= 0),
    analysis             bytea              NOT NULL,
    participants         bytea              NOT NULL,
    participant_ids      uuid[]             NOT NULL,
    participant_xs       double precision[] NOT NULL CHECK (cardinality(participant_xs) = cardinality(participant_ids)),
    participant_ys       double precision[] NOT NULL CHECK (cardinality(participant_ys) = cardinality(participant_ids)),
    participant_groups   integer[]          NOT NULL CHECK (cardinality(participant_groups) = cardinality(participant_ids)),
    state                bytea              NOT NULL
);
COMMENT ON COLUMN voting.analyses.conversation_version IS 'Of the conversation whose votes were read.';
COMMENT ON COLUMN voting.analyses.horizon IS 'Every opinion that an earlier transaction added is in the analysis.';
COMMENT ON COLUMN voting.analyses.analysis IS 'A tally.voting.v1.Analysis without its participants.';
COMMENT ON COLUMN voting.analyses.participants IS 'A tally.voting.v1.Analysis with its participants alone.';
COMMENT ON COLUMN voting.analyses.participant_groups IS 'NULL of a person who is in none.';
COMMENT ON COLUMN voting.analyses.state IS 'What the next analysis starts from.';
"""
# Numbers do not get smaller by compressing, and what is not compressed is read in part.
UNCOMPRESSED = (
    "analysis",
    "participants",
    "participant_ids",
    "participant_xs",
    "participant_ys",
    "participant_groups",
    "state",
)

# On a row of its own, because changing the opinion's would have those who vote on it wait. Not `priority_rank`: the release
# before this one joins both tables, and names that column alone.
STATISTICS = """
ALTER TABLE voting.opinion_statistics ADD COLUMN IF NOT EXISTS analysed_rank integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN voting.opinion_statistics.analysed_rank IS
    'Of the priority in the last analysis, in the steps of voting.priority_rank.';
ALTER TABLE voting.opinion_statistics SET (fillfactor = 80);
GRANT SELECT, INSERT, UPDATE ON voting.analyses TO tally_voting;
"""

INDEXES = (
    (
        "opinion_statistics_by_priority",
        "ON voting.opinion_statistics (conversation_id, analysed_rank DESC, opinion_id DESC)",
    ),
    # Those that came after an analysis.
    (
        "opinions_by_commit",
        "ON voting.opinions (conversation_id, commit_xid) WHERE state IN ('unmoderated', 'accepted')",
    ),
)


def upgrade() -> None:
    op.execute(ANALYSES)
    for column in UNCOMPRESSED:
        op.execute(f"ALTER TABLE voting.analyses ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.execute(STATISTICS)
    with op.get_context().autocommit_block():
        for name, definition in INDEXES:
            create_index("voting", name, "INDEX", definition)
