"""The counters of users' ledgers and of groups."""

from libs.data.counters import CountedRows, Counter
from libs.data.tables import Table

# What the ledger of a user follows from is locked with it; what follows from the ledger is written with its counters.
USERS = Table(
    name="reputation.user_global_reputation",
    key="user_id",
    locked_columns=(
        "overall_score",
        "trust_level",
        "total_food_shared",
        "total_food_claimed",
        "total_exchanges_completed",
        "total_groups_participated",
        "reported_incidents",
        "resolved_disputes",
        "community_contributions",
        "last_activity",
        "reputation_updated_at",
        "peak_reputation",
        "last_stream_event_id",
        "stream_lag_seconds",
        "reputation_sync_status",
        "event_count",
        "no_show_count",
        "food_rating_count",
        "food_rating_stars",
        "recipient_rating_count",
        "recipient_rating_stars",
        "demotion_time",
        "trend_base_score",
        "trend_base_time",
        "known_since",
    ),
    aggregate="user",
    tells_moved_only=True,
    written_columns={
        "trust_level": "text",
        "avg_food_rating": "numeric",
        "avg_recipient_rating": "numeric",
        "reliability_score": "numeric",
        "account_age_days": "integer",
        "last_activity": "timestamp",
        "reputation_updated_at": "timestamp",
        "peak_reputation": "numeric",
        "reputation_trend": "text",
        "last_stream_event_id": "text",
        "stream_lag_seconds": "integer",
        "reputation_sync_status": "text",
        "demotion_time": "timestamp",
        "trend_base_score": "numeric",
        "trend_base_time": "timestamp",
    },
)

_LEDGER = "reputation.reputation_events"

SCORE = Counter(
    name="reputation.score",
    description="A user's score, in hundredths of a point.",
    aggregate=USERS,
    column="overall_score",
    scale=100,
    # The chain: what remains of the 75.00 that everybody starts with.
    counts=CountedRows(_LEDGER, ("user_id",), quantity="((previous_score - new_score) * 100)::bigint"),
    remains_of="7500",
    rank_column="overall_score",
    # Of every row, and what the index of the ranking says.
    listed="t.overall_score >= 0.00",
)

EVENTS = Counter(
    name="reputation.events",
    description="Events in a user's ledger, reversals included.",
    aggregate=USERS,
    column="event_count",
    counts=CountedRows(_LEDGER, ("user_id",)),
)


# What an event moves besides the score: each total, and the types of events that it counts, or whose stars it adds up.
LEDGER_TOTALS: dict[Counter, tuple[str, ...]] = {}


def _of_types(name: str, description: str, column: str, *types: str, quantity: str = "", where: str = "") -> Counter:
    """Counts the events of some types that stand: those taken back do not."""
    wanted = ", ".join(f"'{type_}'" for type_ in types)
    where = f"event_type IN ({wanted}) AND reversed_by_event_id IS NULL{where}"
    counter = Counter(
        name=name,
        description=description,
        aggregate=USERS,
        column=column,
        counts=CountedRows(_LEDGER, ("user_id",), where=where, quantity=quantity),
    )
    LEDGER_TOTALS[counter] = types
    return counter


FOOD_SHARED = _of_types(
    "reputation.food_shared", "Exchanges a user completed as the giver.", "total_food_shared", "food_shared"
)
FOOD_CLAIMED = _of_types(
    "reputation.food_claimed", "Exchanges a user completed as the receiver.", "total_food_claimed", "food_claimed"
)
USER_EXCHANGES = _of_types(
    "reputation.exchanges_completed",
    "Exchanges a user completed.",
    "total_exchanges_completed",
    "food_shared",
    "food_claimed",
)
NO_SHOWS = _of_types("reputation.no_shows", "Holds of food that a user let expire.", "no_show_count", "claim_expired")
INCIDENTS = _of_types(
    "reputation.incidents", "Incidents reported of a user.", "reported_incidents", "incident_reported"
)
DISPUTES = _of_types(
    "reputation.disputes_resolved", "Disputes of a user that were resolved.", "resolved_disputes", "dispute_resolved"
)
CONTRIBUTIONS = _of_types(
    "reputation.contributions",
    "What a user contributed: petitions escalated, opinions accepted and the like.",
    "community_contributions",
    "petition_escalated",
    "opinion_accepted",
    "community_contribution",
)
FOOD_RATINGS = _of_types(
    "reputation.food_ratings",
    "Ratings a user got as the giver.",
    "food_rating_count",
    "food_rated",
    where=" AND stars IS NOT NULL",
)
FOOD_STARS = _of_types(
    "reputation.food_stars",
    "Stars of the ratings a user got as the giver, added up.",
    "food_rating_stars",
    "food_rated",
    quantity="stars",
)
RECIPIENT_RATINGS = _of_types(
    "reputation.recipient_ratings",
    "Ratings a user got as the receiver.",
    "recipient_rating_count",
    "recipient_rated",
    where=" AND stars IS NOT NULL",
)
RECIPIENT_STARS = _of_types(
    "reputation.recipient_stars",
    "Stars of the ratings a user got as the receiver, added up.",
    "recipient_rating_stars",
    "recipient_rated",
    quantity="stars",
)

GROUPS_PARTICIPATED = Counter(
    name="reputation.groups_participated",
    description="Groups a user ever joined.",
    aggregate=USERS,
    column="total_groups_participated",
    counts=CountedRows("reputation.group_members", ("user_id",)),
)

GROUPS = Table(
    name="reputation.community_groups",
    key="id",
    locked_columns=("verification_required", "member_count", "admin_count"),
    aggregate="group",
)

GROUP_MEMBERS = Counter(
    name="reputation.group_members",
    description="Members a group has.",
    aggregate=GROUPS,
    column="member_count",
    counts=CountedRows("reputation.group_members", ("group_id",), where="left_time IS NULL"),
)

GROUP_ADMINS = Counter(
    name="reputation.group_admins",
    description="Admins a group has.",
    aggregate=GROUPS,
    column="admin_count",
    counts=CountedRows("reputation.group_members", ("group_id",), where="left_time IS NULL AND role = 'admin'"),
)

REPUTATION_COUNTERS = (SCORE, EVENTS, *LEDGER_TOTALS, GROUPS_PARTICIPATED, GROUP_MEMBERS, GROUP_ADMINS)
