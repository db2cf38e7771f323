"""VerifyCounters."""

import pytest
from structlog.testing import capture_logs
from tally.operations.v1 import operations_pb2 as resources
from tally.operations.v1 import operations_service_pb2 as messages

from libs.data.catalog import COUNTERS
from tests.data.databases import opened
from tests.data.opinions import ONE, THREE, TWO, USERS, three_conversations
from tests.servers import refused
from tests.services.operations.operators import Operator
from tests.services.petition.people import Petitions, new_uuid
from tests.stored import Connection, everything, halt

SIGNERS = "petition.co_signers"
BREAK = "UPDATE petition.petition_submissions SET co_signer_count = co_signer_count + $2 WHERE petition_id = $1"
A_COUPON = """
INSERT INTO claims.coupons (name, amount, remaining_amount, claim_count) VALUES ($1, 5, 3, 2)
"""


def said(found: messages.VerifyCountersResponse) -> list[tuple[str, str, str, int, int]]:
    """Each discrepancy."""
    assert all(isinstance(each, resources.CounterDiscrepancy) for each in found.discrepancies)
    return [
        (each.counter, each.resource_id, each.breakdown, each.counter_value, each.counted_value)
        for each in found.discrepancies
    ]


async def signed_petitions(petitions: Petitions, number: int) -> list[str]:
    """Their ids in ascending order; the first has one signature, the next two, and so on."""
    ids = sorted([(await petitions.create()).petition_id for _ in range(number)])
    for people, petition_id in enumerate(ids, start=1):
        await petitions.signed_by(petition_id, people, region_code="DE")
    return ids


async def test_counters_are_compared_with_their_rows_and_left_as_they_are(
    operator: Operator, petitions: Petitions, db: Connection
) -> None:
    """G2."""
    first, second, third = await signed_petitions(petitions, 3)
    found = await operator.verify(SIGNERS)
    assert (found.checked_count, said(found), found.next_page_token) == (3, [], "")
    await db.execute(BREAK, second, 5)
    before = await everything(db)
    with capture_logs() as logs:
        found = await operator.verify(SIGNERS, [third, second.upper(), second, new_uuid()])
    assert (found.checked_count, said(found)) == (2, [(SIGNERS, second, "", 7, 2)])
    assert [log["resource_id"] for log in logs if log["event"] == "counter_discrepancy"] == [second]
    assert said(await operator.verify(SIGNERS, [first])) == []
    assert await everything(db) == before


async def test_each_resource_is_on_one_page_and_no_page_is_larger_than_asked(
    operator: Operator, petitions: Petitions, db: Connection
) -> None:
    ids = await signed_petitions(petitions, 5)
    for petition_id in ids:
        await db.execute(BREAK, petition_id, 1)
    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        page = await operator.verify(SIGNERS, page_size=2, page_token=token)
        pages.append([found[1] for found in said(page)])
        assert page.checked_count == len(pages[-1])
        token = page.next_page_token
    assert pages == [ids[:2], ids[2:4], ids[4:]]


async def test_a_page_has_a_hundred_resources_unless_another_size_is_asked_for(
    operator: Operator, petitions: Petitions
) -> None:
    await petitions.create()
    for _ in range(101):
        await petitions.create()
    page = await operator.verify(SIGNERS)
    assert (page.checked_count, bool(page.next_page_token)) == (100, True)
    assert (await operator.verify(SIGNERS, page_token=page.next_page_token)).checked_count == 2
    assert (await operator.verify(SIGNERS, page_size=102)).next_page_token == ""


async def test_a_counter_that_is_broken_down_is_compared_part_by_part(
    operator: Operator, petitions: Petitions, db: Connection
) -> None:
    first, second = await signed_petitions(petitions, 2)
    await petitions.signed_by(second, 3, region_code="FR")
    await db.execute("UPDATE petition.region_counts SET co_signer_count = 9 WHERE petition_id = $1", second)
    found = await operator.verify("petition.region_co_signers", [first, second])
    wanted = [("petition.region_co_signers", second, region, 9, n) for region, n in (("DE", 2), ("FR", 3))]
    assert (found.checked_count, said(found)) == (2, wanted)


