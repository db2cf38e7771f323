"""Reflection tells which services there are, in both versions of its protocol."""

import pytest
from grpc_reflection.v1alpha import reflection_pb2

from tests.unit.rpc.small_server import running


class Empty:
    """Implements nothing."""


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_services_are_listed_and_described(version: str) -> None:
    async with running(Empty()) as server:
        call = server.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="tally.petition.v1.PetitionService"),
            reflection_pb2.ServerReflectionRequest(file_by_filename="buf/validate/validate.proto"),
        ]
        listed, *described = [answer async for answer in call(iter(asked))]
    names = {service.name for service in listed.list_services_response.service}
    assert {"tally.petition.v1.PetitionService", "grpc.health.v1.Health"} <= names
    assert all(answer.file_descriptor_response.file_descriptor_proto for answer in described)
