"""Server reflection, so that grpcurl needs no protos."""

from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

_V1 = "grpc.reflection.v1.ServerReflection"


class _MethodsToo:
    """The pool of all descriptors; unlike it, finds methods by name: `grpcurl describe package.Service.Method`."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802  # the pool's own name
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            return self._pool.FindServiceByName(service).methods_by_name[method].containing_service.file


def add(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Serves reflection as v1alpha and as v1, whose messages are the same on the wire."""
    health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    names = (*services, health, reflection.SERVICE_NAME)
    pool: Any = _MethodsToo()
    servicer = reflection.aio.ReflectionServicer(names, pool)
    reflection.enable_server_reflection(names, server, pool)
    handlers = {
        "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_V1, handlers),))
    server.add_registered_method_handlers(_V1, handlers)