async def test_counters_of_every_service_are_compared_with_its_rights(
    operator: Operator, database_url: str, db: Connection
) -> None:
    async with opened(database_url) as database:
        opinions = await three_conversations(database, db)
    name = "日本 / 'a' " + "ä" * 245
    await db.execute(A_COUPON, name)
    await db.execute("DELETE FROM voting.participants WHERE user_id = $1 AND conversation_id = $2", USERS[0], TWO)
    found = await operator.verify("voting.participant_votes", [str(ONE), str(TWO)])
    assert (found.checked_count, said(found)) == (2, [("voting.participant_votes", str(TWO), str(USERS[0]), 0, 2)])
    assert (await operator.verify("voting.opinion_agrees", [str(THREE)])).checked_count == 1
    assert len(opinions[THREE]) == 2, "a resource is a conversation, of however many opinions"
    found = await operator.verify("claims.coupon_remaining", [name])
    assert said(found) == [("claims.coupon_remaining", name, "", 3, 5)]


@pytest.mark.parametrize("name", [name for name, counter in COUNTERS.items() if counter.counts])
async def test_every_counter_that_counts_rows_can_be_compared(operator: Operator, name: str) -> None:
    found = await operator.verify(name)
    assert (found.checked_count, said(found), found.next_page_token) == (0, [], "")


async def test_counters_are_compared_while_writes_are_halted(
    operator: Operator, petitions: Petitions, db: Connection
) -> None:
    (petition_id,) = await signed_petitions(petitions, 1)
    await halt(db)
    assert (await operator.verify(SIGNERS, [petition_id])).checked_count == 1


async def test_a_counter_that_is_not_there_is_not_found(operator: Operator) -> None:
    answer = await refused(operator.verify("petition.signers"))
    assert answer.said == ("NOT_FOUND", "COUNTER_NOT_FOUND")


async def test_a_token_of_another_counters_pages_is_refused(operator: Operator, petitions: Petitions) -> None:
    await signed_petitions(petitions, 2)
    token = (await operator.verify(SIGNERS, page_size=1)).next_page_token
    for counter, bad in (("petition.region_co_signers", token), (SIGNERS, "no token"), (SIGNERS, token[:-3])):
        answer = await refused(operator.verify(counter, page_token=bad))
        assert (answer.said, answer.fields) == (("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"), ["page_token"])


GOOD = new_uuid()


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (messages.VerifyCountersRequest(), ["counter"]),
        (messages.VerifyCountersRequest(counter="co_signers"), ["counter"]),
        (messages.VerifyCountersRequest(counter="petition.co_signers; --"), ["counter"]),
        (messages.VerifyCountersRequest(counter="petition." + "a" * 100), ["counter"]),
        (messages.VerifyCountersRequest(counter="petition.ordinals"), ["counter"]),
        (messages.VerifyCountersRequest(counter=SIGNERS, page_size=-1), ["page_size"]),
        (messages.VerifyCountersRequest(counter=SIGNERS, page_size=1001), ["page_size"]),
        (messages.VerifyCountersRequest(counter=SIGNERS, page_token="a" * 2001), ["page_token"]),
        (messages.VerifyCountersRequest(counter=SIGNERS, resource_ids=[GOOD] * 1001), ["resource_ids"]),
        (messages.VerifyCountersRequest(counter=SIGNERS, resource_ids=[GOOD, ""]), ["resource_ids[1]"]),
        (messages.VerifyCountersRequest(counter=SIGNERS, resource_ids=["a" * 256]), ["resource_ids[0]"]),
        (
            messages.VerifyCountersRequest(counter=SIGNERS, resource_ids=["bread", GOOD, f"{GOOD}/DE"]),
            ["resource_ids[0]", "resource_ids[2]"],
        ),
        (messages.VerifyCountersRequest(counter="claims.coupon_claims", resource_ids=["a\x00b"]), ["resource_ids[0]"]),
        (
            messages.VerifyCountersRequest(counter=SIGNERS, resource_ids=[GOOD, "7"], page_size=5, page_token="x"),
            ["resource_ids[1]", "page_size", "page_token"],
        ),
    ],
)
async def test_every_bad_field_of_a_verification_is_named(
    operator: Operator, request_: messages.VerifyCountersRequest, fields: list[str]
) -> None:
    answer = await refused(operator.stub.VerifyCounters(request_))
    assert (answer.said, answer.fields) == (("INVALID_ARGUMENT", "INVALID_FIELDS"), fields)
