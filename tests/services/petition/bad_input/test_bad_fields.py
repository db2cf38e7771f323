"""Each bad field of each RPC is named and nothing is stored; the good values next to the bad ones are taken (G9)."""

import functools
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from tally.common.v1 import count_pb2
from tally.petition.v1 import petition_service_pb2 as messages

from tests.bad_fields import (
    BLANK,
    CONTROL,
    LINE_BREAKS,
    NOT_A_UUID,
    are_refused_naming,
    call,
    is_refused_naming,
    with_field,
)
from tests.servers import refused
from tests.services.petition.calls import READS, WRITES, a_world, an_invalidation_by_time
from tests.services.petition.people import Petitions, a_petition, new_uuid
from tests.stored import Connection, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = WRITES | READS | {"InvalidateCoSigns by time": an_invalidation_by_time}

UUID_FIELDS = {
    "CreatePetition": ["petition.submitter_id", "request_id"],
    "GetPetition": ["petition_id"],
    "ClosePetition": ["petition_id", "request_id"],
    "WithdrawPetition": ["petition_id", "submitter_id", "request_id"],
    "CoSign": ["petition_id", "user_id", "request_id"],
    "WithdrawCoSign": ["petition_id", "user_id", "request_id"],
    "InvalidateCoSigns": ["petition_id", "request_id"],
    "GetCoSignerCount": ["petition_id"],
    "ListCoSigners": ["petition_id"],
    "ListEscalations": ["petition_id"],
    "VerifyCoSignerCount": ["petition_id"],
}

# RPC, field, values that are refused, values that are taken.
TEXTS: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    (
        "CreatePetition",
        "petition.title",
        BLANK | CONTROL | LINE_BREAKS | {"201 characters": "x" * 201, "201 emoji": "🌳" * 201},
        {"1 character": "x", "200 characters": "x" * 200, "200 emoji": "🌳" * 200, "spaces around": " x "},
    ),
    (
        "CreatePetition",
        "petition.body",
        BLANK | CONTROL | {"only line breaks": "\n\n", "20,001 characters": "x" * 20_001},
        LINE_BREAKS | {"1 character": "x", "20,000 characters": "x" * 20_000, "20,000 emoji": "🌳" * 20_000},
    ),
    (
        "CreatePetition",
        "petition.petition_type",
        {
            "empty": "",
            "upper case": "Local",
            "a digit first": "1st",
            "a dash": "a-b",
            "a blank": "a b",
            "51 characters": "x" * 51,
            "a line break at the end": "local\n",
            "another alphabet": "lοcal",  # noqa: RUF001  # that is the point
        },
        {"1 character": "x", "50 characters": "x" * 50, "digits": "a_1_2"},
    ),
    (
        "CoSign",
        "region_code",
        {
            "33 characters": "x" * 33,
            "a dash first": "-DE",
            "a blank": "DE BY",
            "an umlaut": "BÄ",
            "a line break at the end": "DE\n",
            "SQL": "DE';--",
            "NUL": "DE\x00",
        },
        {"empty": "", "1 character": "D", "32 characters": "x" * 32, "a code": "DE-BY_1"},
    ),
    (
        "InvalidateCoSigns",
        "reason",
        BLANK | CONTROL | LINE_BREAKS | {"501 characters": "x" * 501},
        {"1 character": "x", "500 characters": "x" * 500, "SQL": "'; DROP TABLE petition.co_signs; --"},
    ),
]


@pytest.mark.parametrize(("rpc", "field"), [(rpc, field) for rpc, fields in UUID_FIELDS.items() for field in fields])
async def test_what_is_no_uuid_is_named(petitions: Petitions, db: Connection, rpc: str, field: str) -> None:
    """G9."""
    world = await a_world(petitions)
    requests = [with_field(ALL[rpc](world), field, text) for text in NOT_A_UUID.values()]
    await are_refused_naming(petitions, db, rpc, requests, field)


@pytest.mark.parametrize(("rpc", "field"), [(rpc, field) for rpc, fields in UUID_FIELDS.items() for field in fields])
async def test_a_uuid_in_upper_case_is_taken(petitions: Petitions, rpc: str, field: str) -> None:
    request: Any = ALL[rpc](await a_world(petitions))
    value = functools.reduce(getattr, field.split("."), request)
    await call(petitions, rpc, with_field(request, field, value.upper()))


@pytest.mark.parametrize(("rpc", "field", "bad", "good"), TEXTS, ids=lambda part: part if isinstance(part, str) else "")
async def test_a_bad_text_is_named_and_one_at_the_bound_is_taken(
    petitions: Petitions, db: Connection, rpc: str, field: str, bad: dict[str, str], good: dict[str, str]
) -> None:
    """G9."""
    world = await a_world(petitions)
    requests = [with_field(ALL[rpc](world), field, value) for value in bad.values()]
    await are_refused_naming(petitions, db, rpc, requests, field)
    for value in good.values():
        request = with_field(ALL[rpc](world), field, value)
        if hasattr(request, "user_id"):
            request.user_id = new_uuid()
        await call(petitions, rpc, request)


