"""A store of food posts and exchanges without a database, for what rules decide about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.claims.exchanges import rules
from services.claims.exchanges.model import ACTIVE, Advance, ClaimFood, Command, Exchange, Status, Step

POST, OTHER, MISSING = UUID(int=1), UUID(int=2), UUID(int=3)
GIVER = UUID(int=9)
PORTIONS = 5
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOLD = timedelta(minutes=15)


@dataclass
class Kitchen:
    """What is stored, as far as rules see it: a decision is applied to it as the store would."""

    rows: dict[UUID, dict[str, Any]] = field(default_factory=lambda: {key: a_row() for key in (POST, OTHER)})
    exchanges: dict[UUID, Exchange] = field(default_factory=dict)
    steps: dict[UUID, list[Step]] = field(default_factory=dict)
    now: datetime = NOON
    commits: int = 0

    def run(self, *commands: Command) -> list[rules.Outcome]:
        self.commits += 1
        for row in self.rows.values():
            row["locked_time"] = self.now
        decision = rules.decide(self.rows, self.seen(commands), commands, HOLD)
        for exchange in decision.changed:
            assert self.exchanges[exchange.exchange_id].status in ACTIVE, "an end is final"
            self.exchanges[exchange.exchange_id] = replace(exchange)
        for exchange in decision.created:
            self.exchanges[exchange.exchange_id] = replace(exchange)
        for step in decision.steps:
            self.steps.setdefault(step.exchange.exchange_id, []).append(replace(step, token=f"{self.commits:x}"))
        for counter, additions in decision.shelf.additions():
            for (key,), n in additions.items():
                self.rows[key][counter.column] += n
        for (key,), n in decision.completed.items():
            self.rows[key]["completed_count"] += n
        self.check()
        return decision.outcomes

    def seen(self, commands: Sequence[Command]) -> rules.Seen:
        """What the store would look up for these commands."""
        named = {c.exchange_id for c in commands if not isinstance(c, ClaimFood)}
        claimants = {(c.food_post_id, c.user_id) for c in commands if isinstance(c, ClaimFood)}
        seen = rules.Seen()
        for key, e in self.exchanges.items():
            over = e.status is Status.PENDING and e.hold_expire_time <= self.now
            of_claimed = any(post == e.food_post_id for post, _ in claimants)
            if key in named or (e.food_post_id, e.receiver_id) in claimants or (over and of_claimed):
                seen.exchanges[key] = replace(e)
                seen.steps[key] = {step.exchange.status: step for step in self.steps[key]}
        return seen

    def check(self) -> None:
        """Portions add up and equal the exchanges; nobody has two active ones; each has been where it can have been."""
        for key, row in self.rows.items():
            of_post = [e for e in self.exchanges.values() if e.food_post_id == key]
            held = sum(e.portions for e in of_post if e.status is Status.PENDING)
            claimed = sum(e.portions for e in of_post if e.status in (Status.CONFIRMED, Status.COMPLETED))
            assert (row["portions_held"], row["portions_claimed"]) == (held, claimed)
            assert row["portions_remaining"] == PORTIONS - held - claimed >= 0
            assert row["completed_count"] == sum(e.status is Status.COMPLETED for e in of_post)
            active = [e.receiver_id for e in of_post if e.status in ACTIVE]
            assert len(active) == len(set(active))
        for key, exchange in self.exchanges.items():
            path = [step.exchange.status for step in self.steps[key]]
            assert path[-1] is exchange.status
            assert path in PATHS


PATHS = [
    [Status.PENDING, *rest]
    for rest in (
        [],
        [Status.CONFIRMED],
        [Status.CONFIRMED, Status.COMPLETED],
        [Status.CANCELLED],
        [Status.CONFIRMED, Status.CANCELLED],
        [Status.EXPIRED],
    )
]


def a_row() -> dict[str, Any]:
    return {
        "giver_id": GIVER,
        "status": "available",
        "portions_remaining": PORTIONS,
        "portions_held": 0,
        "portions_claimed": 0,
        "completed_count": 0,
        "locked_time": NOON,
    }


def claim(user: int, exchange: int, portions: int = 1, request: int = 0, post: UUID = POST) -> ClaimFood:
    return ClaimFood(post, UUID(int=exchange), UUID(int=user), portions, UUID(int=request or exchange))


def advance(exchange: int, to: Status, user: int, request: int = 0) -> Advance:
    return Advance(UUID(int=exchange), UUID(int=user), UUID(int=request or 1000 * exchange + len(to)), to)
