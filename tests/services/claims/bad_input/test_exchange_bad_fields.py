"""Each bad field of each RPC of exchanges is named and nothing is stored; the good values next to the bad are taken (G9)."""

import functools
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tally.claims.v1 import exchange_service_pb2 as messages

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
from tests.services.claims.food import Food, a_creation, food_adds_up, in_hours
from tests.services.claims.food_calls import READS, WRITES, World, a_world
from tests.services.petition.people import new_uuid
from tests.stored import Connection, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = WRITES | READS
SQL = "'; DROP TABLE claims.food_posts; --"

UUID_FIELDS = {
    "CreateFoodPost": ["food_post.giver_id", "request_id"],
    "GetFoodPost": ["food_post_id"],
    "CloseFoodPost": ["food_post_id", "actor_id", "request_id"],
    "ClaimFood": ["food_post_id", "user_id", "request_id"],
    "ConfirmExchange": ["exchange_id", "actor_id", "request_id"],
    "CompleteExchange": ["exchange_id", "actor_id", "request_id"],
    "CancelExchange": ["exchange_id", "actor_id", "request_id"],
    "GetExchange": ["exchange_id"],
    "ListExchanges": ["food_post_id"],
    "ListExchanges of a giver": ["giver_id"],
    "ListExchanges of a receiver": ["receiver_id"],
    "RateExchange": ["exchange_id", "rater_id", "request_id"],
}
# Those that may be left out.
OPTIONAL_UUID_FIELDS = {"CreateFoodPost": ["food_post.group_id"], "ListFoodPosts": ["group_id"]}
MODES = {
    "21 characters": "x" * 21,
    "capitals": "COMMUNITY",
    "one capital": "communitY",
    "a digit first": "1st",
    "an underscore first": "_a",
    "a dash": "a-b",
    "a blank": "a b",
    "only a blank": " ",
    "an umlaut": "nähe",
    "another alphabet": "cοmmunity",  # noqa: RUF001  # that is the point
    "a line break at the end": "community\n",
    "NUL": "a\x00",
    "SQL": SQL,
}

# RPC, field, values that are refused, values that are taken.
TEXTS: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    (
        "CreateFoodPost",
        "food_post.title",
        BLANK
        | CONTROL
        | LINE_BREAKS
        | {
            "only an invisible character": "\u200b",
            "201 characters": "x" * 201,
            "201 emoji": "🍲" * 201,
            "201 characters, blanks among them": f" {'x' * 199} ",
            "SQL with a NUL": f"{SQL}\x00",
        },
        {
            "1 character": "x",
            "200 characters": "x" * 200,
            "200 emoji": "🍲" * 200,
            "blanks around": " x ",
            "a letter and what belongs over it": "e\u0301",
            "right to left": "\u05de\u05e8\u05e7",
            "SQL": SQL,
            "parameters": "$1 %s %(name)s {0} :name ? \\'",
        },
    ),
    (
        "CreateFoodPost",
        "food_post.sharing_mode",
        MODES,
        {"empty": "", "1 character": "x", "20 characters": "x" * 20, "digits": "a_1_2"},
    ),
    (
        "ListFoodPosts",
        "sharing_mode",
        MODES,
        {"empty": "", "1 character": "x", "20 characters": "x" * 20, "digits": "a_1_2"},
    ),
    (
        "RateExchange",
        "comment",
        CONTROL
        | {name: text for name, text in BLANK.items() if text}
        | {"only line breaks": "\n\n", "1,001 characters": "x" * 1001, "1,001 emoji": "🍲" * 1001},
        LINE_BREAKS
        | {"empty": "", "1 character": "x", "1,000 characters": "x" * 1000, "1,000 emoji": "🍲" * 1000, "SQL": SQL},
    ),
]
# RPC, field, numbers that are refused, numbers that are taken.
NUMBERS: list[tuple[str, str, list[int], list[int]]] = [
    ("CreateFoodPost", "food_post.portions", [0, -1, -(2**31)], [1, 2**31 - 1]),
    ("ClaimFood", "portions", [0, -1, -(2**31)], [1, 997]),
    ("RateExchange", "stars", [0, 6, -1, -(2**31), 2**31 - 1], [1, 5]),
    ("ListFoodPosts", "page_size", [-1, 1001, -(2**31), 2**31 - 1], [0, 1, 1000]),
    ("ListExchanges", "page_size", [-1, 1001, -(2**31), 2**31 - 1], [0, 1, 1000]),
]


