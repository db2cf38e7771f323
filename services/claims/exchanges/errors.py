"""What is refused of food posts and exchanges, each with its reason."""

from uuid import UUID

from libs.data.errors import AlreadyExists, FailedPrecondition, NotFound, PermissionDenied, shown_time
from services.claims.exchanges.model import Exchange, Status


class FoodPostNotFound(NotFound):
    reason = "FOOD_POST_NOT_FOUND"

    def __init__(self, food_post_id: UUID) -> None:
        super().__init__(f"there is no food post {food_post_id}")


class FoodPostClosed(FailedPrecondition):
    reason = "FOOD_POST_CLOSED"

    def __init__(self, food_post_id: UUID) -> None:
        super().__init__(f"food post {food_post_id} was closed by its giver")


class OwnFoodPost(FailedPrecondition):
    reason = "OWN_FOOD_POST"

    def __init__(self, food_post_id: UUID) -> None:
        super().__init__(f"food post {food_post_id} is the user's own")


class OutOfStock(FailedPrecondition):
    reason = "OUT_OF_STOCK"

    def __init__(self, food_post_id: UUID, remaining: int) -> None:
        left = f"only {remaining:,} portions are" if remaining else "nothing is"
        super().__init__(f"{left} left of food post {food_post_id}", metadata={"remaining": str(remaining)})


class AlreadyClaimed(AlreadyExists):
    reason = "ALREADY_CLAIMED"

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(
            f"user {exchange.receiver_id} has {exchange.portions:,} portions of food post {exchange.food_post_id}, "
            f"{exchange.status}, in exchange {exchange.exchange_id}",
            metadata={"exchange_id": str(exchange.exchange_id), "status": exchange.status.value},
        )


class ExchangeNotFound(NotFound):
    reason = "EXCHANGE_NOT_FOUND"

    def __init__(self, exchange_id: UUID) -> None:
        super().__init__(f"there is no exchange {exchange_id}")


class NotAParty(PermissionDenied):
    reason = "NOT_A_PARTY"

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @classmethod
    def of_exchange(cls, exchange_id: UUID) -> "NotAParty":
        return cls(f"only the giver and the receiver of exchange {exchange_id} can do this")

    @classmethod
    def of_post(cls, food_post_id: UUID) -> "NotAParty":
        return cls(f"only the giver of food post {food_post_id} can do this")


class HoldExpired(FailedPrecondition):
    reason = "HOLD_EXPIRED"

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(
            f"the hold of exchange {exchange.exchange_id} expired at {shown_time(exchange.hold_expire_time)}; "
            "its portions went back"
        )


class _WrongStatus(FailedPrecondition):
    def __init__(self, exchange: Exchange) -> None:
        super().__init__(
            f"exchange {exchange.exchange_id} is {exchange.status}", metadata={"status": exchange.status.value}
        )


class ExchangeNotPending(_WrongStatus):
    reason = "EXCHANGE_NOT_PENDING"


class ExchangeNotConfirmed(_WrongStatus):
    reason = "EXCHANGE_NOT_CONFIRMED"


class ExchangeNotCompleted(_WrongStatus):
    reason = "EXCHANGE_NOT_COMPLETED"


class ExchangeEnded(_WrongStatus):
    reason = "EXCHANGE_ENDED"


class AlreadyRated(AlreadyExists):
    reason = "ALREADY_RATED"

    def __init__(self, exchange_id: UUID, rater_id: UUID, stars: int) -> None:
        super().__init__(f"user {rater_id} rated exchange {exchange_id} with {stars}", metadata={"stars": str(stars)})


# What an exchange must be to become something, and what it is refused with when it is not.
ADVANCES: dict[Status, tuple[frozenset[Status], type[_WrongStatus]]] = {
    Status.CONFIRMED: (frozenset({Status.PENDING}), ExchangeNotPending),
    Status.COMPLETED: (frozenset({Status.CONFIRMED}), ExchangeNotConfirmed),
    Status.CANCELLED: (frozenset({Status.PENDING, Status.CONFIRMED}), ExchangeEnded),
}
