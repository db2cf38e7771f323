"""Each bad field of each RPC is named and nothing is stored; the good values next to the bad ones are taken (G9)."""

import functools
from typing import Any

import pytest
from tally.voting.v1 import voting_service_pb2 as messages

from tests.bad_fields import BLANK, CONTROL, LINE_BREAKS, NOT_A_UUID, are_refused_naming, call, with_field
from tests.servers import refused
from tests.services.voting.calls import READS, WRITES, World, a_world
from tests.services.voting.conversations import Conversations, new_uuid
from tests.stored import Connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = WRITES | READS
LAST_INT32 = 2**31 - 1

UUID_FIELDS = {
    "CreateConversation": ["conversation.creator_id", "request_id"],
    "GetConversation": ["conversation_id"],
    "LockConversation": ["conversation_id", "moderator_id", "request_id"],
    "UnlockConversation": ["conversation_id", "moderator_id", "request_id"],
    "CreateOpinion": ["conversation_id", "author_id", "request_id"],
    "GetOpinion": ["conversation_id", "opinion_id"],
    "ListOpinions": ["conversation_id"],
    "ModerateOpinion": ["conversation_id", "opinion_id", "moderator_id", "request_id"],
    "DeleteOpinion": ["conversation_id", "opinion_id", "actor_id", "request_id"],
    "CastVote": ["conversation_id", "opinion_id", "user_id", "request_id"],
    "CancelVote": ["conversation_id", "opinion_id", "user_id", "request_id"],
    "ListVotes": ["conversation_id", "opinion_id", "user_id"],
    "ListNextOpinions": ["conversation_id", "user_id"],
}

SQL = {"SQL": "'; DROP TABLE voting.votes; --", "SQL of a pattern": "%' OR 1=1 /*"}
INVISIBLE = {"only invisible characters": "\u200b\u200d\ufeff"}
UNICODE = {
    "emoji of several code points": "👩‍👩‍👧‍👦🏳️‍🌈",
    "right to left": "نعم، في عطلات نهاية الأسبوع",
    "combining": "e\u0301",
    "ideographs": "週末だけ",
    "outside the basic plane": "𐌾𐌰",
}
LINE = BLANK | INVISIBLE | CONTROL | LINE_BREAKS
REASON = (LINE | {"501 characters": "x" * 501}, SQL | UNICODE | {"1": "x", "500": "x" * 500, "500 emoji": "🌳" * 500})
# RPC, field, values that are refused, values that are taken.
TEXTS: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    (
        "CreateConversation",
        "conversation.title",
        LINE | {"201 characters": "x" * 201, "201 emoji": "🌳" * 201},
        SQL | UNICODE | {"1": "x", "200": "x" * 200, "200 emoji": "🌳" * 200, "spaces around": " x "},
    ),
    (
        "CreateConversation",
        "conversation.description",
        CONTROL | {"20,001 characters": "x" * 20_001},
        SQL | LINE_BREAKS | {"nothing": "", "20,000": "x" * 20_000, "20,000 emoji": "🌳" * 20_000},
    ),
    (
        "CreateOpinion",
        "body",
        BLANK
        | INVISIBLE
        | CONTROL
        | {"only line breaks": "\n\r\n\t", "1,001 characters": "x" * 1001, "1,001 emoji": "🌳" * 1001},
        SQL
        | UNICODE
        | LINE_BREAKS
        | {"1": "x", "1,000": "x" * 1000, "1,000 emoji": "🌳" * 1000, "spaces around": " x "},
    ),
    ("ModerateOpinion", "reason", *REASON),
    ("LockConversation", "reason", *REASON),
    ("UnlockConversation", "reason", *REASON),
    ("DeleteOpinion", "reason", *REASON),
]

# RPC, field, numbers that are refused, numbers that are taken; of an enum, those nobody has defined.
NUMBERS: list[tuple[str, str, list[int], list[int]]] = [
    ("ListConversations", "page_size", [-1, -(2**31), 1001, LAST_INT32], [0, 1, 1000]),
    ("ListOpinions", "page_size", [-1, -(2**31), 1001, LAST_INT32], [0, 1, 1000]),
    ("ListVotes", "page_size", [-1, -(2**31), 1001, LAST_INT32], [0, 1, 1000]),
    ("ListNextOpinions", "page_size", [-1, -(2**31), 101, LAST_INT32], [0, 1, 100]),
    ("ListOpinions", "order", [-1, 5, 99, LAST_INT32], [0, 1, 2, 3, 4]),
    ("CastVote", "vote", [0, -1, 4, LAST_INT32], [1, 2, 3]),
    ("ModerateOpinion", "action", [0, -1, 7, LAST_INT32], [1, 2, 3, 4, 5, 6]),
]