def pairs(fields: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(rpc, field) for rpc, names in fields.items() for field in names]


async def a_request(food: Food, rpc: str, world: World) -> Any:
    """A good one that was not sent before: a user claims once, a side rates once."""
    request: Any = ALL[rpc](world)
    if rpc == "RateExchange":
        completed = await food.completed(world.post.food_post_id)
        request.exchange_id, request.rater_id = completed.exchange_id, completed.receiver_id
    return request


@pytest.mark.parametrize(("rpc", "field"), pairs(UUID_FIELDS))
async def test_what_is_no_uuid_is_named(food: Food, db: Connection, rpc: str, field: str) -> None:
    """G9."""
    world = await a_world(food)
    requests = [with_field(ALL[rpc](world), field, text) for text in NOT_A_UUID.values()]
    await are_refused_naming(food, db, rpc, requests, field)


@pytest.mark.parametrize(("rpc", "field"), pairs(UUID_FIELDS | OPTIONAL_UUID_FIELDS))
async def test_a_uuid_in_upper_case_is_taken(food: Food, rpc: str, field: str) -> None:
    request: Any = ALL[rpc](await a_world(food))
    value = functools.reduce(getattr, field.split("."), request)
    await call(food, rpc.partition(" ")[0], with_field(request, field, value.upper()))


@pytest.mark.parametrize(("rpc", "field"), pairs(OPTIONAL_UUID_FIELDS))
async def test_a_group_is_a_uuid_or_left_out(food: Food, db: Connection, rpc: str, field: str) -> None:
    """G9."""
    world = await a_world(food)
    for text in NOT_A_UUID.values():
        request = with_field(ALL[rpc](world), field, text)
        if text:
            await is_refused_naming(food, db, rpc, request, field)
        else:
            await call(food, rpc, request)


@pytest.mark.parametrize(("rpc", "field", "bad", "good"), TEXTS, ids=lambda part: part if isinstance(part, str) else "")
async def test_a_bad_text_is_named_and_one_at_the_bound_is_taken(
    food: Food, db: Connection, rpc: str, field: str, bad: dict[str, str], good: dict[str, str]
) -> None:
    """G9."""
    world = await a_world(food)
    requests = [with_field(ALL[rpc](world), field, value) for value in bad.values()]
    await are_refused_naming(food, db, rpc, requests, field)
    for value in good.values():
        answer = await call(food, rpc, with_field(await a_request(food, rpc, world), field, value))
        if rpc == "CreateFoodPost" and value:
            name = field.rpartition(".")[2]
            assert getattr(await food.get(answer.food_post.food_post_id), name) == value, "stored as it was sent"
        if rpc == "RateExchange":
            assert answer.rating.comment == value
    await food_adds_up(db)


@pytest.mark.parametrize(
    ("rpc", "field", "bad", "good"), NUMBERS, ids=lambda part: part if isinstance(part, str) else ""
)
async def test_a_bad_number_is_named_and_one_at_the_bound_is_taken(
    food: Food, db: Connection, rpc: str, field: str, bad: list[int], good: list[int]
) -> None:
    """G9: portions of a claim go up to what there is, here one after the other."""
    world = await a_world(food)
    requests = [with_field(ALL[rpc](world), field, value) for value in bad]
    await are_refused_naming(food, db, rpc, requests, field)
    for value in good:
        if rpc == "ClaimFood":
            world = await a_world(food)
        await call(food, rpc, with_field(await a_request(food, rpc, world), field, value))
    await food_adds_up(db)


async def test_a_claim_of_more_than_any_post_has_is_out_of_stock(food: Food, db: Connection) -> None:
    """G9: as good a number as any."""
    world = await a_world(food)
    before = await everything(db)
    request = with_field(ALL["ClaimFood"](world), "portions", 2**31 - 1)
    assert (await refused(call(food, "ClaimFood", request))).reason == "OUT_OF_STOCK"
    assert await everything(db) == before


