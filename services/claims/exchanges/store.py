"""Claiming portions and advancing exchanges, for everybody who is waiting, in one transaction (G1, G2, G4, G5)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from libs.data.catalog.claims import EXCHANGES_COMPLETED, FOOD_POSTS
from libs.data.commit_tokens import encode_token
from libs.data.events import Event
from libs.data.stock import settle
from libs.data.tables import Locked, Table
from libs.data.transaction import Snapshot, Transaction
from services.claims.exchanges import rules
from services.claims.exchanges.model import ClaimFood, Command, Exchange, Status, Step


async def claim_and_advance(tx: Transaction, commands: Sequence[Command], hold: timedelta) -> list[rules.Outcome]:
    """One outcome a command, in order."""
    posts, seen = await lock_and_look_up(tx, commands)
    decision = rules.decide(posts.rows, seen, commands, hold)
    # Before the rest: a user whose hold is over may have claimed again, and has one active exchange of a post.
    await update_exchanges(tx, posts, decision.changed)
    insert_exchanges(tx, posts, decision.created)
    insert_steps(tx, posts, decision.steps)
    settle(tx, decision.shelf)
    tx.increment(EXCHANGES_COMPLETED, decision.completed)
    return decision.outcomes


# An exchange stays with its post, so this needs no lock.
POSTS_OF = "SELECT exchange_id, food_id FROM claims.exchanges WHERE exchange_id = ANY($1::uuid[])"


async def posts_of(snapshot: Snapshot, exchange_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The food post of each exchange that exists."""
    if not exchange_ids:
        return {}
    return {row[0]: row[1] for row in await snapshot.fetch(POSTS_OF, exchange_ids)}


# A row a step. A claim sees its user's exchanges of the post, and those whose hold is over: their portions are there again.
# In a subquery the time is one value, which an index can be searched for; of a volatile function it cannot.
LOOK_UP = """
WITH wanted AS (
    SELECT e.food_id, e.exchange_id FROM unnest($1::uuid[], $2::uuid[]) AS claimed(food_id, receiver_id)
    JOIN claims.exchanges e USING (food_id, receiver_id)
    UNION
    SELECT e.food_id, e.exchange_id FROM claims.exchanges e
    WHERE e.food_id = ANY($1::uuid[]) AND e.status = 'pending' AND e.hold_expire_time <= (SELECT clock_timestamp())
    UNION
    SELECT food_id, exchange_id FROM unnest($3::uuid[], $4::uuid[]) AS named(food_id, exchange_id)
)
SELECT e.food_id AS food_post_id, e.exchange_id, e.giver_id, e.receiver_id, e.portions, e.status, e.hold_expire_time,
       e.created_at, e.status_time, s.status AS step, s.actor_id, s.request_id, s.step_time,
       s.commit_xid::text::bigint AS xid
FROM wanted JOIN claims.exchanges e USING (food_id, exchange_id) JOIN claims.exchange_steps s USING (food_id, exchange_id)
"""


async def lock_and_look_up(tx: Transaction, commands: Sequence[Command]) -> tuple[Locked[Table], rules.Seen]:
    """The commands' food posts, locked, and what is stored about their exchanges."""
    claims = [c for c in commands if isinstance(c, ClaimFood)]
    named = await posts_of(tx, [c.exchange_id for c in commands if not isinstance(c, ClaimFood)])
    posts, rows = await tx.lock_and_read(
        FOOD_POSTS,
        {c.food_post_id for c in claims} | set(named.values()),
        LOOK_UP,
        [c.food_post_id for c in claims],
        [c.user_id for c in claims],
        list(named.values()),
        list(named),
    )
    seen = rules.Seen()
    for row in rows:
        food_post_id, exchange_id, giver_id, receiver_id, portions, status, expires, created_time, status_time = row[:9]
        reached, actor_id, request_id, step_time, xid = row[9:]
        exchange = Exchange(
            exchange_id,
            food_post_id,
            giver_id,
            receiver_id,
            portions,
            Status(status),
            expires,
            created_time,
            status_time,
        )
        then = replace(exchange, status=Status(reached), status_time=step_time)
        seen.exchanges.setdefault(exchange_id, exchange)
        seen.steps.setdefault(exchange_id, {})[then.status] = Step(then, actor_id, request_id, encode_token(xid))
    return posts, seen


UPDATE = """
UPDATE claims.exchanges e SET status = changed.status, status_time = changed.status_time
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) AS changed(food_id, exchange_id, status, status_time)
WHERE e.food_id = changed.food_id AND e.exchange_id = changed.exchange_id AND e.status IN ('pending', 'confirmed')
"""


async def update_exchanges(tx: Transaction, posts: Locked[Table], changed: Sequence[Exchange]) -> None:
    if not changed:
        return
    updated = await tx.execute(
        UPDATE,
        [e.food_post_id for e in changed],
        [e.exchange_id for e in changed],
        [e.status.value for e in changed],
        [e.status_time for e in changed],
    )
    assert updated == len(changed)


INSERT = """
INSERT INTO claims.exchanges
    (food_id, exchange_id, giver_id, receiver_id, portions, status, hold_expire_time, created_at, status_time)
SELECT food_id, exchange_id, giver_id, receiver_id, portions, 'pending', hold_expire_time, created_at, created_at
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::integer[], $6::timestamptz[], $7::timestamptz[])
     AS e(food_id, exchange_id, giver_id, receiver_id, portions, hold_expire_time, created_at)
"""


def insert_exchanges(tx: Transaction, posts: Locked[Table], created: Sequence[Exchange]) -> None:
    if not created:
        return
    tx.write_last(
        INSERT,
        [e.food_post_id for e in created],
        [e.exchange_id for e in created],
        [e.giver_id for e in created],
        [e.receiver_id for e in created],
        [e.portions for e in created],
        [e.hold_expire_time for e in created],
        [e.created_time for e in created],
        rows=len(created),
    )


INSERT_STEPS = """
INSERT INTO claims.exchange_steps (food_id, exchange_id, status, actor_id, request_id, step_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::timestamptz[])
"""


def insert_steps(tx: Transaction, posts: Locked[Table], steps: Sequence[Step]) -> None:
    """Stores and emits each status an exchange came to."""
    if not steps:
        return
    # Portions that came back may have gone out again, so that no counter tells that there are other exchanges now.
    tx.touch(FOOD_POSTS, {step.exchange.food_post_id for step in steps})
    tx.write_last(
        INSERT_STEPS,
        [s.exchange.food_post_id for s in steps],
        [s.exchange.exchange_id for s in steps],
        [s.exchange.status.value for s in steps],
        [s.actor_id for s in steps],
        [s.request_id for s in steps],
        [s.exchange.status_time for s in steps],
        rows=len(steps),
    )
    tx.emit(_event(posts, step) for step in steps)


def _event(posts: Locked[Table], step: Step) -> Event:
    exchange = step.exchange
    group_id = posts[exchange.food_post_id]["group_id"]
    payload = {
        "food_post_id": str(exchange.food_post_id),
        "group_id": str(group_id) if group_id else None,
        "giver_id": str(exchange.giver_id),
        "receiver_id": str(exchange.receiver_id),
        "portions": exchange.portions,
        "actor_id": str(step.actor_id) if step.actor_id else None,
    }
    version = posts.next_version(exchange.food_post_id)
    return Event(f"exchange.{exchange.status.value}", exchange.exchange_id, version, payload)
