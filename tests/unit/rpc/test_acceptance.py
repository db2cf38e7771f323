"""The quick check never accepts what protovalidate refuses, and accepts the calls there are most of."""

import re
import uuid
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from protovalidate import Validator
from tally.aggregator.v1 import aggregator_pb2, aggregator_service_pb2
from tally.claims.v1 import coupon_pb2, coupon_service_pb2, exchange_pb2, exchange_service_pb2
from tally.common.v1 import count_pb2
from tally.operations.v1 import operations_service_pb2
from tally.petition.v1 import petition_pb2, petition_service_pb2

from libs.rpc.acceptance import acceptance, accepts
from libs.rpc.validation import violations
from tests.unit.rpc.small_server import PETITION_ID, co_sign, get_petition

FILES = (
    aggregator_service_pb2,
    coupon_service_pb2,
    exchange_service_pb2,
    operations_service_pb2,
    petition_service_pb2,
    aggregator_pb2,
    coupon_pb2,
    exchange_pb2,
    petition_pb2,
    count_pb2,
)
TYPES: list[type[Message]] = [
    getattr(file, name)
    for file in FILES
    for name, descriptor in sorted(file.DESCRIPTOR.message_types_by_name.items())
    if "Response" not in name
]
judge = Validator().collect_violations

# Good ones, and those that two engines might see differently.
TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            PETITION_ID,
            PETITION_ID.upper(),
            PETITION_ID + "\n",
            PETITION_ID.replace("-", ""),
            "{" + PETITION_ID + "}",
            PETITION_ID.replace("0", "\u0660"),
            "urn:uuid:" + PETITION_ID,
            "petition.co_signers",
            "petition.co_signers\n",
            "petition_co_signers",
            "pétition.x",
            "DE-BY",
            "DE-BY\n",
            "a" * 32,
            "a" * 33,
            "-DE",
            "\u017f",
            "K",
            "local",
            "a" * 50,
            "a" * 51,
            "a" * 20,
            "a" * 21,
            "0123456789abcdef",
            "0123456789abcdef0",
            "x" * 200,
            "x" * 255,
            "x" * 256,
            "\u3000 ",
            "é" * 200,
            "😀" * 101,
            "\x00",
        ]
    ),
    st.uuids().map(str),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.from_regex(re.compile(r"[a-z._]{1,12}\n?"), fullmatch=True),
)
NUMBERS = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([-1, 0, 1, 2, 100, 101, 1000, 1001]))


def value_of(draw: Any, field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return draw(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"bytes"
    if field.type == FieldDescriptor.TYPE_BOOL:
        return draw(st.booleans())
    if field.type == FieldDescriptor.TYPE_ENUM:
        return draw(st.integers(-1, 5))
    return draw(NUMBERS)


def fill(draw: Any, message: Any, depth: int = 0) -> None:
    for field in message.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        for _ in range(draw(st.integers(0, 3)) if field.is_repeated else 1):
            if field.message_type is not None:
                place = getattr(message, field.name)
                below = place.add() if field.is_repeated else place
                below.SetInParent()
                if depth < 3:
                    fill(draw, below, depth + 1)
            elif field.is_repeated:
                getattr(message, field.name).append(value_of(draw, field))
            else:
                setattr(message, field.name, value_of(draw, field))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: str(kind.DESCRIPTOR.name))
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_what_is_accepted_breaks_no_rule(kind: type[Message], data: Any) -> None:
    message = kind()
    fill(data.draw, message)
    if accepts(message):
        assert judge(message) == []


@given(TEXTS, TEXTS, TEXTS, TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_signature_is_accepted_exactly_when_protovalidate_finds_nothing(
    petition: str, user: str, region: str, request: str
) -> None:
    message = co_sign(petition_id=petition, user_id=user, region_code=region, request_id=request)
    assert accepts(message) == (judge(message) == [])


@pytest.mark.parametrize(
    "message",
    [
        co_sign(),
        co_sign(region_code="DE-BY"),
        co_sign(petition_id=str(uuid.uuid4()).upper()),
        get_petition(),
        petition_service_pb2.GetCoSignerCountRequest(petition_id=PETITION_ID),
        petition_service_pb2.GetCoSignerCountRequest(
            petition_id=PETITION_ID, consistency=count_pb2.Consistency(primary=True)
        ),
        petition_service_pb2.ListPetitionsRequest(page_size=100),
        aggregator_service_pb2.GetCounterRequest(
            key=aggregator_pb2.CounterKey(counter="petition.co_signers", resource_id=PETITION_ID)
        ),
        exchange_service_pb2.ClaimFoodRequest(
            food_post_id=PETITION_ID, user_id=PETITION_ID, portions=2, request_id=PETITION_ID
        ),
    ],
    ids=lambda message: str(message.DESCRIPTOR.name),
)
def test_the_calls_there_are_most_of_are_accepted_quickly(message: Message) -> None:
    assert accepts(message)
    assert violations(message) == []


def test_a_rule_of_another_kind_is_left_to_protovalidate() -> None:
    descriptor = petition_service_pb2.DESCRIPTOR.message_types_by_name
    assert acceptance(descriptor["InvalidateCoSignsRequest"]) is None  # a choice that is required
    assert acceptance(descriptor["TimeWindow"]) is None  # an expression
    assert acceptance(descriptor["CreatePetitionRequest"]) is None  # patterns that engines see differently
    assert acceptance(descriptor["BatchCoSignRequest"]) is None  # a number of items
    assert acceptance(validate_pb2.FieldRules.DESCRIPTOR) is None  # a message in itself
