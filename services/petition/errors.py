"""What the petition service refuses, each with its reason."""

from datetime import datetime
from uuid import UUID

from libs.data.errors import AlreadyExists, FailedPrecondition, NotFound, PermissionDenied, shown_time
from services.petition.model import State


class PetitionNotFound(NotFound):
    reason = "PETITION_NOT_FOUND"

    def __init__(self, petition_id: UUID) -> None:
        super().__init__(f"there is no petition {petition_id}")


class PetitionClosed(FailedPrecondition):
    reason = "PETITION_CLOSED"

    def __init__(self, petition_id: UUID) -> None:
        super().__init__(f"petition {petition_id} is closed; its signatures are final")


class PetitionWithdrawn(FailedPrecondition):
    reason = "PETITION_WITHDRAWN"

    def __init__(self, petition_id: UUID) -> None:
        super().__init__(f"petition {petition_id} was withdrawn by its submitter")


class AlreadySigned(AlreadyExists):
    reason = "ALREADY_SIGNED"

    def __init__(self, petition_id: UUID, user_id: UUID, ordinal: int, signed_time: datetime) -> None:
        signed = shown_time(signed_time)
        super().__init__(
            f"user {user_id} signed petition {petition_id} at {signed} as number {ordinal}",
            metadata={
                "petition_id": str(petition_id),
                "user_id": str(user_id),
                "ordinal": str(ordinal),
                "signed_time": signed,
            },
        )


class CoSignNotFound(NotFound):
    reason = "CO_SIGN_NOT_FOUND"

    def __init__(self, petition_id: UUID, user_id: UUID) -> None:
        super().__init__(f"no signature of user {user_id} stands under petition {petition_id}")


class NotTheSubmitter(PermissionDenied):
    reason = "NOT_THE_SUBMITTER"

    def __init__(self, petition_id: UUID) -> None:
        super().__init__(f"only the submitter of petition {petition_id} can withdraw it")


def not_open(petition_id: UUID, state: str) -> FailedPrecondition:
    """Why a petition in this state takes no signature."""
    return PetitionWithdrawn(petition_id) if state == State.WITHDRAWN else PetitionClosed(petition_id)
