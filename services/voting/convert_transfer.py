"""Pieces of a conversation that moves: from messages, and to messages."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.errors import FieldViolation, InvalidInput, TallyError
from libs.data.transaction import Record
from libs.rpc.status import to_proto
from libs.rpc.times import EPOCH, time_fields, to_timestamp
from libs.rpc.validation import violations
from services.voting.convert import CHOICES, VOTES
from services.voting.model import Choice, ConversationCounts, OpinionState
from services.voting.model_transfer import Header, OpinionItem, VoteItem

# Ids that a stream keeps in mind.
_REMEMBERED = 100_000
# As Polis writes it. What was moved goes out as hidden: Polis knows one way to be out of a conversation.
_STATES = {-1: OpinionState.HIDDEN, 0: OpinionState.UNMODERATED, 1: OpinionState.ACCEPTED}
MODERATION = {state: number for number, state in _STATES.items()} | {OpinionState.MOVED: -1}


def to_header(message: transfer.ConversationHeader) -> Header:
    """The header.

    Raises:
        InvalidInput: names every bad field.
    """
    _refuse(violations(message, "header."))
    return Header(message.external_id, message.title, message.description)


def to_opinion_item(message: transfer.TransferredOpinion, number: int) -> OpinionItem:
    """An opinion of that number in the stream.

    Raises:
        InvalidInput: names every bad field.
    """
    created_time = _time(message.created_time) if message.HasField("created_time") else None
    bad = violations(message, "opinion.")
    if message.HasField("created_time") and created_time is None:
        bad.append(_not_a_time("opinion.created_time"))
    _refuse(bad)
    state = _STATES[message.moderation]
    return OpinionItem(number, message.external_id, message.author_external_id, message.body, state, created_time)


class VoteItems:
    """The votes of a stream. Ids that were found good are remembered, as a stream names the same ones over and over."""

    def __init__(self) -> None:
        self._good: set[str] = set()

    def item(self, message: transfer.TransferredVote, number: int, path: str, place: int = 0) -> VoteItem:
        """A vote of that number in the stream.

        Args:
            path: of its fields, with a place for `place`.

        Raises:
            InvalidInput: names every bad field.
        """
        opinion, participant = message.opinion_external_id, message.participant_external_id
        choice, vote_time = CHOICES.get(message.vote), _time(message.vote_time)
        known = opinion in self._good and participant in self._good
        if not known or choice is None or vote_time is None or vote_time == EPOCH:  # as it reads where there is none
            bad = violations(message)
            if vote_time is None:
                bad.append(_not_a_time("vote_time"))
            if bad or choice is None or vote_time is None:
                raise InvalidInput([FieldViolation(path.format(place) + v.field, v.description, v.rule) for v in bad])
            if len(self._good) >= _REMEMBERED:
                self._good.clear()
            self._good.update((opinion, participant))
        return VoteItem(number, opinion, participant, choice, vote_time)


def to_import_response(
    counts: ConversationCounts,
    unchanged: int,
    rejected_count: int,
    rejected: Sequence[tuple[int, TallyError]],
    conversation_id: object,
    token: str,
) -> messages.ImportConversationResponse:
    return messages.ImportConversationResponse(
        conversation_id=str(conversation_id),
        opinion_count=counts.opinion_count,
        vote_count=counts.vote_count,
        participant_count=counts.participant_count,
        unchanged_count=unchanged,
        rejected_count=rejected_count,
        rejected=[messages.RejectedItem(index=number, error=to_proto(error)) for number, error in rejected],
        commit_token=token,
    )


def from_header(header: Header) -> messages.ExportConversationResponse:
    return messages.ExportConversationResponse(
        header=transfer.ConversationHeader(
            external_id=header.external_id, title=header.title, description=header.description
        )
    )


def from_opinion(
    external_id: str, author: str, body: str, state: OpinionState, created_time: datetime
) -> messages.ExportConversationResponse:
    return messages.ExportConversationResponse(
        opinion=transfer.TransferredOpinion(
            external_id=external_id,
            author_external_id=author,
            body=body,
            moderation=MODERATION[state],
            created_time=to_timestamp(created_time),
        )
    )


def from_votes(votes: Iterable[Record]) -> messages.ExportConversationResponse:
    """Of opinions and people by external id, each with choice and time."""
    made = []
    for opinion, participant, choice, vote_time in votes:
        made.append(
            {
                "opinion_external_id": opinion,
                "participant_external_id": participant,
                "vote": VOTES[Choice(choice)],
                "vote_time": time_fields(vote_time),
            }
        )
    return messages.ExportConversationResponse(votes={"votes": made})  # type: ignore[arg-type]  # set inside the runtime


_LAST_NANO = 999_999_999


# On the path of every vote: a quarter of what `to_datetime` takes.
def _time(timestamp: Timestamp) -> datetime | None:
    """To the microsecond; None if it is not a time between the years 1 and 9999."""
    nanos = timestamp.nanos
    if not 0 <= nanos <= _LAST_NANO:
        return None
    try:
        return EPOCH + timedelta(seconds=timestamp.seconds, microseconds=nanos // 1000)
    except OverflowError:
        return None


def _not_a_time(field: str) -> FieldViolation:
    return FieldViolation(field, "must be a time between the years 1 and 9999")


def _refuse(bad: Sequence[FieldViolation]) -> None:
    if bad:
        raise InvalidInput(bad)
