"""Lets no message reach a handler that breaks the rules of its proto."""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message

from libs.data.errors import InvalidInput
from libs.rpc.acceptance import acceptance, unsure
from libs.rpc.method import Context, Method, StreamHandler, UnaryHandler
from libs.rpc.validation import violations


class Validation:
    """Raises InvalidInput naming every bad field. On a stream of requests, each message is checked as it is read."""

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        if method.streams_requests:
            return lambda requests, context: handler(_checked(requests), context)

        accept = acceptance(method.request) or unsure

        def validated(request: Any, context: Context) -> Any:
            if not accept(request) and (found := violations(request)):
                raise InvalidInput(found)
            return handler(request, context)

        return validated

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        if method.streams_requests:
            return lambda requests, context: handler(_checked(requests), context)

        def validated(request: Any, context: Context) -> AsyncIterator[Any]:
            if found := violations(request):
                raise InvalidInput(found)
            return handler(request, context)

        return validated


async def _checked(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for request in requests:
        if found := violations(request):
            raise InvalidInput(found)
        yield request
