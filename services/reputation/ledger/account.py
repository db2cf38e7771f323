"""A user's account while a batch is being decided: the row as it was locked, brought forward event by event. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from libs.data.catalog.reputation import (
    EVENTS,
    FOOD_CLAIMED,
    FOOD_RATINGS,
    FOOD_STARS,
    LEDGER_TOTALS,
    NO_SHOWS,
    RECIPIENT_RATINGS,
    RECIPIENT_STARS,
    SCORE,
)
from libs.data.counters import Counter
from services.reputation.ledger.levels import Standing, TrustLevel
from services.reputation.ledger.model import HIGHEST_SCORE, LOWEST_SCORE, LedgerEvent
from services.reputation.times import aware

MICROSECOND = timedelta(microseconds=1)
# The time over which a trend is told.
WINDOW = timedelta(days=7)
# A score that moved by less since the window began is stable.
NOTABLE = 1_00
# Seconds that an event of the stream may be late before its user's reputation counts as lagging.
MOST_LAG = 60

RATINGS = (FOOD_RATINGS, RECIPIENT_RATINGS)


def _totals_by_type() -> Mapping[str, list[Counter]]:
    by_type: dict[str, list[Counter]] = defaultdict(list)
    for counter, types in LEDGER_TOTALS.items():
        for event_type in types:
            by_type[event_type].append(counter)
    return by_type


TOTALS_OF = _totals_by_type()


class Account:
    """What follows from a ledger, as of the last event appended."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row
        self.locked_time: datetime = row["locked_time"]
        self.score = SCORE.value_in(row)
        self.peak = _hundredths(row["peak_reputation"])
        self.event_count: int = row["event_count"]
        self.standing = standing_of(row)
        self.trend_base_score = _hundredths(row["trend_base_score"])
        self.trend_base_time = aware(row["trend_base_time"])
        self.updated_time = aware(row["reputation_updated_at"])
        self.last_activity = aware(row["last_activity"])
        self.last_stream_event_id: str | None = row["last_stream_event_id"]
        self.stream_lag_seconds: int = row["stream_lag_seconds"]
        self.moved: dict[Counter, int] = defaultdict(int)

    def next_time(self) -> datetime:
        """Of the next event: after all before it, also where the clock went back."""
        return max(self.locked_time, self.updated_time + MICROSECOND)

    def score_after(self, counted_impact: int) -> int:
        return max(LOWEST_SCORE, min(HIGHEST_SCORE, self.score + counted_impact))

    def append(self, event: LedgerEvent) -> None:
        """Brings everything but the totals forward."""
        now = event.created_time
        if now - self.trend_base_time >= WINDOW:
            self.trend_base_score, self.trend_base_time = self.score, now
        self.standing = self.standing.at(now, self.score).after(now, event.new_score)
        self.moved[SCORE] += event.new_score - self.score
        self.moved[EVENTS] += 1
        self.score = event.new_score
        self.peak = max(self.peak, self.score)
        self.event_count = event.sequence
        self.updated_time = now

    def total(self, event: LedgerEvent, sign: int) -> None:
        """Adds to the totals what an event counts for in them, or takes it away."""
        for counter in TOTALS_OF.get(event.event_type, ()):
            self.moved[counter] += sign * _units(counter, event)

    def stream(self, event_id: str, lag_seconds: int) -> None:
        """Notes the last event of the stream that changed the ledger."""
        self.last_stream_event_id, self.stream_lag_seconds = event_id, lag_seconds

    @property
    def initial_level(self) -> TrustLevel:
        return TrustLevel.of_word(self._row["trust_level"])

    @property
    def sync_status(self) -> str:
        return "lagging" if self.stream_lag_seconds > MOST_LAG else "synced"

    @property
    def trend(self) -> str:
        change = self.score - self.trend_base_score
        return "rising" if change >= NOTABLE else "falling" if change <= -NOTABLE else "stable"

    @property
    def age_days(self) -> int:
        return max(0, (self.updated_time - aware(self._row["known_since"])).days)

    @property
    def average_food_rating(self) -> int:
        return average(self._now(FOOD_STARS), self._now(FOOD_RATINGS))

    @property
    def average_recipient_rating(self) -> int:
        return average(self._now(RECIPIENT_STARS), self._now(RECIPIENT_RATINGS))

    @property
    def reliability(self) -> int:
        return reliability(self._now(FOOD_CLAIMED), self._now(NO_SHOWS))

    def _now(self, counter: Counter) -> int:
        return counter.value_in(self._row) + self.moved[counter]


def standing_of(row: Mapping[str, Any]) -> Standing:
    """As it was written last, from a row with the columns `trust_level` and `demotion_time`."""
    demotion_time: datetime | None = row["demotion_time"]
    return Standing(TrustLevel.of_word(row["trust_level"]), demotion_time and aware(demotion_time))


def average(stars: int, ratings: int) -> int:
    """Stars a rating, in hundredths, half rounded up; 0 without ratings."""
    return (200 * stars + ratings) // (2 * ratings) if ratings else 0


def reliability(claimed: int, no_shows: int) -> int:
    """How many of 100 holds end with the food fetched, in hundredths, half rounded up.

    It begins as if three of four had been, and forgets that as more becomes known.
    """
    fetched, holds = claimed + 3, claimed + no_shows + 4
    return min(HIGHEST_SCORE, (20_000 * fetched + holds) // (2 * holds))


def _units(counter: Counter, event: LedgerEvent) -> int:
    assert counter.counts is not None
    if counter.counts.quantity:
        return event.stars or 0
    return int(event.stars is not None) if counter in RATINGS else 1


def _hundredths(column: Any) -> int:
    return int(column * 100)
