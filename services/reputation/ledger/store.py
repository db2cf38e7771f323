"""Recording events and taking them back, for everybody who is waiting, in one transaction (G1, G2, G5, G10)."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from libs.data.catalog.reputation import EVENTS, LEDGER_TOTALS, SCORE, USERS
from libs.data.commit_tokens import encode_token
from libs.data.events import Event
from libs.data.tables import Locked, Table
from libs.data.transaction import Record, Snapshot, Transaction
from services.reputation.ledger import rules
from services.reputation.ledger.account import Account
from services.reputation.ledger.levels import TrustLevel
from services.reputation.ledger.model import Command, DayOfType, LedgerEvent, RecordEvent, ReverseEvent
from services.reputation.times import stored

# In the order in which they are moved, so that few different statements are.
MOVED = (SCORE, EVENTS, *LEDGER_TOTALS)


async def record_and_reverse(tx: Transaction, commands: Sequence[Command]) -> list[rules.Outcome]:
    """One outcome a command, in order. Locks the users' rows."""
    owners = await owners_of(tx, [c.event_id for c in commands if isinstance(c, ReverseEvent)])
    groups = await groups_among(tx, {c.group_id for c in commands if isinstance(c, RecordEvent) and c.group_id})
    users, seen = await lock_and_look_up(tx, commands, owners)
    seen.groups = groups
    decision = rules.decide(users.rows, seen, commands)
    insert_events(tx, decision.appended)
    mark_reversed(tx, decision.reversed_by)
    write_day_sums(tx, decision.day_sums)
    move_accounts(tx, users, decision.accounts)
    return decision.outcomes


# An event stays with its user, so this needs no lock.
OWNERS = "SELECT id, user_id FROM reputation.reputation_events WHERE id = ANY($1::uuid[])"


