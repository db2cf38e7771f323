"""One conversation, sent to be imported."""

from collections.abc import Iterable, Iterator
from itertools import islice

import grpc
from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

VOTES_OF_A_MESSAGE = 1_000
_SECONDS = 600.0


def pieces(
    header: transfer.ConversationHeader,
    opinions: Iterable[transfer.TransferredOpinion],
    votes: Iterable[transfer.TransferredVote],
) -> Iterator[messages.ImportConversationRequest]:
    """The header, then the opinions, then the votes, many a message."""
    yield messages.ImportConversationRequest(header=header)
    for opinion in opinions:
        yield messages.ImportConversationRequest(opinion=opinion)
    upcoming = iter(votes)
    while several := list(islice(upcoming, VOTES_OF_A_MESSAGE)):
        yield messages.ImportConversationRequest(votes=transfer.TransferredVotes(votes=several))


def import_conversation(
    address: str, requests: Iterable[messages.ImportConversationRequest]
) -> messages.ImportConversationResponse:
    """What the service answered; nothing may be wrong with any piece."""
    with grpc.insecure_channel(address) as channel:
        answer = VotingServiceStub(channel).ImportConversation(iter(requests), timeout=_SECONDS)
    assert not answer.rejected_count, f"{answer.rejected_count} pieces were refused, the first: {answer.rejected[0]}"
    return answer
