"""What ledgers are talked about in: commands, what is stored, and outcomes. Scores and impacts are hundredths of a point."""

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from libs.data.ids import new_id

LOWEST_SCORE = 0
HIGHEST_SCORE = 99_99
FIRST_SCORE = 75_00
MOST_IMPACT = 999_99

REVERSAL = "reversal"

# A day's events of one type, of one user: what a cap is about.
DayOfType = tuple[UUID, date, str]


@dataclass(slots=True)
class RecordEvent:
    """Append an event to this user's ledger.

    Args:
        impact: by how much the score should move, within ±MOST_IMPACT.
        occurred: when it happened; its day in UTC is the one whose cap counts.
        request_id: None where it comes from the event stream.
        stream_id: of what it comes from: one has one effect on a user.
        stream_partition: of the event stream; None where somebody else gave the `stream_id`.
        event_id: the id it will have.
    """

    user_id: UUID
    event_type: str
    impact: int
    occurred: datetime
    request_id: UUID | None = None
    group_id: UUID | None = None
    related_exchange_id: UUID | None = None
    description: str = ""
    stream_id: str | None = None
    stream_partition: int | None = None
    stars: int | None = None
    event_id: UUID = field(default_factory=new_id)


@dataclass(slots=True)
class ReverseEvent:
    """Take an event back, by one of this id."""

    event_id: UUID
    description: str
    request_id: UUID
    reversal_id: UUID = field(default_factory=new_id)


Command = RecordEvent | ReverseEvent


@dataclass(slots=True)
class LedgerEvent:
    """An event in a user's ledger.

    Args:
        sequence: 1, 2, 3, … within the ledger.
        impact: as asked for.
        counted_impact: what the cap of its day left of it.
        cap_day: the day in UTC whose cap that was.
        token: of the commit that stored it; None while that is the transaction at work.
    """

    event_id: UUID
    user_id: UUID
    sequence: int
    event_type: str
    impact: int
    counted_impact: int
    previous_score: int
    new_score: int
    cap_day: date
    created_time: datetime
    description: str = ""
    group_id: UUID | None = None
    related_exchange_id: UUID | None = None
    stream_id: str | None = None
    stream_partition: int | None = None
    stars: int | None = None
    request_id: UUID | None = None
    reverses_event_id: UUID | None = None
    reversed_by_event_id: UUID | None = None
    token: str | None = None


@dataclass(slots=True)
class Recorded:
    """An event is in the ledger, or had been by the same request: as it was just then."""

    event: LedgerEvent
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class NewUser:
    """Somebody to be registered."""

    user_id: UUID
    sharing_mode: str
    verification_level: str


@dataclass(frozen=True, slots=True)
class User:
    """A user as stored.

    Args:
        registered_time: None for somebody known only by what they did.
    """

    user_id: UUID
    sharing_mode: str
    verification_level: str
    created_time: datetime
    registered_time: datetime | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What replaying a ledger gave.

    Args:
        consistent: the score is the one stored, and the chain that leads to it has no gap.
    """

    stored_score: int
    replayed_score: int
    consistent: bool
    event_count: int
