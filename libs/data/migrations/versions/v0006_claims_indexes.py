"""Indexes of food posts and exchanges, built without blocking anybody."""

from alembic import op

from libs.data.migrations.concurrently import create_index

revision = "0006"
down_revision = "0005"

# Those that begin with `idx_` are named by the requirements. A condition on the present time cannot stand in an index, so
# queries say it themselves.
INDEXES = (
    (
        "idx_food_posts_active_location",
        "INDEX",
        "ON claims.food_posts (status, pickup_time, group_id) WHERE status = 'available'",
    ),
    (
        "idx_food_posts_discovery",
        "INDEX",
        "ON claims.food_posts (group_id, status, pickup_time, created_at) WHERE status = 'available'",
    ),
    (
        "food_posts_by_sharing_mode",
        "INDEX",
        "ON claims.food_posts (sharing_mode, pickup_time, created_at) WHERE status = 'available'",
    ),
    (
        "idx_exchanges_group_status",
        "INDEX",
        "ON claims.exchanges (food_id, status, created_at) WHERE status IN ('pending', 'confirmed', 'completed')",
    ),
    ("exchanges_exchange_id", "UNIQUE INDEX", "ON claims.exchanges (exchange_id)"),
    (
        "exchanges_one_at_a_time",
        "UNIQUE INDEX",
        "ON claims.exchanges (food_id, receiver_id) WHERE status IN ('pending', 'confirmed')",
    ),
    ("exchanges_by_post_and_receiver", "INDEX", "ON claims.exchanges (food_id, receiver_id)"),
    ("exchanges_by_receiver", "INDEX", "ON claims.exchanges (receiver_id, exchange_id DESC)"),
    ("exchanges_by_giver", "INDEX", "ON claims.exchanges (giver_id, exchange_id DESC)"),
    ("exchanges_overdue", "INDEX", "ON claims.exchanges (hold_expire_time) WHERE status = 'pending'"),
    # A claim looks for these of its post, and would else read every hold of a post that many claim at once.
    ("exchanges_overdue_of_post", "INDEX", "ON claims.exchanges (food_id, hold_expire_time) WHERE status = 'pending'"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, kind, definition in INDEXES:
            create_index("claims", name, kind, definition)
