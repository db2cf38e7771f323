"""Each bad field of each RPC of users and ledgers is named and nothing is stored; the good values next to the bad are taken
(G9)."""

from typing import Any

import pytest
from tally.reputation.v1 import reputation_service_pb2 as messages

from tests.bad_fields import CONTROL, LINE_BREAKS, NOT_A_UUID, are_refused_naming, call, is_refused_naming, with_field
from tests.servers import refused
from tests.services.petition.people import new_uuid
from tests.services.reputation.ledger_calls import READS, WRITES, a_world
from tests.services.reputation.ledgers import Ledgers, a_registration, an_event
from tests.stored import Connection, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = WRITES | READS
SQL = "'; DROP TABLE reputation.reputation_events; --"

UUID_FIELDS = {
    "RegisterUser": ["user_id", "request_id"],
    "GetUser": ["user_id"],
    "GetReputation": ["user_id"],
    "ListReputationEvents": ["user_id"],
    "RecordReputationEvent": ["user_id", "request_id"],
    "ReverseReputationEvent": ["event_id", "request_id"],
    "VerifyReputation": ["user_id"],
}
OPTIONAL_UUIDS = ["group_id", "related_exchange_id"]
PAGED = ["ListReputationEvents", "ListLeaders"]

NOT_AN_IMPACT = {
    "empty": "",
    "blank": " ",
    "beyond what fits": "1000",
    "far beyond": "1000000000000000000000000000000000000",
    "below what fits": "-1000",
    "a hundredth more than fits": "1000.00",
    "three decimals": "0.001",
    "three decimals of a whole": "1.000",
    "a point without decimals": "1.",
    "without a whole": ".5",
    "a comma": "1,50",
    "two signs": "--1",
    "a sign alone": "-",
    "blanks around it": " 1.00 ",
    "an exponent": "1e2",
    "not a number": "NaN",
    "no end": "Infinity",
    "hexadecimal": "0x10",
    "digits of another script": "\u0661.00",
    "an underscore": "1_0",
    "a line break": "1.00\n",
    "NUL": "1.00\x00",
    "SQL": SQL,
}
NOT_A_WORD = {
    "empty": "",
    "51 characters": "x" * 51,
    "upper case": "Food_shared",
    "a blank": "food shared",
    "a dash": "food-shared",
    "a digit first": "1_food",
    "an underscore first": "_food",
    "a letter of another script": "f\u00f6od",
    "a line break": "food_shared\n",
    "a megabyte": "x" * 2**20,
    "SQL": SQL,
} | CONTROL


@pytest.mark.parametrize(("rpc", "field"), [(rpc, name) for rpc, names in UUID_FIELDS.items() for name in names])
async def test_what_is_no_uuid_is_named_and_one_in_upper_case_is_taken(
    ledgers: Ledgers, db: Connection, rpc: str, field: str
) -> None:
    """G9."""
    world = await a_world(ledgers)
    requests = [with_field(ALL[rpc](world), field, text) for text in NOT_A_UUID.values()]
    await are_refused_naming(ledgers, db, rpc, requests, field)
    request: Any = ALL[rpc](world)
    await call(ledgers, rpc, with_field(request, field, getattr(request, field).upper()))


@pytest.mark.parametrize("field", OPTIONAL_UUIDS)
async def test_a_uuid_that_may_be_left_out_is_a_uuid_where_it_is_given(
    ledgers: Ledgers, db: Connection, field: str
) -> None:
    """G9."""
    world = await a_world(ledgers)
    bad = [text for text in NOT_A_UUID.values() if text]
    requests = [an_event(world.user_id, **{field: text}) for text in bad]
    await are_refused_naming(ledgers, db, "RecordReputationEvent", requests, field)


async def test_ids_of_a_batch_are_named_by_their_place(ledgers: Ledgers, db: Connection) -> None:
    """G9: 1 to 1,000 of them."""
    good = (await a_world(ledgers)).user_id
    for ids, named in (
        ([], ["user_ids"]),
        ([good] * 1001, ["user_ids"]),
        ([good, "x", good, ""], ["user_ids[1]", "user_ids[3]"]),
    ):
        request = messages.BatchGetReputationsRequest(user_ids=ids)
        await is_refused_naming(ledgers, db, "BatchGetReputations", request, *named)
    results = (
        await ledgers.stub.BatchGetReputations(messages.BatchGetReputationsRequest(user_ids=[good] * 1000))
    ).results
    assert {result.reputation.user_id for result in results} == {good}


async def test_an_impact_is_a_decimal_of_two_places_that_fits(ledgers: Ledgers, db: Connection) -> None:
    """G9: beyond ±999.99 and of three decimals nothing is stored."""
    world = await a_world(ledgers)
    requests = [an_event(world.user_id, impact=text) for text in NOT_AN_IMPACT.values()]
    await are_refused_naming(ledgers, db, "RecordReputationEvent", requests, "impact_score")
    for text, shown in (("999.99", "999.99"), ("-999.99", "-999.99"), ("+1.5", "1.50"), ("-0.00", "0.00")):
        assert (await ledgers.record(world.user_id, impact=text)).impact_score == shown


