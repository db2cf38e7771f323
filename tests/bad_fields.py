"""Bad values of fields and what a service must say to them, for the tests of every service."""

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from google.protobuf.message import Message

from tests.servers import refused
from tests.stored import Connection, everything

NOT_A_UUID = {
    "empty": "",
    "a word": "petition",
    "too short": "11111111-1111-4111-8111-11111111111",
    "too long": "11111111-1111-4111-8111-1111111111111",
    "not hexadecimal": "11111111-1111-4111-8111-11111111111g",
    "without dashes": "11111111111141118111111111111111",
    "in braces": "{11111111-1111-4111-8111-111111111111}",
    "with a line break": "11111111-1111-4111-8111-111111111111\n",
    "SQL": "'; DROP TABLE petition.co_signs; --",
}

BLANK = {
    "empty": "",
    "blank": " ",
    "blanks": "   ",
    "only no-break spaces": "\u00a0\u00a0",
    "only wide spaces": "\u3000",
}
CONTROL = {
    "NUL": "a\x00b",
    "escape": "a\x1bb",
    "delete": "a\x7fb",
    "a bell at the end": "a\x07",
    "a next line": "a\x85b",
}
LINE_BREAKS = {
    "a line break": "a\nb",
    "a carriage return": "a\rb",
    "a tab": "a\tb",
    "a line break at the end": "a\n",
    "a line separator": "a\u2028b",
    "a paragraph separator": "a\u2029b",
}


class Service(Protocol):
    """A service as its tests talk to it."""

    stub: Any


def call(service: Service, rpc: str, request: Message) -> Awaitable[Any]:
    answer: Awaitable[Any] = getattr(service.stub, rpc)(request)
    return answer


async def is_refused_naming(service: Service, db: Connection, rpc: str, request: Message, *fields: str) -> None:
    """Fails unless the call is refused for exactly these fields, with nothing stored."""
    await are_refused_naming(service, db, rpc, [request], *fields)


async def are_refused_naming(
    service: Service, db: Connection, rpc: str, requests: Sequence[Message], *fields: str
) -> None:
    """Fails unless each call is refused for exactly these fields, with nothing stored by any of them."""
    assert requests
    before = await everything(db)
    for request in requests:
        answer = await refused(call(service, rpc.partition(" ")[0], request))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", list(fields)), request
    assert await everything(db) == before


def with_field(request: Any, path: str, value: Any) -> Any:
    """The request with the field at a dotted path set; repeated fields are replaced."""
    *parents, name = path.split(".")
    message = request
    for parent in parents:
        message = getattr(message, parent)
    if isinstance(value, list):
        message.ClearField(name)
        getattr(message, name).extend(value)
    elif hasattr(value, "DESCRIPTOR"):
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)
    return request
