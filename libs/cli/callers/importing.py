"""One conversation, sent to be imported."""

from collections.abc import Iterable

import grpc
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

_SECONDS = 600.0


def import_conversation(
    address: str, pieces: Iterable[messages.ImportConversationRequest]
) -> messages.ImportConversationResponse:
    """What the service answered; nothing may be wrong with any piece."""
    with grpc.insecure_channel(address) as channel:
        answer = VotingServiceStub(channel).ImportConversation(iter(pieces), timeout=_SECONDS)
    assert not answer.rejected_count, f"{answer.rejected_count} pieces were refused, the first: {answer.rejected[0]}"
    return answer
