"""Each bad field of each RPC of groups is named and nothing is stored; the good values next to the bad are taken (G9)."""

import functools
from typing import Any

import pytest
from google.protobuf.message import Message

from tests.bad_fields import BLANK, CONTROL, LINE_BREAKS, NOT_A_UUID, are_refused_naming, call, with_field
from tests.servers import refused
from tests.services.reputation.groups.calls import READS, WRITES, World, a_world
from tests.services.reputation.groups.circle import ADMIN, MEMBER, MODERATOR, Groups, a_creation, groups_add_up
from tests.stored import Connection, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = WRITES | READS
SQL = "'; DROP TABLE reputation.group_members; --"

UUID_FIELDS = {
    "CreateGroup": ["group.admin_user_id", "request_id"],
    "GetGroup": ["group_id"],
    "ListGroupMembers": ["group_id"],
    "JoinGroup": ["group_id", "user_id", "request_id"],
    "LeaveGroup": ["group_id", "user_id", "request_id"],
    "SetGroupRole": ["group_id", "user_id", "actor_id", "request_id"],
    "SetSharingMode": ["user_id", "request_id"],
    "GetGroupActivity": ["group_id"],
    "RefreshGroupActivity": ["request_id"],
}
# What may be left out.
OPTIONAL_UUID_FIELDS = {"ListGroups": ["member_id"]}
MODES = {
    "empty": "",
    "21 characters": "x" * 21,
    "capitals": "COMMUNITY",
    "a digit first": "1st",
    "an underscore first": "_a",
    "a dash": "a-b",
    "a blank": "a b",
    "an umlaut": "nähe",
    "a line break at the end": "community\n",
    "NUL": "a\x00",
    "SQL": SQL,
}
# RPC, field, values that are refused, values that are taken.
TEXTS: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    (
        "CreateGroup",
        "group.name",
        BLANK
        | CONTROL
        | LINE_BREAKS
        | {"only an invisible character": "\u200b", "256 characters": "x" * 256, "256 emoji": "🍲" * 256},
        {
            "1 character": "x",
            "255 characters": "x" * 255,
            "255 emoji": "🍲" * 255,
            "blanks around": " x ",
            "right to left": "\u05de\u05e8\u05e7",
            "SQL": SQL,
            "parameters": "$1 %s %(name)s {0} :name ? \\'",
        },
    ),
    ("SetSharingMode", "sharing_mode", MODES, {"1 character": "x", "20 characters": "x" * 20, "digits": "a_1_2"}),
    (
        "SetSharingMode",
        "reason",
        CONTROL | {"1,001 characters": "x" * 1001, "1,001 emoji": "🍲" * 1001},
        LINE_BREAKS | {"empty": "", "blank": " ", "1,000 emoji": "🍲" * 1000, "SQL": SQL},
    ),
]
KINDS = ([0, 3, -1, 2**31 - 1], [1, 2])
PAGES = ([-1, 1001, -(2**31), 2**31 - 1], [0, 1, 1000])
# RPC, field, numbers that are refused, numbers that are taken.
NUMBERS: list[tuple[str, str, list[int], list[int]]] = [
    ("CreateGroup", "group.group_type", *KINDS),
    ("CreateGroup", "group.telegram_group_id", [0], [1, -1, 2**63 - 1, -(2**63)]),
    ("SetGroupRole", "role", [0, 4, -1], [MODERATOR, ADMIN, MEMBER]),
    ("ListGroups", "group_type", [3, -1], [0, 1, 2]),
    ("ListGroupActivity", "group_type", [3, -1], [0, 1, 2]),
    ("ListGroups", "page_size", *PAGES),
    ("ListGroupMembers", "page_size", *PAGES),
    ("ListGroupActivity", "page_size", *PAGES),
]


def pairs(fields: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(rpc, field) for rpc, names in fields.items() for field in names]


@pytest.mark.parametrize(("rpc", "field"), pairs(UUID_FIELDS | OPTIONAL_UUID_FIELDS))
async def test_what_is_no_uuid_is_named_and_one_in_capitals_is_taken(
    groups: Groups, db: Connection, rpc: str, field: str
) -> None:
    """G9."""
    world = await a_world(groups)
    bad = [text for text in NOT_A_UUID.values() if text or rpc in UUID_FIELDS]
    await are_refused_naming(groups, db, rpc, [with_field(ALL[rpc](world), field, text) for text in bad], field)
    request: Any = ALL[rpc](world)
    value = functools.reduce(getattr, field.split("."), request)
    await call(groups, rpc, with_field(request, field, value.upper()))


