"""Ledgers without a database, for what rules decide about them."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.reputation.ledger import rules
from services.reputation.ledger.account import Account
from services.reputation.ledger.model import (
    Command,
    DayOfType,
    LedgerEvent,
    Recorded,
    RecordEvent,
    ReverseEvent,
)
from services.reputation.ledger.replay import Link, Replay

ANNA, BEN, NOBODY = UUID(int=1), UUID(int=2), UUID(int=3)
GROUP, NO_GROUP = UUID(int=8), UUID(int=9)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def a_row(score: str = "75.00", level: str = "developing") -> dict[str, Any]:
    """As it is locked, of somebody about whom nothing is known."""
    noon = NOON.replace(tzinfo=None)
    return {
        "overall_score": Decimal(score),
        "trust_level": level,
        **dict.fromkeys(
            (
                "total_food_shared",
                "total_food_claimed",
                "total_exchanges_completed",
                "reported_incidents",
                "resolved_disputes",
                "community_contributions",
                "event_count",
                "no_show_count",
                "food_rating_count",
                "food_rating_stars",
                "recipient_rating_count",
                "recipient_rating_stars",
                "stream_lag_seconds",
            ),
            0,
        ),
        "last_activity": noon,
        "reputation_updated_at": noon,
        "peak_reputation": Decimal("75.00"),
        "last_stream_event_id": None,
        "demotion_time": None,
        "trend_base_score": Decimal("75.00"),
        "trend_base_time": noon,
        "known_since": noon,
    }


def record(impact: int = 1_00, event_type: str = "garden_watered", user_id: UUID = ANNA, **more: Any) -> RecordEvent:
    return RecordEvent(user_id, event_type, impact, more.pop("occurred", NOON), **more)


def reverse(event_id: UUID, request: int = 0, description: str = "") -> ReverseEvent:
    return ReverseEvent(event_id, description, UUID(int=request or event_id.int))


@dataclass
class Archive:
    """What is stored, as far as rules see it: a decision is applied to it as the store would."""

    rows: dict[UUID, dict[str, Any]] = field(default_factory=lambda: {ANNA: a_row(), BEN: a_row()})
    events: dict[UUID, LedgerEvent] = field(default_factory=dict)
    day_sums: dict[DayOfType, int] = field(default_factory=dict)
    accounts: dict[UUID, Account] = field(default_factory=dict)
    now: datetime = NOON
    commits: int = 0

    def run(self, *commands: Command) -> list[rules.Outcome]:
        self.commits += 1
        locked = {user_id: row | {"locked_time": self.now} for user_id, row in self.rows.items()}
        seen = rules.Seen(named={*self.events}, day_sums=dict(self.day_sums), groups={GROUP})
        for event in self.events.values():
            seen.note(replace(event))
        decision = rules.decide(locked, seen, commands)
        for event in decision.appended:
            self.events[event.event_id] = replace(event, token=f"{self.commits:x}")
        for event_id, reversal_id in decision.reversed_by.items():
            assert self.events[event_id].reversed_by_event_id is None
            self.events[event_id].reversed_by_event_id = reversal_id
        self.day_sums.update(decision.day_sums)
        for user_id, account in decision.accounts.items():
            self.accounts[user_id] = account
            self._write(self.rows[user_id], account)
        self.check()
        return decision.outcomes

    def one(self, command: Command) -> LedgerEvent:
        """Of a command that is not refused."""
        (outcome,) = self.run(command)
        assert isinstance(outcome, Recorded), outcome
        return outcome.event

    def ledger(self, user_id: UUID = ANNA) -> list[LedgerEvent]:
        """In order."""
        return sorted((e for e in self.events.values() if e.user_id == user_id), key=lambda e: e.sequence)

    def score(self, user_id: UUID = ANNA) -> int:
        return int(self.rows[user_id]["overall_score"] * 100)

    def check(self) -> None:
        """G10: replaying gives what is stored."""
        for user_id, row in self.rows.items():
            replay = Replay()
            for event in self.ledger(user_id):
                replay.take(Link(event.sequence, event.counted_impact, event.previous_score, event.new_score))
            assert replay.verdict(self.score(user_id), row["event_count"]).consistent
            times = [event.created_time for event in self.ledger(user_id)]
            assert times == sorted(set(times)), "two events of one moment"

    def _write(self, row: dict[str, Any], account: Account) -> None:
        for counter, n in account.moved.items():
            row[counter.column] += Decimal(n).scaleb(-2) if counter.scale == 100 else n
        demotion_time = account.standing.demotion_time
        row["trust_level"] = account.standing.level.word
        row["demotion_time"] = None if demotion_time is None else demotion_time.replace(tzinfo=None)
        row["peak_reputation"] = Decimal(account.peak).scaleb(-2)
        row["reputation_updated_at"] = account.updated_time.replace(tzinfo=None)
        row["last_activity"] = account.last_activity.replace(tzinfo=None)
        row["trend_base_score"] = Decimal(account.trend_base_score).scaleb(-2)
        row["trend_base_time"] = account.trend_base_time.replace(tzinfo=None)
        row["last_stream_event_id"] = account.last_stream_event_id
        row["stream_lag_seconds"] = account.stream_lag_seconds
