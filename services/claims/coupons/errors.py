"""What is refused of coupons, each with its reason."""

from libs.data.errors import AlreadyExists, FailedPrecondition, NotFound, ResourceExhausted, shown_time
from services.claims.coupons.model import Claim, Place


class CouponNotFound(NotFound):
    reason = "COUPON_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no coupon {name!r}")


class CouponExists(AlreadyExists):
    reason = "COUPON_EXISTS"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a coupon {name!r} already")


class OutOfStock(FailedPrecondition):
    reason = "OUT_OF_STOCK"

    def __init__(self, name: str) -> None:
        super().__init__(f"nothing is left of coupon {name!r}")


class AlreadyClaimed(AlreadyExists):
    reason = "ALREADY_CLAIMED"

    def __init__(self, claim: Claim) -> None:
        claimed = shown_time(claim.claimed_time)
        super().__init__(
            f"user {claim.user_id} claimed coupon {claim.coupon_name!r} at {claimed} as number {claim.ordinal}",
            metadata={"user_id": str(claim.user_id), "ordinal": str(claim.ordinal), "claimed_time": claimed},
        )


class AlreadyWaiting(AlreadyExists):
    reason = "ALREADY_WAITING"

    def __init__(self, place: Place) -> None:
        joined = shown_time(place.joined_time)
        super().__init__(
            f"user {place.user_id} waits for coupon {place.coupon_name!r} in place {place.position} since {joined}",
            metadata={"user_id": str(place.user_id), "position": str(place.position), "joined_time": joined},
        )


class WaitlistFull(ResourceExhausted):
    def __init__(self, name: str, most: int) -> None:
        message = f"{most:,} people wait for coupon {name!r}, as many as may"
        super().__init__(message, reason="WAITLIST_FULL", retry_after_seconds=60.0)


class TooMuchStock(FailedPrecondition):
    reason = "TOO_MUCH_STOCK"

    def __init__(self, name: str, possible: int) -> None:
        super().__init__(
            f"of coupon {name!r} there may be 2,147,483,647 in all; {possible:,} more are possible",
            metadata={"possible": str(possible)},
        )
