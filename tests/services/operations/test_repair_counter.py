"""RepairCounter."""

import asyncio
import json

import pytest
from tally.operations.v1 import operations_service_pb2 as messages

from tests.data.databases import opened
from tests.data.opinions import ONE, TWO, USERS, differing, three_conversations
from tests.servers import refused
from tests.services.operations.operators import Operator, operations_service
from tests.services.petition.people import Petitions, new_uuid
from tests.stored import Connection, counters_equal_rows, event_kinds, everything, halt

SIGNERS = "petition.co_signers"
BREAK = "UPDATE petition.petition_submissions SET co_signer_count = co_signer_count + $2 WHERE petition_id = $1"
AUDIT = "SELECT counter, resource_id, counter_value, counted_value FROM operations.counter_repairs ORDER BY 1, 2"
A_COUPON = "INSERT INTO claims.coupons (name, amount, remaining_amount, claim_count) VALUES ($1, 5, 3, 2)"


def repaired(answer: messages.RepairCounterResponse) -> list[tuple[str, str, str, int, int]]:
    return sorted(
        (each.counter, each.resource_id, each.breakdown, each.counter_value, each.counted_value)
        for each in answer.repaired
    )


async def audited(db: Connection) -> list[tuple[str, str, int, int]]:
    return [tuple(row) for row in await db.fetch(AUDIT)]


@pytest.fixture
async def petition_id(petitions: Petitions, db: Connection) -> str:
    """A petition with two signatures of which the counter says seven."""
    petition_id = (await petitions.create()).petition_id
    await petitions.signed_by(petition_id, 2)
    await db.execute(BREAK, petition_id, 5)
    return petition_id


async def test_a_repair_sets_the_counter_to_its_rows_with_an_audit_row_and_an_event(
    operator: Operator, petitions: Petitions, petition_id: str, db: Connection
) -> None:
    """G2."""
    answer = await operator.repair(SIGNERS, petition_id.upper())
    assert repaired(answer) == [(SIGNERS, petition_id, "", 7, 2)]
    assert answer.commit_token and not answer.replayed
    assert await audited(db) == [(SIGNERS, petition_id, 7, 2)]
    assert (await event_kinds(db, petition_id))[-2:] == ["petition.counted", "petition.counter_repaired"]
    await counters_equal_rows(db)
    assert (await petitions.sign(petition_id)).co_signer_count == 3


async def test_a_counter_that_is_right_is_left_alone(operator: Operator, petitions: Petitions, db: Connection) -> None:
    petition_id = (await petitions.create()).petition_id
    before = await event_kinds(db, petition_id)
    answer = await operator.repair(SIGNERS, petition_id)
    assert not answer.repaired and answer.commit_token
    assert await audited(db) == []
    assert await event_kinds(db, petition_id) == before


async def test_all_parts_of_a_counter_that_is_broken_down_are_repaired_and_nothing_of_another_resource(
    operator: Operator, database_url: str, db: Connection
) -> None:
    """G2."""
    async with opened(database_url) as database:
        opinions = await three_conversations(database, db)
        await db.execute("UPDATE voting.opinions SET agree_count = agree_count + 4, pass_count = 6")
        await db.execute("DELETE FROM voting.participants WHERE user_id = $1", USERS[0])
        answer = await operator.repair("voting.opinion_agrees", str(ONE))
        assert repaired(answer) == sorted(
            (counter, str(ONE), str(opinion), value, counted)
            for opinion in opinions[ONE]
            for counter, value, counted in (("voting.opinion_agrees", 7, 3), ("voting.opinion_passes", 6, 0))
        )
        left = await differing(database, ONE)
        assert {name for name, *_ in left} == {"voting.participant_votes", "voting.participant_visible_votes"}
        assert len(await differing(database, TWO)) == 6
        await operator.repair("voting.participant_votes", str(ONE))
        assert await differing(database, ONE) == set()


async def test_counters_that_are_bound_to_each_other_are_repaired_together(operator: Operator, db: Connection) -> None:
    """A CHECK has what remains and what was claimed add up."""
    await db.execute(A_COUPON, "bread / rye")
    answer = await operator.repair("claims.coupon_claims", "bread / rye")
    wanted = [("claims.coupon_claims", 2, 0), ("claims.coupon_remaining", 3, 5)]
    assert repaired(answer) == [(name, "bread / rye", "", value, counted) for name, value, counted in wanted]
    row = await db.fetchrow("SELECT remaining_amount, claim_count FROM claims.coupons")
    assert row is not None and tuple(row) == (5, 0)


