"""The few petition calls around a load: create one, and look at what has become of it."""

import contextlib
import uuid
from collections.abc import Iterator, Sequence

import grpc
from pydantic import BaseModel
from tally.petition.v1 import petition_pb2, petition_service_pb2
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

_SECONDS = 120.0


class Standing(BaseModel):
    """A petition's counter, its rows, and the thresholds recorded as crossed, in order."""

    counter: int
    counted: int
    crossed: list[int]


class Petitions:
    """A petition service, called one thing after the other."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = PetitionServiceStub(channel)

    def create(self, title: str, thresholds: Sequence[int]) -> str:
        petition = petition_pb2.Petition(
            title=title,
            body="Made by the tally command.",
            petition_type="local",
            submitter_id=str(uuid.uuid4()),
            escalation_thresholds=thresholds,
        )
        request = petition_service_pb2.CreatePetitionRequest(petition=petition, request_id=str(uuid.uuid4()))
        return self._stub.CreatePetition(request, timeout=_SECONDS).petition.petition_id

    def standing(self, petition_id: str) -> Standing:
        verify = petition_service_pb2.VerifyCoSignerCountRequest(petition_id=petition_id)
        found = self._stub.VerifyCoSignerCount(verify, timeout=_SECONDS)
        listing = petition_service_pb2.ListEscalationsRequest(petition_id=petition_id, page_size=1_000)
        escalations = self._stub.ListEscalations(listing, timeout=_SECONDS).escalations
        crossed = [e.threshold for e in escalations if e.kind == petition_pb2.ESCALATION_KIND_CROSSED]
        return Standing(counter=found.counter, counted=found.counted, crossed=crossed)


@contextlib.contextmanager
def petitions(address: str) -> Iterator[Petitions]:
    with grpc.insecure_channel(address) as channel:
        yield Petitions(channel)
