"""Server reflection, so that grpcurl needs no protos."""

from collections.abc import Sequence

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

_V1 = "grpc.reflection.v1.ServerReflection"


def add(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Serves reflection as v1alpha and as v1, whose messages are the same on the wire."""
    health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    names = (*services, health, reflection.SERVICE_NAME)
    servicer = reflection.aio.ReflectionServicer(names)
    reflection.enable_server_reflection(names, server)
    handlers = {
        "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_V1, handlers),))
    server.add_registered_method_handlers(_V1, handlers)