async def test_a_type_is_a_word_of_1_to_50_characters_and_no_reversal(ledgers: Ledgers, db: Connection) -> None:
    """G9."""
    world = await a_world(ledgers)
    requests = [an_event(world.user_id, text) for text in (*NOT_A_WORD.values(), "reversal")]
    await are_refused_naming(ledgers, db, "RecordReputationEvent", requests, "event_type")
    for text in ("x", "x" * 50, "a_1", "reversals"):
        assert (await ledgers.record(world.user_id, text)).event_type == text


@pytest.mark.parametrize("field", ["sharing_mode", "verification_level"])
async def test_modes_are_words_of_up_to_20_characters(ledgers: Ledgers, db: Connection, field: str) -> None:
    """G9."""
    bad = [text for text in (*NOT_A_WORD.values(), "x" * 21) if text]
    requests = [a_registration(**{field: text}) for text in bad]
    await are_refused_naming(ledgers, db, "RegisterUser", requests, field)
    user = (await ledgers.stub.RegisterUser(a_registration(**{field: "x" * 20}))).user
    assert getattr(user, field) == "x" * 20


@pytest.mark.parametrize("rpc", ["RecordReputationEvent", "ReverseReputationEvent"])
async def test_a_description_has_up_to_1000_characters_and_no_control_characters(
    ledgers: Ledgers, db: Connection, rpc: str
) -> None:
    """G9: SQL is a description like any other."""
    world = await a_world(ledgers)
    requests = [with_field(ALL[rpc](world), "description", text) for text in ("x" * 1001, *CONTROL.values())]
    await are_refused_naming(ledgers, db, rpc, requests, "description")
    for text in ("x" * 1000, "\U0001f34e" * 1000, "a\tb\nc", SQL, " "):
        request = with_field(ALL[rpc](await a_world(ledgers)), "description", text)
        assert (await call(ledgers, rpc, request)).event.description == text


async def test_a_stream_id_is_one_line_of_up_to_100_characters(ledgers: Ledgers, db: Connection) -> None:
    """G9."""
    world = await a_world(ledgers)
    bad = ["x" * 101, *CONTROL.values(), *LINE_BREAKS.values()]
    await are_refused_naming(
        ledgers, db, "RecordReputationEvent", [an_event(world.user_id, stream_id=text) for text in bad], "stream_id"
    )
    for text in ("x" * 100, "\U0001f34e" * 100, SQL):
        assert (await ledgers.record(world.user_id, stream_id=text)).stream_id == text


async def test_a_level_is_one_of_those_there_are(ledgers: Ledgers, db: Connection) -> None:
    """G9."""
    requests = [messages.ListLeadersRequest(trust_level=number) for number in (-1, 6, 2**31 - 1)]  # type: ignore[arg-type]
    await are_refused_naming(ledgers, db, "ListLeaders", requests, "trust_level")


@pytest.mark.parametrize("rpc", PAGED)
async def test_page_sizes_go_from_0_to_1000_and_tokens_to_2000_characters(
    ledgers: Ledgers, db: Connection, rpc: str
) -> None:
    """G9."""
    world = await a_world(ledgers)
    requests = [with_field(READS[rpc](world), "page_size", size) for size in (-1, -(2**31), 1001, 2**31 - 1)]
    await are_refused_naming(ledgers, db, rpc, requests, "page_size")
    await is_refused_naming(ledgers, db, rpc, with_field(READS[rpc](world), "page_token", "x" * 2001), "page_token")
    for size in (0, 1, 1000):
        await call(ledgers, rpc, with_field(READS[rpc](world), "page_size", size))


@pytest.mark.parametrize("rpc", [rpc for rpc in ALL if rpc != "ListLeaders"])
async def test_an_empty_request_names_every_field_that_is_needed(ledgers: Ledgers, db: Connection, rpc: str) -> None:
    """G9: all of them in one answer."""
    request = type(ALL[rpc](await a_world(ledgers)))()
    needed = list(UUID_FIELDS.get(rpc, ["user_ids"]))
    needed += ["event_type", "impact_score"] if rpc == "RecordReputationEvent" else []
    before = await everything(db)
    answer = await refused(call(ledgers, rpc, request))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert sorted(answer.fields) == sorted(needed)
    assert await everything(db) == before


async def test_whoever_is_unknown_is_told_so_only_of_a_good_request(ledgers: Ledgers, db: Connection) -> None:
    """G9: bad fields are named before anything is looked for."""
    request = an_event(new_uuid(), "Bad Type", "1.234", group_id=new_uuid())
    await is_refused_naming(ledgers, db, "RecordReputationEvent", request, "event_type", "impact_score")
