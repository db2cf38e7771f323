"""Users and their ledgers as tests talk of them: short words for the calls they make most."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from tally.reputation.v1 import reputation_pb2 as resources
from tally.reputation.v1 import reputation_service_pb2 as messages
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub

from libs.data.catalog.reputation import GROUPS_PARTICIPATED, REPUTATION_COUNTERS, USERS
from services.reputation.ledger.effects import EFFECTS
from tests.services.petition.people import new_uuid
from tests.services.reputation.serving import reputation_channel
from tests.stored import Connection

if TYPE_CHECKING:  # in the stubs only
    from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceAsyncStub


def a_registration(user_id: str = "", request_id: str = "", **modes: str) -> messages.RegisterUserRequest:
    """Of a user of its own, unless one is given."""
    return messages.RegisterUserRequest(user_id=user_id or new_uuid(), request_id=request_id or new_uuid(), **modes)


def an_event(
    user_id: str,
    event_type: str = "garden_watered",
    impact: str = "1.00",
    *,
    request_id: str = "",
    **more: str,
) -> messages.RecordReputationEventRequest:
    """Of a type without a cap, unless one is given."""
    return messages.RecordReputationEventRequest(
        user_id=user_id, event_type=event_type, impact_score=impact, request_id=request_id or new_uuid(), **more
    )


def a_reversal(event_id: str, description: str = "", request_id: str = "") -> messages.ReverseReputationEventRequest:
    return messages.ReverseReputationEventRequest(
        event_id=event_id, description=description, request_id=request_id or new_uuid()
    )


class Ledgers:
    """The stub, and builders of what tests need first."""

    def __init__(self, stub: "ReputationServiceAsyncStub") -> None:
        self.stub = stub

    async def register(self, user_id: str = "") -> str:
        """Its id."""
        return (await self.stub.RegisterUser(a_registration(user_id))).user.user_id

    async def record(
        self, user_id: str, event_type: str = "garden_watered", impact: str = "1.00", **more: str
    ) -> resources.ReputationEvent:
        return (await self.stub.RecordReputationEvent(an_event(user_id, event_type, impact, **more))).event

    async def reverse(self, event_id: str) -> resources.ReputationEvent:
        return (await self.stub.ReverseReputationEvent(a_reversal(event_id))).event

    async def reputation(self, user_id: str) -> resources.Reputation:
        return (await self.stub.GetReputation(messages.GetReputationRequest(user_id=user_id))).reputation

    async def events(self, user_id: str) -> list[resources.ReputationEvent]:
        """Of a short ledger, oldest first."""
        request = messages.ListReputationEventsRequest(user_id=user_id, page_size=1000)
        page = await self.stub.ListReputationEvents(request)
        assert not page.next_page_token
        return list(page.events)[::-1]

    async def verify(self, user_id: str) -> messages.VerifyReputationResponse:
        return await self.stub.VerifyReputation(messages.VerifyReputationRequest(user_id=user_id))


@asynccontextmanager
async def ledger_service(database_url: str, **settings: object) -> AsyncIterator[Ledgers]:
    async with reputation_channel(database_url, **settings) as channel:
        yield Ledgers(ReputationServiceStub(channel))


async def a_group(db: Connection) -> str:
    """The id of a group with no members."""
    group_id: UUID = uuid4()
    await db.execute(
        "INSERT INTO reputation.community_groups (id, name, group_type) VALUES ($1, 'Main Street', 'neighborhood')",
        group_id,
    )
    return str(group_id)


# What `VerifyReputation` looks at, of every user at once and in SQL: independent of the code it is to judge.
BROKEN_CHAINS = """
SELECT r.user_id, r.overall_score, r.event_count, chain.*
FROM reputation.user_global_reputation r CROSS JOIN LATERAL (
    SELECT count(*) AS n, coalesce(max(sequence), 0) AS last,
           coalesce((array_agg(new_score ORDER BY sequence DESC))[1], 75.00) AS score,
           coalesce(max(greatest(new_score, 75.00)), 75.00) AS peak,
           bool_and(new_score = greatest(0.00, least(99.99, previous_score + counted_impact))) AS clamped,
           bool_and(previous_score = before) AS linked, bool_and(created_at > earlier) AS in_time
    FROM (
        SELECT *, lag(new_score, 1, 75.00) OVER (ORDER BY sequence) AS before,
               lag(created_at, 1, '-infinity') OVER (ORDER BY sequence) AS earlier
        FROM reputation.reputation_events WHERE user_id = r.user_id
    ) e
) chain
WHERE (r.event_count, r.event_count, r.overall_score, r.peak_reputation) IS DISTINCT FROM (n, last, score, peak)
   OR NOT (clamped AND linked AND in_time)
"""
# Of the types that have a cap: a day's sum is what stands of it, and what counted is that sum within the cap, in whatever order
# things were recorded and taken back.
WRONG_DAYS = """
SELECT user_id, day, event_type, d.impact_sum, e.standing, e.counted
FROM reputation.daily_impacts d FULL JOIN (
    SELECT e.user_id, e.cap_day AS day, coalesce(taken.event_type, e.event_type) AS event_type,
           sum(e.impact_score) AS standing, sum(e.counted_impact) AS counted
    FROM reputation.reputation_events e LEFT JOIN reputation.reputation_events taken ON taken.id = e.reverses_event_id
    GROUP BY 1, 2, 3
) e USING (user_id, day, event_type)
LEFT JOIN unnest($1::text[], $2::numeric[], $3::numeric[]) AS cap(event_type, low, high) USING (event_type)
WHERE d.impact_sum IS DISTINCT FROM CASE WHEN low IS NOT NULL THEN standing END
   OR counted <> coalesce(greatest(low, least(high, standing)), standing)
"""


async def ledgers_add_up(db: Connection) -> None:
    """Fails where a chain has a gap, replaying it does not give the stored score, or a counter differs from its rows (G10)."""
    broken = await db.fetch(BROKEN_CHAINS)
    assert not broken, broken
    caps = [(name, Decimal(effect.low) / 100, Decimal(effect.high) / 100) for name, effect in EFFECTS.items()]
    wrong_days = await db.fetch(WRONG_DAYS, *map(list, zip(*caps, strict=True)))
    assert not wrong_days, wrong_days
    for counter in REPUTATION_COUNTERS:
        if counter.aggregate is USERS and counter is not GROUPS_PARTICIPATED:
            drifted = [row for row in await db.fetch(counter.survey_sql) if row[0] is not None]
            assert not drifted, (counter.name, drifted)
