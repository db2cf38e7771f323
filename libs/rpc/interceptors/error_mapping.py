"""Turns what a handler raises into the status the caller gets."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc.aio

from libs.data import errors
from libs.rpc import status
from libs.rpc.method import Context, Method, Refused, StreamHandler, UnaryHandler

# Answers that a caller gets again however often it asks. Others may be repeated by the caller's gRPC, which does so only where
# the status came alone, as an abort sends it.
FINAL = (errors.FailedPrecondition, errors.AlreadyExists, errors.NotFound, errors.InvalidInput)


class ErrorMapping:
    """Answers by the status table: by a `Refused`, or an `AbortError` that has the handler's exception as its cause."""

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        async def mapped(request: Any, context: Context) -> Any:
            try:
                return await handler(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                if not isinstance(error, FINAL):
                    await _abort(context, error)
                answer = status.to_grpc(error)
                context.set_code(answer.code)
                context.set_details(answer.details)
                context.set_trailing_metadata(answer.trailing_metadata)
                # Nobody looks at where it was raised, and its frames hold the call, if not the error itself.
                return Refused(error.with_traceback(None))

        return mapped

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        async def mapped(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                async with contextlib.aclosing(handler(request, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                await _abort(context, error)

        return mapped


async def _abort(context: Context, error: Exception) -> NoReturn:
    try:
        await context.abort_with_status(status.to_grpc(error))
    except grpc.aio.AbortError as abort:
        raise abort from error
    except Exception as unheard:  # the caller is gone; grpc knows, and lets its own error pass
        raise unheard from error
    raise AssertionError("abort_with_status returned")