@pytest.mark.parametrize(("rpc", "field", "bad", "good"), TEXTS, ids=lambda part: part if isinstance(part, str) else "")
async def test_a_bad_text_is_named_and_one_at_the_bound_is_taken(
    groups: Groups, db: Connection, rpc: str, field: str, bad: dict[str, str], good: dict[str, str]
) -> None:
    """G9."""
    world = await a_world(groups)
    requests = [with_field(ALL[rpc](world), field, value) for value in bad.values()]
    await are_refused_naming(groups, db, rpc, requests, field)
    for value in good.values():
        world = await a_world(groups)
        answer = await call(groups, rpc, with_field(ALL[rpc](world), field, value))
        if rpc == "CreateGroup":
            assert (await groups.get(answer.group.group_id)).name == value, "stored as it was sent"
        else:
            assert value in (answer.transition.reason, answer.user.sharing_mode)
    await groups_add_up(db)


@pytest.mark.parametrize(
    ("rpc", "field", "bad", "good"), NUMBERS, ids=lambda part: part if isinstance(part, str) else ""
)
async def test_a_bad_number_is_named_and_one_at_the_bound_is_taken(
    groups: Groups, db: Connection, rpc: str, field: str, bad: list[int], good: list[int]
) -> None:
    """G9."""
    world = await a_world(groups)
    requests = [with_field(ALL[rpc](world), field, value) for value in bad]
    await are_refused_naming(groups, db, rpc, requests, field)
    for value in good:
        await call(groups, rpc, with_field(ALL[rpc](await a_world(groups)), field, value))
    await groups_add_up(db)


@pytest.mark.parametrize("rpc", ["ListGroups", "ListGroupMembers", "ListGroupActivity"])
async def test_a_page_token_of_more_than_2000_characters_is_refused(groups: Groups, db: Connection, rpc: str) -> None:
    """G9; and what is shorter is judged as a token, SQL like any other."""
    world = await a_world(groups)
    await are_refused_naming(groups, db, rpc, [with_field(READS[rpc](world), "page_token", "x" * 2001)], "page_token")
    for token in (SQL, "x" * 2000):
        answer = await refused(call(groups, rpc, with_field(READS[rpc](world), "page_token", token)))
        assert answer.reason == "INVALID_PAGE_TOKEN"


async def test_the_longest_name_there_is_has_a_page_token(groups: Groups) -> None:
    """One whose token would be longer than tokens may be could never be paged past."""
    member = (await a_world(groups)).member
    for name in ("🍲" * 255, '"' * 255, "\\" * 255):
        for n in range(2):
            await groups.create(member, name=name[:-1] + str(n))
    listed = await groups.listed(page_size=1, member_id=member, group_type=1)
    assert len(listed) == 7


async def test_an_empty_request_names_every_field_that_is_needed(groups: Groups, db: Connection) -> None:
    """G9: all of them in one answer."""
    needed = UUID_FIELDS | {
        "CreateGroup": ["group", "request_id"],
        "GetGroup": ["key"],
        "SetGroupRole": [*UUID_FIELDS["SetGroupRole"], "role"],
        "SetSharingMode": [*UUID_FIELDS["SetSharingMode"], "sharing_mode"],
    }
    before = await everything(db)
    for rpc, fields in needed.items():
        request: Message = type(ALL[rpc](World("", "", "", "")))()
        answer = await refused(call(groups, rpc, request))
        assert (*answer.said, sorted(answer.fields)) == ("INVALID_ARGUMENT", "INVALID_FIELDS", sorted(fields)), rpc
    bad = a_creation("x", name="", group_type=0, telegram_group_id=0)
    bad.request_id = SQL
    answer = await refused(call(groups, "CreateGroup", bad))
    named = [f"group.{field}" for field in ("telegram_group_id", "name", "group_type", "admin_user_id")]
    assert sorted(answer.fields) == sorted([*named, "request_id"])
    assert await everything(db) == before