@pytest.mark.parametrize("rpc", UUID_FIELDS)
async def test_what_is_no_uuid_is_named(voting: Conversations, db: Connection, world: World, rpc: str) -> None:
    """G9: one by one, and all that are needed at once; in upper case it is one."""
    for field in UUID_FIELDS[rpc]:
        bad = [with_field(ALL[rpc](world), field, text) for text in NOT_A_UUID.values()]
        await are_refused_naming(voting, db, rpc, bad, field)
    needed = {
        "CreateConversation": ["conversation", "request_id"],
        "CreateOpinion": [*UUID_FIELDS[rpc], "body"],
        "ModerateOpinion": [*UUID_FIELDS[rpc], "action", "reason"],
        "CastVote": [*UUID_FIELDS[rpc], "vote"],
        "ListVotes": ["selection", "conversation_id"],
    }
    reasons = ["reason"] if rpc in ("LockConversation", "UnlockConversation", "DeleteOpinion") else []
    answer = await refused(call(voting, rpc, type(ALL[rpc](world))()))
    assert sorted(answer.fields) == sorted(needed.get(rpc, [*UUID_FIELDS[rpc], *reasons]))
    if rpc in READS:
        for field in UUID_FIELDS[rpc]:
            await call(voting, rpc, upper_cased(ALL[rpc](world), field))


def upper_cased(request: Any, field: str) -> Any:
    value = functools.reduce(getattr, field.split("."), request)
    return with_field(request, field, (value or new_uuid()).upper())


@pytest.mark.parametrize("rpc", [rpc for rpc in UUID_FIELDS if rpc in WRITES])
async def test_a_write_takes_uuids_in_upper_case(voting: Conversations, rpc: str) -> None:
    request = WRITES[rpc](await a_world(voting))
    for field in UUID_FIELDS[rpc]:
        upper_cased(request, field)
    assert not (await call(voting, rpc, request)).replayed


@pytest.mark.parametrize(("rpc", "field", "bad", "good"), TEXTS, ids=lambda part: part if isinstance(part, str) else "")
async def test_a_bad_text_is_named_and_one_at_the_bound_is_taken(
    voting: Conversations, db: Connection, world: World, rpc: str, field: str, bad: dict[str, str], good: dict[str, str]
) -> None:
    """G9: what is taken is stored as it was sent."""
    requests = [with_field(WRITES[rpc](world), field, value) for value in bad.values()]
    await are_refused_naming(voting, db, rpc, requests, field)
    for value in good.values():
        answer = await call(voting, rpc, with_field(WRITES[rpc](await a_world(voting)), field, value))
        if rpc == "CreateOpinion":
            assert (await voting.get_opinion(answer.opinion)).body == value
        elif rpc == "CreateConversation":
            read = await voting.get(answer.conversation.conversation_id)
            assert getattr(read, field.partition(".")[2]) == value
        else:
            assert await db.fetchval("SELECT reason FROM voting.moderation ORDER BY created_time DESC LIMIT 1") == value


@pytest.mark.parametrize(
    ("rpc", "field", "bad", "good"), NUMBERS, ids=lambda part: part if isinstance(part, str) else ""
)
async def test_a_number_out_of_bounds_is_named(
    voting: Conversations, db: Connection, world: World, rpc: str, field: str, bad: list[int], good: list[int]
) -> None:
    """G9."""
    requests = [with_field(ALL[rpc](world), field, number) for number in bad]
    await are_refused_naming(voting, db, rpc, requests, field)
    for number in good:
        of = await a_world(voting) if rpc in WRITES else world
        await call(voting, rpc, with_field(ALL[rpc](of), field, number))


async def test_what_does_not_go_together_is_named(voting: Conversations, db: Connection, world: World) -> None:
    """G9: a group without its order, moderated ones in an order there is none of, a token that is too long."""
    listing = functools.partial(messages.ListOpinionsRequest, conversation_id=world.conversation_id)
    orders = [messages.OPINION_ORDER_TOP, messages.OPINION_ORDER_CONTROVERSIAL, messages.OPINION_ORDER_GROUP]
    refuse = functools.partial(are_refused_naming, voting, db)
    await refuse("ListOpinions", [listing(order=order, moderated=True) for order in orders], "order")
    await refuse("ListOpinions", [listing(group_id=1), listing(group_id=1, order=orders[0])], "group_id")
    group = messages.OPINION_ORDER_GROUP
    await refuse("ListOpinions", [listing(group_id=n, order=group) for n in (-1, 1001, LAST_INT32)], "group_id")
    for good in (listing(group_id=1000, order=group), listing(moderated=True, order=messages.OPINION_ORDER_NEWEST)):
        await call(voting, "ListOpinions", good)
    for rpc in ("ListConversations", "ListOpinions", "ListVotes"):
        await refuse(rpc, [with_field(READS[rpc](world), "page_token", "x" * 2001)], "page_token")


async def test_an_export_of_what_is_no_uuid_is_refused(voting: Conversations) -> None:
    """G9."""

    async def exported(conversation_id: str) -> list[object]:
        request = messages.ExportConversationRequest(conversation_id=conversation_id)
        return [piece async for piece in voting.stub.ExportConversation(request)]

    for text in NOT_A_UUID.values():
        answer = await refused(exported(text))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ["conversation_id"])