async def test_a_repeated_repair_is_answered_as_the_first_time_and_repairs_nothing_again(
    operator: Operator, petition_id: str, database_url: str, db: Connection
) -> None:
    """G5."""
    request_id = new_uuid()
    first, second = await asyncio.gather(*(operator.repair(SIGNERS, petition_id, request_id) for _ in range(2)))
    assert {first.replayed, second.replayed} == {False, True}
    assert (repaired(first), first.commit_token) == (repaired(second), second.commit_token)
    await db.execute(BREAK, petition_id, 1)
    before = await everything(db)
    async with operations_service(database_url) as another:
        again = await another.repair(SIGNERS, petition_id, request_id)
    assert again.replayed and repaired(again) == [(SIGNERS, petition_id, "", 7, 2)]
    assert await everything(db) == before


async def test_an_id_that_was_used_for_another_repair_is_refused(
    operator: Operator, petitions: Petitions, petition_id: str
) -> None:
    """G5."""
    request_id, other = new_uuid(), (await petitions.create()).petition_id
    await operator.repair(SIGNERS, petition_id, request_id)
    for counter, resource_id in ((SIGNERS, other), ("petition.region_co_signers", petition_id)):
        answer = await refused(operator.repair(counter, resource_id, request_id))
        assert answer.said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_nothing_is_repaired_while_writes_are_halted(
    operator: Operator, petition_id: str, db: Connection
) -> None:
    """G8."""
    await halt(db)
    before = await everything(db)
    assert (await refused(operator.repair(SIGNERS, petition_id))).said == ("FAILED_PRECONDITION", "HALTED")
    assert await everything(db) == before


async def test_a_counter_or_a_resource_that_is_not_there_is_not_found_and_the_id_stays_unused(
    operator: Operator, petition_id: str
) -> None:
    request_id = new_uuid()
    answer = await refused(operator.repair("petition.signers", petition_id, request_id))
    assert answer.said == ("NOT_FOUND", "COUNTER_NOT_FOUND")
    answer = await refused(operator.repair(SIGNERS, new_uuid(), request_id))
    assert answer.said == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    answer = await refused(operator.repair("claims.coupon_claims", petition_id, request_id))
    assert answer.said == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert not (await operator.repair(SIGNERS, petition_id, request_id)).replayed


async def test_a_repair_while_people_sign_loses_no_signature(
    operator: Operator, petitions: Petitions, petition_id: str, db: Connection
) -> None:
    """G2."""
    signing = [asyncio.create_task(petitions.sign(petition_id)) for _ in range(50)]
    answer = await operator.repair(SIGNERS, petition_id)
    (found,) = answer.repaired
    assert found.counter_value - found.counted_value == 5
    await asyncio.gather(*signing)
    await counters_equal_rows(db)
    assert await petitions.count(petition_id) == 52


async def test_a_repair_tells_the_new_value(operator: Operator, petition_id: str, db: Connection) -> None:
    await operator.repair(SIGNERS, petition_id)
    payload = await db.fetchval(
        "SELECT payload FROM operations.events WHERE kind = 'petition.counted' ORDER BY xid DESC LIMIT 1"
    )
    assert json.loads(payload)["counters"][SIGNERS] == {petition_id: 2}


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (messages.RepairCounterRequest(), ["counter", "resource_id", "request_id"]),
        (messages.RepairCounterRequest(counter="x", resource_id=new_uuid(), request_id="7"), ["counter", "request_id"]),
        (
            messages.RepairCounterRequest(counter="petition.ordinals", resource_id=new_uuid(), request_id=new_uuid()),
            ["counter"],
        ),
        (messages.RepairCounterRequest(counter=SIGNERS, resource_id="bread", request_id=new_uuid()), ["resource_id"]),
        (messages.RepairCounterRequest(counter=SIGNERS, resource_id="a" * 256, request_id=new_uuid()), ["resource_id"]),
        (
            messages.RepairCounterRequest(counter="claims.coupon_claims", resource_id="\x7f", request_id=new_uuid()),
            ["resource_id"],
        ),
    ],
)
async def test_every_bad_field_of_a_repair_is_named_and_nothing_is_repaired(
    operator: Operator, petition_id: str, db: Connection, request_: messages.RepairCounterRequest, fields: list[str]
) -> None:
    before = await everything(db)
    answer = await refused(operator.stub.RepairCounter(request_))
    assert (answer.said, answer.fields) == (("INVALID_ARGUMENT", "INVALID_FIELDS"), fields)
    assert await everything(db) == before