@pytest.mark.parametrize(
    ("thresholds", "named"),
    [
        pytest.param([*range(1, 22)], "petition.escalation_thresholds", id="21"),
        pytest.param([5, 0], "petition.escalation_thresholds[1]", id="0"),
        pytest.param([-1], "petition.escalation_thresholds[0]", id="-1"),
        pytest.param([5, 5], "petition.escalation_thresholds", id="one twice"),
    ],
)
async def test_bad_thresholds_are_named(
    petitions: Petitions, db: Connection, thresholds: list[int], named: str
) -> None:
    """G9."""
    request = messages.CreatePetitionRequest(
        petition=a_petition(escalation_thresholds=thresholds), request_id=new_uuid()
    )
    await is_refused_naming(petitions, db, "CreatePetition", request, named)


async def test_20_thresholds_up_to_the_largest_number_are_taken(petitions: Petitions) -> None:
    thresholds = [*range(1, 20), 2**31 - 1]
    assert list((await petitions.create(escalation_thresholds=thresholds)).escalation_thresholds) == thresholds


async def test_a_creation_without_a_petition_is_refused(petitions: Petitions, db: Connection) -> None:
    """G9."""
    request = messages.CreatePetitionRequest(request_id=new_uuid())
    await is_refused_naming(petitions, db, "CreatePetition", request, "petition")


@pytest.mark.parametrize("rpc", ["ListPetitions", "ListCoSigners", "ListEscalations"])
async def test_page_sizes_go_from_0_to_1000(petitions: Petitions, db: Connection, rpc: str) -> None:
    """G9."""
    world = await a_world(petitions)
    requests = [with_field(READS[rpc](world), "page_size", size) for size in (-1, -(2**31), 1001, 2**31 - 1)]
    await are_refused_naming(petitions, db, rpc, requests, "page_size")
    for size in (0, 1, 1000):
        await call(petitions, rpc, with_field(READS[rpc](world), "page_size", size))


@pytest.mark.parametrize("rpc", ["ListPetitions", "ListCoSigners", "ListEscalations"])
async def test_a_page_token_of_more_than_200_characters_is_refused(
    petitions: Petitions, db: Connection, rpc: str
) -> None:
    """G9."""
    request = with_field(READS[rpc](await a_world(petitions)), "page_token", "x" * 201)
    await is_refused_naming(petitions, db, rpc, request, "page_token")


async def test_an_order_that_does_not_exist_is_refused(petitions: Petitions, db: Connection) -> None:
    """G9."""
    request = with_field(messages.ListPetitionsRequest(), "order", 99)
    await is_refused_naming(petitions, db, "ListPetitions", request, "order")


async def test_a_bad_commit_token_is_named(petitions: Petitions, db: Connection) -> None:
    """G9."""
    request = READS["GetCoSignerCount"](await a_world(petitions))
    for text in ("", "xyz", "ABC", "-1", "0x1", "1" * 17, "1 ", "1\n"):
        with_field(request, "consistency", count_pb2.Consistency(at_least=text))
        await is_refused_naming(petitions, db, "GetCoSignerCount", request, "consistency.at_least")


async def test_a_staleness_below_nothing_or_above_an_hour_is_named(petitions: Petitions, db: Connection) -> None:
    """G9."""
    request = READS["GetCoSignerCount"](await a_world(petitions))
    for duration in (
        Duration(seconds=-1),
        Duration(nanos=-1),
        Duration(seconds=3600, nanos=1),
        Duration(seconds=10**11),
        Duration(seconds=10**15),
    ):
        with_field(request, "consistency", count_pb2.Consistency(max_staleness=duration))
        await is_refused_naming(petitions, db, "GetCoSignerCount", request, "consistency.max_staleness")


@pytest.mark.parametrize("rpc", [rpc for rpc in ALL if rpc != "ListPetitions"])
async def test_an_empty_request_names_every_field_that_is_needed(
    petitions: Petitions, db: Connection, rpc: str
) -> None:
    """G9: all of them in one answer."""
    request = type(ALL[rpc](await a_world(petitions)))()
    needed = {
        "CreatePetition": ["petition", "request_id"],
        "BatchCoSign": ["requests"],
        "InvalidateCoSigns": ["selection", "petition_id", "reason", "request_id"],
        "InvalidateCoSigns by time": ["selection", "petition_id", "reason", "request_id"],
    }
    before = await everything(db)
    answer = await refused(call(petitions, rpc.partition(" ")[0], request))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert sorted(answer.fields) == sorted(needed.get(rpc, UUID_FIELDS.get(rpc, [])))
    assert await everything(db) == before