async def test_a_pickup_time_is_in_the_future(food: Food, db: Connection) -> None:
    """G9: missing, past, or none that there is; nor the last microsecond, which is the database's infinity."""
    request = a_creation()
    request.food_post.ClearField("pickup_time")
    await is_refused_naming(food, db, "CreateFoodPost", request, "food_post.pickup_time")
    year_10000 = 253_402_300_800
    for bad in (
        Timestamp(),
        Timestamp(seconds=-1),
        in_hours(-1),
        in_hours(-0.001),
        Timestamp(seconds=year_10000 - 1, nanos=999_999_000),
        Timestamp(seconds=year_10000),
        Timestamp(seconds=2**63 - 1),
        Timestamp(seconds=-(2**63)),
    ):
        request = with_field(a_creation(), "food_post.pickup_time", bad)
        await is_refused_naming(food, db, "CreateFoodPost", request, "food_post.pickup_time")
    for good in (in_hours(0.02), Timestamp(seconds=year_10000 - 1, nanos=999_998_000)):
        created = await food.create(pickup_time=good)
        assert (await food.get(created.food_post_id)).pickup_time == good


@pytest.mark.parametrize("rpc", ["ListFoodPosts", "ListExchanges"])
async def test_a_page_token_of_more_than_300_characters_is_refused(food: Food, db: Connection, rpc: str) -> None:
    """G9."""
    request = with_field(READS[rpc](await a_world(food)), "page_token", "x" * 301)
    await is_refused_naming(food, db, rpc, request, "page_token")


async def test_bad_fields_are_named_together(food: Food, db: Connection) -> None:
    """G9."""
    request = a_creation(title="", portions=0, sharing_mode="X", group_id="x", giver_id="x", pickup_time=Timestamp())
    request.request_id = SQL
    before = await everything(db)
    answer = await refused(call(food, "CreateFoodPost", request))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    named = [
        f"food_post.{name}" for name in ("title", "group_id", "sharing_mode", "portions", "pickup_time", "giver_id")
    ]
    assert sorted(answer.fields) == sorted([*named, "request_id"])
    assert await everything(db) == before


@pytest.mark.parametrize("rpc", [*WRITES, "GetFoodPost", "GetExchange", "ListExchanges"])
async def test_an_empty_request_names_every_field_that_is_needed(food: Food, db: Connection, rpc: str) -> None:
    """G9: all of them in one answer."""
    needed = UUID_FIELDS | {
        "CreateFoodPost": ["food_post", "request_id"],
        "ClaimFood": [*UUID_FIELDS["ClaimFood"], "portions"],
        "RateExchange": [*UUID_FIELDS["RateExchange"], "stars"],
        "ListExchanges": ["of"],
    }
    request = type(ALL[rpc](await a_world(food)))()
    before = await everything(db)
    answer = await refused(call(food, rpc, request))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert sorted(answer.fields) == sorted(needed[rpc])
    assert await everything(db) == before


async def test_a_time_between_two_microseconds_is_stored_as_the_one_before(food: Food) -> None:
    soon = in_hours(1)
    soon.nanos += 999
    stored = (await food.create(pickup_time=soon)).pickup_time
    assert (stored.seconds, stored.nanos) == (soon.seconds, soon.nanos - 999)


async def test_sql_in_every_string_of_every_request_changes_nothing(food: Food, db: Connection) -> None:
    """G9: it is refused where it is no title or comment, and a text like any other where it is."""
    world = await a_world(food)
    before = await everything(db)
    for request in (
        messages.ListFoodPostsRequest(group_id=SQL),
        messages.ListFoodPostsRequest(sharing_mode=SQL),
        messages.ListExchangesRequest(giver_id=SQL),
    ):
        rpc = type(request).__name__.removesuffix("Request")
        assert (await refused(call(food, rpc, request))).reason == "INVALID_FIELDS"
    assert (await refused(call(food, "ListFoodPosts", messages.ListFoodPostsRequest(page_token=SQL)))).reason == (
        "INVALID_PAGE_TOKEN"
    )
    assert await everything(db) == before
    assert (await food.get(world.post.food_post_id)).title == world.post.title
    assert new_uuid() not in await food.listed()
