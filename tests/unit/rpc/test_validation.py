"""Bad messages are named field by field, in words people understand."""

import importlib
from pathlib import Path
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from tally.petition.v1 import petition_pb2
from tally.petition.v1 import petition_service_pb2 as messages

from libs.rpc.patterns import PATTERNS
from libs.rpc.validation import violations
from tests.servers import refused
from tests.unit.rpc.small_server import REQUEST_ID, USER_ID, co_sign, running

PROTOS = Path(__file__).resolve().parents[3] / "protos"


def found(message: Message, prefix: str = "") -> dict[str, str]:
    return {violation.field: violation.description for violation in violations(message, prefix)}


def petition(**overrides: Any) -> messages.CreatePetitionRequest:
    given: dict[str, Any] = {"title": "Trees", "body": "More.", "petition_type": "local", "submitter_id": USER_ID}
    return messages.CreatePetitionRequest(petition=petition_pb2.Petition(**(given | overrides)), request_id=REQUEST_ID)


def test_a_good_message_has_no_violations() -> None:
    assert violations(petition()) == []


def test_every_bad_field_is_named_by_its_path() -> None:
    bad = petition(title="", submitter_id="me", escalation_thresholds=[5, 10, 0])
    assert set(found(bad)) == {"petition.title", "petition.submitter_id", "petition.escalation_thresholds[2]"}


def test_an_item_of_a_batch_is_named_by_its_place() -> None:
    assert set(found(co_sign(user_id="x"), "requests[3].")) == {"requests[3].user_id"}


def test_a_missing_message_and_an_empty_choice_are_named() -> None:
    assert "petition" in found(messages.CreatePetitionRequest(request_id=REQUEST_ID))
    assert "selection" in found(messages.InvalidateCoSignsRequest())


def test_a_field_that_is_empty_is_told_so_once() -> None:
    assert found(petition(title="")) == {"petition.title": "must be at least 1 characters"}


def test_a_pattern_is_explained_and_quoted() -> None:
    description = found(petition(title="a\x01b"))["petition.title"]
    assert description.startswith("must not be blank and must not contain control characters or line breaks (pattern ")


def patterns(descriptor: Descriptor, seen: set[str]) -> set[str]:
    if descriptor.full_name in seen:
        return set()
    seen.add(descriptor.full_name)
    there = set()
    for field in descriptor.fields:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        there |= {rules.string.pattern, rules.repeated.items.string.pattern} - {""}
        if field.message_type is not None:
            there |= patterns(field.message_type, seen)
    return there


def test_every_pattern_of_the_protos_is_put_in_words() -> None:
    seen: set[str] = set()
    there = set()
    for path in PROTOS.rglob("*.proto"):
        module = ".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2"
        for descriptor in importlib.import_module(module).DESCRIPTOR.message_types_by_name.values():
            there |= patterns(descriptor, seen)
    assert there
    assert there <= set(PATTERNS)


@given(st.text(), st.text(), st.text(), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30))
def test_whatever_a_caller_sends_is_judged_without_an_error(
    title: str, body: str, kind: str, thresholds: list[int]
) -> None:
    text = [part.encode("utf-8", "ignore").decode() for part in (title, body, kind)]
    bad = petition(title=text[0], body=text[1], petition_type=text[2], escalation_thresholds=thresholds)
    assert all(violation.field.startswith("petition.") for violation in violations(bad))


class Echo:
    async def CoSign(self, request: Any, context: Any) -> Any:
        return messages.CoSignResponse()

    async def BatchCoSign(self, request: Any, context: Any) -> Any:
        return messages.BatchCoSignResponse(results=[messages.CoSignResult()] * len(request.requests))

    async def StreamCoSigns(self, request_iterator: Any, context: Any) -> Any:
        async for _ in request_iterator:
            yield messages.StreamCoSignsResponse()


async def test_a_bad_request_does_not_reach_the_handler() -> None:
    async with running(Echo()) as server:
        refusal = await refused(server.stub.CoSign(co_sign(petition_id="", region_code="no spaces")))
        assert refusal.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
        assert refusal.fields == ["petition_id", "region_code"]


async def test_items_whose_rules_are_the_handlers_business_pass() -> None:
    async with running(Echo()) as server:
        answer = await server.stub.BatchCoSign(messages.BatchCoSignRequest(requests=[co_sign(user_id="bad")]))
        assert len(answer.results) == 1
        stream = server.stub.StreamCoSigns(iter([messages.StreamCoSignsRequest(request=co_sign(user_id="bad"))]))
        assert len([each async for each in stream]) == 1
