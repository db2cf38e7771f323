"""Puts a generated service behind the chain."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from libs.rpc.method import Handler, Interceptor, Method


class _Recorder:
    """Stands in for a server while generated code registers a service, and keeps the handlers."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Generated code registers twice; the other call has the handlers by name."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        self.handlers.update(handlers)


def add(
    server: grpc.aio.Server,
    add_to_server: Callable[[Any, Any], None],
    servicer: object,
    descriptor: ServiceDescriptor,
    interceptors: Sequence[Interceptor],
) -> None:
    """Registers a service's handlers, each wrapped by the interceptors (outermost first)."""
    recorder = _Recorder()
    add_to_server(servicer, recorder)
    wrapped = {
        name: _wrap(Method.of(descriptor, descriptor.methods_by_name[name]), handler, interceptors)
        for name, handler in recorder.handlers.items()
        if _is_implemented(servicer, name)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(descriptor.full_name, wrapped),))
    server.add_registered_method_handlers(descriptor.full_name, wrapped)


def compose(method: Method, handler: Handler, interceptors: Sequence[Interceptor]) -> Handler:
    """The handler inside its interceptors, the first of them outermost."""
    for interceptor in reversed(interceptors):
        wrap: Any = interceptor.stream if method.streams_responses else interceptor.unary
        handler = wrap(method, handler)
    return handler


def _wrap(method: Method, recorded: Any, interceptors: Sequence[Interceptor]) -> Any:
    key = f"{'stream' if method.streams_requests else 'unary'}_{'stream' if method.streams_responses else 'unary'}"
    handler = getattr(recorded, key)
    _check_async(method, handler)
    handler = compose(method, handler, interceptors)
    _check_async(method, handler)
    make = getattr(grpc, f"{key}_rpc_method_handler")
    return make(handler, recorded.request_deserializer, recorded.response_serializer)


def _is_implemented(servicer: object, name: str) -> bool:
    """What a servicer only inherits from generated code is left out: grpc then answers UNIMPLEMENTED by itself."""
    return not getattr(type(servicer), name).__module__.endswith("_pb2_grpc")


def _check_async(method: Method, handler: Handler) -> None:
    """grpc would run anything else as blocking code in a thread."""
    is_async = inspect.isasyncgenfunction if method.streams_responses else inspect.iscoroutinefunction
    if not is_async(handler):
        kind = "an async generator" if method.streams_responses else "a coroutine function"
        raise TypeError(f"the handler of {method.path} must be {kind}")