async def owners_of(snapshot: Snapshot, event_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The user of each event that exists."""
    return {row[0]: row[1] for row in await snapshot.fetch(OWNERS, event_ids)} if event_ids else {}


# Groups stay.
GROUPS = "SELECT id FROM reputation.community_groups WHERE id = ANY($1::uuid[])"


async def groups_among(snapshot: Snapshot, group_ids: set[UUID]) -> set[UUID]:
    """Those of the groups that exist."""
    return {row[0] for row in await snapshot.fetch(GROUPS, list(group_ids))} if group_ids else set()


# A row an event, in the order of LedgerEvent. Amounts leave the database as whole hundredths.
EVENT_COLUMNS = """
e.id, e.user_id, e.sequence, e.event_type, (e.impact_score * 100)::integer AS impact,
(e.counted_impact * 100)::integer AS counted_impact, (e.previous_score * 100)::integer AS previous_score,
(e.new_score * 100)::integer AS new_score, e.cap_day, e.created_at AT TIME ZONE 'UTC' AS created_time,
coalesce(e.description, '') AS description, e.group_id, e.related_exchange_id, e.stream_id, e.stream_partition, e.stars,
e.request_id, e.reverses_event_id, e.reversed_by_event_id, e.commit_xid::text::bigint AS xid
"""


def to_event(columns: Record) -> LedgerEvent:
    """From EVENT_COLUMNS."""
    event = LedgerEvent(*columns[:19])
    event.token = encode_token(columns[19])
    return event


# By their keys, in one round trip: events, and what the days of new and taken back ones add up to. OFFSET 0 has Postgres look
# each up by itself: a plan that was made while the tables were empty would go on reading them whole.
LOOK_UP = f"""
WITH wanted AS (
    SELECT found.id FROM unnest($1::uuid[], $2::uuid[]) AS asked(user_id, request_id) CROSS JOIN LATERAL (
        SELECT e.id FROM reputation.reputation_events e
        WHERE e.user_id = asked.user_id AND e.request_id = asked.request_id OFFSET 0
    ) AS found
    UNION
    SELECT found.id FROM unnest($3::uuid[], $4::text[]) AS told(user_id, stream_id) CROSS JOIN LATERAL (
        SELECT e.id FROM reputation.reputation_events e
        WHERE e.user_id = told.user_id AND e.stream_id = told.stream_id OFFSET 0
    ) AS found
    UNION
    SELECT unnest($5::uuid[])
), days AS (
    SELECT * FROM unnest($6::uuid[], $7::date[], $8::text[]) AS day(user_id, day, event_type)
    UNION
    SELECT e.user_id, e.cap_day, e.event_type FROM reputation.reputation_events e WHERE e.id = ANY($5::uuid[])
)
SELECT days.user_id, days.day, days.event_type, d.day_sum, NULL::record AS event
FROM days CROSS JOIN LATERAL (
    SELECT (d.impact_sum * 100)::bigint AS day_sum FROM reputation.daily_impacts d
    WHERE d.user_id = days.user_id AND d.day = days.day AND d.event_type = days.event_type OFFSET 0
) AS d
UNION ALL
SELECT event.user_id, NULL, NULL, NULL, event
FROM wanted CROSS JOIN LATERAL (
    SELECT {EVENT_COLUMNS} FROM reputation.reputation_events e WHERE e.id = wanted.id OFFSET 0
) AS event
"""


async def lock_and_look_up(
    tx: Transaction, commands: Sequence[Command], owners: dict[UUID, UUID]
) -> tuple[Locked[Table], rules.Seen]:
    """The commands' users, locked, and what is stored about the commands."""
    recorded = [c for c in commands if isinstance(c, RecordEvent)]
    requests = [(c.user_id, c.request_id) for c in recorded if c.request_id is not None]
    whose = owners | {c.event_id: c.user_id for c in recorded}
    requests += [
        (whose[c.event_id], c.request_id) for c in commands if isinstance(c, ReverseEvent) and c.event_id in whose
    ]
    streamed = [(c.user_id, c.stream_id) for c in recorded if c.stream_id is not None]
    days = {(c.user_id, c.occurred.astimezone(UTC).date(), c.event_type): None for c in recorded}
    user_ids = {c.user_id for c in recorded} | {*owners.values()}
    users, rows = await tx.lock_and_read(
        USERS,
        user_ids,
        LOOK_UP,
        *_columns(requests, 2),
        *_columns(streamed, 2),
        list(owners),
        *_columns(list(days), 3),
    )
    seen = rules.Seen(named={*owners})
    for user_id, day, event_type, day_sum, event in rows:
        if event is not None:
            seen.note(to_event(event))
        else:
            seen.day_sums[user_id, day, event_type] = day_sum
    return users, seen


INSERT = """
INSERT INTO reputation.reputation_events (
    id, user_id, sequence, event_type, impact_score, counted_impact, previous_score, new_score, cap_day, created_at,
    description, group_id, related_exchange_id, stream_id, stream_partition, stars, request_id, reverses_event_id,
    reversed_by_event_id, processed_at
)
SELECT id, user_id, sequence, event_type, impact / 100.0, counted_impact / 100.0, previous_score / 100.0,
       new_score / 100.0, cap_day, created_time AT TIME ZONE 'UTC', nullif(description, ''), group_id, related_exchange_id,
       stream_id, stream_partition, stars, request_id, reverses_event_id, reversed_by_event_id,
       CASE WHEN stream_partition IS NOT NULL THEN created_time AT TIME ZONE 'UTC' END
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::integer[], $6::integer[], $7::integer[], $8::integer[],
            $9::date[], $10::timestamptz[], $11::text[], $12::uuid[], $13::uuid[], $14::text[], $15::integer[],
            $16::integer[], $17::uuid[], $18::uuid[], $19::uuid[])
     AS e(id, user_id, sequence, event_type, impact, counted_impact, previous_score, new_score, cap_day, created_time,
          description, group_id, related_exchange_id, stream_id, stream_partition, stars, request_id, reverses_event_id,
          reversed_by_event_id)
"""


def insert_events(tx: Transaction, events: Sequence[LedgerEvent]) -> None:
    if not events:
        return
    tx.write_last(
        INSERT,
        [e.event_id for e in events],
        [e.user_id for e in events],
        [e.sequence for e in events],
        [e.event_type for e in events],
        [e.impact for e in events],
        [e.counted_impact for e in events],
        [e.previous_score for e in events],
        [e.new_score for e in events],
        [e.cap_day for e in events],
        [e.created_time for e in events],
        [e.description for e in events],
        [e.group_id for e in events],
        [e.related_exchange_id for e in events],
        [e.stream_id for e in events],
        [e.stream_partition for e in events],
        [e.stars for e in events],
        [e.request_id for e in events],
        [e.reverses_event_id for e in events],
        [e.reversed_by_event_id for e in events],
        rows=len(events),
    )


REVERSE = """
UPDATE reputation.reputation_events e SET reversed_by_event_id = taken.reversal_id
FROM unnest($1::uuid[], $2::uuid[]) AS taken(id, reversal_id)
WHERE e.id = ANY($1::uuid[]) AND e.id = taken.id AND e.reversed_by_event_id IS NULL
"""


def mark_reversed(tx: Transaction, reversed_by: Mapping[UUID, UUID]) -> None:
    if reversed_by:
        tx.write_last(REVERSE, list(reversed_by), list(reversed_by.values()), rows=len(reversed_by))


DAY_SUMS = """
INSERT INTO reputation.daily_impacts (user_id, day, event_type, impact_sum)
SELECT user_id, day, event_type, hundredths / 100.0
FROM unnest($1::uuid[], $2::date[], $3::text[], $4::bigint[]) AS d(user_id, day, event_type, hundredths)
ON CONFLICT (user_id, day, event_type) DO UPDATE SET impact_sum = EXCLUDED.impact_sum
"""


def write_day_sums(tx: Transaction, day_sums: Mapping[DayOfType, int]) -> None:
    if day_sums:
        tx.write_last(DAY_SUMS, *_columns(list(day_sums), 3), list(day_sums.values()), rows=len(day_sums))


def move_accounts(tx: Transaction, users: Locked[Table], accounts: Mapping[UUID, Account]) -> None:
    """The score and the totals, what follows from them, and the news of levels that changed."""
    if not accounts:
        return
    for counter in MOVED:
        moved = {(user_id,): n for user_id, account in accounts.items() if (n := account.moved[counter])}
        if moved:
            tx.increment(counter, moved)
    tx.write_columns(USERS, {user_id: _follows(account) for user_id, account in accounts.items()})
    tx.emit(
        level_changed(
            user_id, users.next_version(user_id), account.initial_level, account.standing.level, account.score
        )
        for user_id, account in accounts.items()
        if account.standing.level is not account.initial_level
    )


def level_changed(user_id: UUID, version: int, before: TrustLevel, level: TrustLevel, score: int) -> Event:
    payload = {"previous_level": before.word, "trust_level": level.word, "overall_score": f"{decimal(score)}"}
    return Event("user.trust_level_changed", user_id, version, payload)


def _follows(account: Account) -> dict[str, object]:
    demotion_time = account.standing.demotion_time
    return {
        "trust_level": account.standing.level.word,
        "demotion_time": None if demotion_time is None else stored(demotion_time),
        "avg_food_rating": decimal(account.average_food_rating),
        "avg_recipient_rating": decimal(account.average_recipient_rating),
        "reliability_score": decimal(account.reliability),
        "account_age_days": account.age_days,
        "last_activity": stored(account.last_activity),
        "reputation_updated_at": stored(account.updated_time),
        "peak_reputation": decimal(account.peak),
        "reputation_trend": account.trend,
        "trend_base_score": decimal(account.trend_base_score),
        "trend_base_time": stored(account.trend_base_time),
        "last_stream_event_id": account.last_stream_event_id,
        "stream_lag_seconds": account.stream_lag_seconds,
        "reputation_sync_status": account.sync_status,
    }


@lru_cache(maxsize=32_768)
def decimal(hundredths: int) -> Decimal:
    """As columns with two places have it."""
    return Decimal(hundredths).scaleb(-2)


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as one array a column."""
    return [[row[n] for row in rows] for n in range(width)]
