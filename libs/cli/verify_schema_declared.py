"""What other readers of the database rely on: tables, columns and indexes whose names, types and defaults were agreed on.

As Postgres' catalogs word them. A table may have further columns of Tally's own.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """A column.

    Args:
        default: without the cast that Postgres shows; empty for none.
        null: whether it may be NULL; None where that was not agreed on.
        words: all that it may hold; empty if anything.
    """

    type: str
    default: str = ""
    null: bool | None = None
    words: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        foreign_keys: by column, the table whose `id` it holds.
        unique: columns without two rows alike.
    """

    columns: dict[str, Column]
    primary_key: tuple[str, ...]
    foreign_keys: dict[str, str] = field(default_factory=dict)
    unique: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """A materialized view: its columns with their types, in order."""

    columns: dict[str, str]
    unique: tuple[str, ...]


def _varchar(n: int, default: str = "", *, null: bool | None = None, words: tuple[str, ...] = ()) -> Column:
    return Column(f"character varying({n})", default, null, frozenset(words))


def _decimal(digits: int, default: str = "", *, null: bool | None = None) -> Column:
    return Column(f"numeric({digits},2)", default, null)


_UUID = Column("uuid")
_NOW = Column("timestamp without time zone", "now()")
_TIME = Column("timestamp without time zone")
_TEXT = Column("text")
_INTEGER = Column("integer")
_COUNT = Column("integer", "0")

USERS, GROUPS = "reputation.users", "reputation.community_groups"

TABLES = {
    USERS: Table(
        {
            "id": _UUID,
            "sharing_mode": _varchar(20, "'neighborhood'"),
            "verification_level": _varchar(20, "'full'"),
            "created_at": _NOW,
        },
        ("id",),
    ),
    GROUPS: Table(
        {
            "id": Column("uuid", "gen_random_uuid()"),
            "telegram_group_id": Column("bigint"),
            "name": _varchar(255, null=False),
            "group_type": _varchar(20, null=False, words=("neighborhood", "community")),
            "verification_required": Column("boolean", "false"),
            "admin_user_id": _UUID,
            "created_at": _NOW,
        },
        ("id",),
        foreign_keys={"admin_user_id": USERS},
        unique=("telegram_group_id",),
    ),
    "reputation.user_global_reputation": Table(
        {
            "user_id": _UUID,
            "overall_score": _decimal(4, "75.00"),
            "trust_level": _varchar(20, "'developing'"),
            "total_food_shared": _COUNT,
            "total_food_claimed": _COUNT,
            "total_exchanges_completed": _COUNT,
            "total_groups_participated": _COUNT,
            "avg_food_rating": _decimal(3, "0.00"),
            "avg_recipient_rating": _decimal(3, "0.00"),
            "reliability_score": _decimal(4, "75.00"),
            "reported_incidents": _COUNT,
            "resolved_disputes": _COUNT,
            "community_contributions": _COUNT,
            "account_age_days": _COUNT,
            "last_activity": _NOW,
            "reputation_updated_at": _NOW,
            "peak_reputation": _decimal(4, "75.00"),
            "reputation_trend": _varchar(10, "'stable'"),
            "last_stream_event_id": _varchar(100),
            "stream_lag_seconds": _COUNT,
            "reputation_sync_status": _varchar(20, "'synced'"),
        },
        ("user_id",),
        foreign_keys={"user_id": USERS},
    ),
    "reputation.reputation_events": Table(
        {
            "id": _UUID,
            "user_id": _UUID,
            "event_type": _varchar(50, null=False),
            "impact_score": _decimal(5, null=False),
            "previous_score": _decimal(4, null=False),
            "new_score": _decimal(4, null=False),
            "group_id": Column("uuid", null=True),
            "related_exchange_id": Column("uuid", null=True),
            "description": _TEXT,
            "stream_id": _varchar(100),
            "stream_partition": _INTEGER,
            "processed_at": _TIME,
            "created_at": _NOW,
        },
        ("id",),
        foreign_keys={"user_id": USERS, "group_id": GROUPS},
    ),
    "reputation.mode_transition_events": Table(
        {
            "id": _UUID,
            "user_id": _UUID,
            "from_mode": _varchar(20),
            "to_mode": _varchar(20),
            "reason": _TEXT,
            "stream_id": _varchar(100),
            "created_at": _NOW,
        },
        ("id",),
        foreign_keys={"user_id": USERS},
    ),
    "reputation.event_stream_checkpoints": Table(
        {
            "consumer_group": _varchar(100),
            "stream_name": _varchar(100),
            "last_processed_id": _varchar(50, null=False),
            "processed_at": _NOW,
            "lag_seconds": _COUNT,
        },
        ("consumer_group", "stream_name"),
    ),
}

# Without the conditions on the present time that were asked for: no index can have them.
INDEXES = {
    "claims.idx_food_posts_active_location": (
        "ON claims.food_posts USING btree (status, pickup_time, group_id) WHERE (status = 'available'::text)"
    ),
    "claims.idx_food_posts_discovery": (
        "ON claims.food_posts USING btree (group_id, status, pickup_time, created_at) WHERE (status = 'available'::text)"
    ),
    "claims.idx_exchanges_group_status": (
        "ON claims.exchanges USING btree (food_id, status, created_at) "
        "WHERE (status = ANY (ARRAY['pending'::text, 'confirmed'::text, 'completed'::text]))"
    ),
    "reputation.idx_users_reputation_active": (
        "ON reputation.user_global_reputation USING btree (trust_level, overall_score, last_activity)"
    ),
    "reputation.idx_users_sharing_mode": (
        "ON reputation.users USING btree (sharing_mode, verification_level, created_at)"
    ),
    "reputation.idx_community_groups_telegram": (
        "ON reputation.community_groups USING btree (telegram_group_id, group_type, admin_user_id)"
    ),
    "reputation.idx_reputation_events_user_recent": (
        "ON reputation.reputation_events USING btree (user_id, created_at DESC)"
    ),
    "reputation.idx_reputation_events_stream": (
        "ON reputation.reputation_events USING btree (stream_partition, stream_id, processed_at)"
    ),
}

VIEWS = {
    "reputation.group_activity_summary": View(
        {
            "group_id": "uuid",
            "group_name": "character varying(255)",
            "group_type": "character varying(20)",
            "active_members": "bigint",
            "food_posts_30d": "bigint",
            "avg_rating": "numeric",
            "successful_exchanges_30d": "bigint",
            "last_food_post": "timestamp with time zone",
        },
        unique=("group_id",),
    ),
}
