"""Petitions to sign, made through the service."""

import uuid
from collections.abc import Sequence

import grpc
from tally.petition.v1 import petition_pb2, petition_service_pb2
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub


def new_id() -> str:
    return str(uuid.uuid4())


def create_petitions(address: str, count: int = 1, thresholds: Sequence[int] = (1, 10, 100, 1_000)) -> list[str]:
    """Their ids."""
    petition = petition_pb2.Petition(
        title="A bridge for walkers",
        body="There is none.",
        petition_type="local",
        submitter_id=new_id(),
        escalation_thresholds=thresholds,
    )
    with grpc.insecure_channel(address) as channel:
        stub = PetitionServiceStub(channel)
        return [
            stub.CreatePetition(
                petition_service_pb2.CreatePetitionRequest(petition=petition, request_id=new_id()),
                timeout=10,
            ).petition.petition_id
            for _ in range(count)
        ]
