"""What is refused of users and their ledgers, each with its reason."""

from uuid import UUID

from libs.data.errors import AlreadyExists, FailedPrecondition, FieldViolation, InvalidInput, NotFound
from services.reputation.ledger.model import LedgerEvent


class UserNotFound(NotFound):
    reason = "USER_NOT_FOUND"

    def __init__(self, user_id: UUID) -> None:
        super().__init__(f"there is no user {user_id}")


class UserExists(AlreadyExists):
    reason = "USER_EXISTS"

    def __init__(self, user_id: UUID) -> None:
        super().__init__(f"user {user_id} is registered already")


class GroupNotFound(NotFound):
    reason = "GROUP_NOT_FOUND"

    def __init__(self, group_id: UUID) -> None:
        super().__init__(f"there is no group {group_id}")


class ReputationEventNotFound(NotFound):
    reason = "REPUTATION_EVENT_NOT_FOUND"

    def __init__(self, event_id: UUID) -> None:
        super().__init__(f"there is no event {event_id} in any ledger")


class EventAlreadyRecorded(AlreadyExists):
    reason = "EVENT_ALREADY_RECORDED"

    def __init__(self, event: LedgerEvent) -> None:
        super().__init__(
            f"the ledger of user {event.user_id} has event {event.event_id} from {event.stream_id!r} already",
            metadata={"event_id": str(event.event_id)},
        )


class EventAlreadyReversed(FailedPrecondition):
    reason = "EVENT_ALREADY_REVERSED"

    def __init__(self, event: LedgerEvent) -> None:
        super().__init__(
            f"event {event.event_id} was taken back by event {event.reversed_by_event_id}",
            metadata={"event_id": str(event.reversed_by_event_id)},
        )


class EventIsAReversal(FailedPrecondition):
    reason = "EVENT_IS_A_REVERSAL"

    def __init__(self, event: LedgerEvent) -> None:
        super().__init__(f"event {event.event_id} takes back another; it cannot be taken back itself")


class RequestIdReused(InvalidInput):
    reason = "REQUEST_ID_REUSED"

    def __init__(self) -> None:
        super().__init__([FieldViolation("request_id", "was used before, for a request that said something else")])
