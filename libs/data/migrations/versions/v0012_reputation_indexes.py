"""Indexes of users, groups and the ledger, built without blocking anybody."""

from alembic import op

from libs.data.migrations.concurrently import create_index

revision = "0012"
down_revision = "0011"

# Those that begin with `idx_` are named by the requirements.
INDEXES = (
    (
        "idx_users_reputation_active",
        "INDEX",
        "ON reputation.user_global_reputation (trust_level, overall_score, last_activity)",
    ),
    ("idx_users_sharing_mode", "INDEX", "ON reputation.users (sharing_mode, verification_level, created_at)"),
    (
        "idx_community_groups_telegram",
        "INDEX",
        "ON reputation.community_groups (telegram_group_id, group_type, admin_user_id)",
    ),
    ("idx_reputation_events_user_recent", "INDEX", "ON reputation.reputation_events (user_id, created_at DESC)"),
    (
        "idx_reputation_events_stream",
        "INDEX",
        "ON reputation.reputation_events (stream_partition, stream_id, processed_at)",
    ),
    # The score is in an index of those above, so these cost no update its being heap-only. Their condition is that of every row
    # and of the rankings' statements alone: while few different scores are stored, Postgres would look up users in them too,
    # skipping from score to score, and go on doing so by a kept plan when there are many.
    (
        "user_global_reputation_leaders",
        "INDEX",
        "ON reputation.user_global_reputation (overall_score, user_id) WHERE overall_score >= 0.00",
    ),
    (
        "user_global_reputation_leaders_of_level",
        "INDEX",
        "ON reputation.user_global_reputation (upper(trust_level), overall_score, user_id) WHERE overall_score >= 0.00",
    ),
    (
        "user_global_reputation_demotions",
        "INDEX",
        "ON reputation.user_global_reputation (demotion_time) WHERE demotion_time IS NOT NULL",
    ),
    ("reputation_events_sequence", "UNIQUE INDEX", "ON reputation.reputation_events (user_id, sequence)"),
    (
        "reputation_events_request",
        "UNIQUE INDEX",
        "ON reputation.reputation_events (user_id, request_id) WHERE request_id IS NOT NULL",
    ),
    # What comes from the stream has its effect on a user once, whoever applies it and however often.
    (
        "reputation_events_once",
        "UNIQUE INDEX",
        "ON reputation.reputation_events (user_id, stream_id) WHERE stream_id IS NOT NULL",
    ),
    ("community_groups_by_name", "INDEX", "ON reputation.community_groups (name, id)"),
    ("community_groups_by_type", "INDEX", "ON reputation.community_groups (group_type, name, id)"),
    # Of those who are members: a page of them reads nobody who left.
    (
        "group_members_in_order",
        "INDEX",
        "ON reputation.group_members (group_id, joined_time, user_id) WHERE left_time IS NULL",
    ),
    ("group_members_by_user", "INDEX", "ON reputation.group_members (user_id, group_id)"),
)

# What reputation reads of the event stream, by partition: what others tell costs it nothing, nor does it cost them.
STREAM = """
ON operations.events ((hashtextextended(aggregate_id, 0) & 7), xid, position)
WHERE kind IN ('exchange.completed', 'exchange.expired', 'exchange.rated', 'opinion.moderated', 'petition.escalated',
               'petition.escalation_reversed')
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        create_index("operations", "events_of_reputation", "INDEX", STREAM)
        for name, kind, definition in INDEXES:
            create_index("reputation", name, kind, definition)
