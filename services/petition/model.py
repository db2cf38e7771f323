"""What the petition service talks about inside: commands, what is stored, and outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class State(StrEnum):
    """Where a petition is in its life; the same words as in the database."""

    OPEN = "open"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


class EscalationKind(StrEnum):
    """Which way a threshold was passed; the same words as in the database."""

    CROSSED = "crossed"
    REVERSED = "reversed"


class Removal(StrEnum):
    """Why a signature no longer stands; the same words as in the database."""

    WITHDRAWN = "withdrawn"
    INVALIDATED = "invalidated"


@dataclass(slots=True)
class Sign:
    """Put this user's name under this petition."""

    petition_id: UUID
    user_id: UUID
    region_code: str | None
    request_id: UUID


@dataclass(slots=True)
class Withdraw:
    """Take this user's name off this petition."""

    petition_id: UUID
    user_id: UUID
    request_id: UUID


Command = Sign | Withdraw


@dataclass(slots=True)
class Signature:
    """A signature, standing or removed.

    Args:
        co_signer_count: the petition's count just after it was signed.
        token: of the commit that stored it; None while that is the transaction at work.
    """

    petition_id: UUID
    user_id: UUID
    ordinal: int
    region_code: str | None
    request_id: UUID
    co_signer_count: int
    signed_time: datetime
    token: str | None = None


@dataclass(slots=True)
class RemovedSignature:
    """A signature that no longer stands, and how that came."""

    signature: Signature
    removal: Removal
    removal_request_id: UUID
    removal_count: int
    removed_time: datetime
    reason: str = ""
    token: str | None = None


@dataclass(slots=True)
class Signed:
    """A signature was added, or had been by the same request."""

    signature: Signature
    crossed_thresholds: Sequence[int]
    replayed: bool = False


@dataclass(slots=True)
class Withdrawn:
    """A signature was taken back, or had been by the same request."""

    removed: RemovedSignature
    reversed_thresholds: Sequence[int]
    replayed: bool = False


@dataclass(slots=True)
class Escalation:
    """A threshold that was passed, up or down. `ordinal` is 0 for a reversal."""

    petition_id: UUID
    threshold: int
    kind: EscalationKind
    co_signer_count: int
    ordinal: int
    recorded_time: datetime


@dataclass(frozen=True, slots=True)
class NewPetition:
    """A petition to be created; without thresholds it gets those of its type."""

    title: str
    body: str
    petition_type: str
    submitter_id: UUID
    escalation_thresholds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Petition:
    """A petition as stored."""

    petition_id: UUID
    title: str
    body: str
    petition_type: str
    submitter_id: UUID
    state: State
    escalation_thresholds: tuple[int, ...]
    co_signer_count: int
    created_time: datetime
    closed_time: datetime | None


@dataclass(frozen=True, slots=True)
class UserSelection:
    """The signatures of these users."""

    user_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The signatures from `start` (inclusive) to `end` (exclusive)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Invalidated:
    """What an invalidation did; `more` says that the selection held more than one transaction takes."""

    invalidated_count: int
    co_signer_count: int
    reversed_thresholds: tuple[int, ...]
    more: bool
