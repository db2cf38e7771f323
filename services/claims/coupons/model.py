"""What coupons are talked about in: commands, what is stored, and outcomes."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

Claimant = tuple[str, UUID]  # coupon, user


@dataclass(slots=True)
class ClaimCoupon:
    """Give this user one of this coupon."""

    coupon_name: str
    user_id: UUID
    request_id: UUID


@dataclass(slots=True)
class JoinWaitlist:
    """Let this user wait for one of this coupon."""

    coupon_name: str
    user_id: UUID
    request_id: UUID


Command = ClaimCoupon | JoinWaitlist


@dataclass(slots=True)
class Claim:
    """One of a coupon that somebody has.

    Args:
        remaining_amount: what was left just after.
        token: of the commit that stored it; None while that is the transaction at work.
    """

    coupon_name: str
    user_id: UUID
    ordinal: int
    remaining_amount: int
    request_id: UUID
    claimed_time: datetime
    token: str | None = None


@dataclass(slots=True)
class Place:
    """A place in a coupon's waitlist; kept when it has been served."""

    coupon_name: str
    user_id: UUID
    position: int
    request_id: UUID
    joined_time: datetime
    token: str | None = None


@dataclass(slots=True)
class Claimed:
    """A claim was made, or had been by the same request."""

    claim: Claim
    replayed: bool = False


@dataclass(slots=True)
class Joined:
    """The user waits, or was served at once; or the same request had done that."""

    result: Place | Claim
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon as stored, without its claimants."""

    name: str
    amount: int
    restocked_amount: int
    remaining_amount: int
    claim_count: int
    waiting_count: int
    created_time: datetime


@dataclass(frozen=True, slots=True)
class Restocked:
    """What adding stock did."""

    coupon: Coupon
    served_count: int
