"""What the voting service refuses, each with its reason."""

from uuid import UUID

from libs.data.errors import FailedPrecondition, FieldViolation, InvalidInput, NotFound


class ConversationNotFound(NotFound):
    reason = "CONVERSATION_NOT_FOUND"

    def __init__(self, conversation_id: UUID) -> None:
        super().__init__(f"there is no conversation {conversation_id}")


class ConversationLocked(FailedPrecondition):
    reason = "CONVERSATION_LOCKED"

    def __init__(self, conversation_id: UUID) -> None:
        super().__init__(f"conversation {conversation_id} is locked; it takes no opinions and votes")


class ConversationNotLocked(FailedPrecondition):
    reason = "CONVERSATION_NOT_LOCKED"

    def __init__(self, conversation_id: UUID) -> None:
        super().__init__(f"conversation {conversation_id} is open")


class OpinionNotFound(NotFound):
    reason = "OPINION_NOT_FOUND"

    def __init__(self, conversation_id: UUID, opinion_id: UUID) -> None:
        super().__init__(f"there is no opinion {opinion_id} in conversation {conversation_id}")


class OpinionModerated(FailedPrecondition):
    reason = "OPINION_MODERATED"

    def __init__(self, opinion_id: UUID) -> None:
        super().__init__(f"opinion {opinion_id} was moved or hidden by a moderator; it takes no votes")


class VoteNotFound(NotFound):
    reason = "VOTE_NOT_FOUND"

    def __init__(self, opinion_id: UUID, user_id: UUID) -> None:
        super().__init__(f"user {user_id} has no vote on opinion {opinion_id}")


class AnalysisNotFound(NotFound):
    reason = "ANALYSIS_NOT_FOUND"

    def __init__(self, conversation_id: UUID) -> None:
        super().__init__(f"conversation {conversation_id} was not analysed yet")


class ParticipantNotFound(NotFound):
    reason = "PARTICIPANT_NOT_FOUND"

    def __init__(self, conversation_id: UUID, user_id: UUID) -> None:
        super().__init__(f"user {user_id} is not in the last analysis of conversation {conversation_id}")


class RequestIdReused(InvalidInput):
    reason = "REQUEST_ID_REUSED"

    def __init__(self) -> None:
        super().__init__([FieldViolation("request_id", "was used before, for a request that said something else")])
