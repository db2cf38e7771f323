"""GetCoSignerCount and VerifyCoSignerCount."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs
from tally.common.v1 import count_pb2
from tally.petition.v1 import petition_service_pb2 as messages

from tests.eventually import becomes_true
from tests.servers import refused
from tests.services.petition.people import Petitions
from tests.stored import Connection, counters_equal_rows, event_kinds, everything


async def regions(petitions: Petitions, petition_id: str) -> tuple[int, dict[str, int]]:
    """The headline count and the counts by region, of one answer."""
    answer = await petitions.stub.GetCoSignerCount(
        messages.GetCoSignerCountRequest(petition_id=petition_id, include_regions=True)
    )
    counts = [part.co_signer_count for part in answer.region_counts]
    assert counts == sorted(counts, reverse=True)
    return answer.count.value, {part.region_code: part.co_signer_count for part in answer.region_counts}


async def break_counter(db: Connection, petition_id: str, difference: int) -> None:
    await db.execute(
        "UPDATE petition.petition_submissions SET co_signer_count = co_signer_count + $2 WHERE petition_id = $1",
        petition_id,
        difference,
    )


async def test_a_count_says_where_it_comes_from_and_how_old_it_is(petitions: Petitions) -> None:
    """G6."""
    petition_id = (await petitions.create()).petition_id
    await petitions.signed_by(petition_id, 3)
    answer = await petitions.stub.GetCoSignerCount(messages.GetCoSignerCountRequest(petition_id=petition_id))
    assert (answer.count.value, answer.count.source) == (3, count_pb2.SOURCE_PRIMARY)
    assert abs(answer.count.as_of_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert answer.count.age.ToTimedelta() == timedelta(0)
    assert answer.count.commit_token
    assert not answer.region_counts


async def test_every_kind_of_consistency_is_honoured(petitions: Petitions) -> None:
    """G6: read your own writes, by the token of the write."""
    petition_id = (await petitions.create()).petition_id
    token = (await petitions.sign(petition_id)).commit_token
    wanted = [
        count_pb2.Consistency(at_least=token),
        count_pb2.Consistency(primary=True),
        count_pb2.Consistency(primary=False),
        count_pb2.Consistency(),
    ]
    for seconds in (0, 3600):
        consistency = count_pb2.Consistency()
        consistency.max_staleness.seconds = seconds
        consistency.max_staleness.SetInParent()
        wanted.append(consistency)
    for consistency in wanted:
        request = messages.GetCoSignerCountRequest(petition_id=petition_id, consistency=consistency)
        # What the answer is sure to reflect falls behind while other tests' transactions are open: they share the server.
        await becomes_true(partial(_is_one_as_of, petitions, request, token))


async def _is_one_as_of(petitions: Petitions, request: messages.GetCoSignerCountRequest, token: str) -> bool:
    answer = await petitions.stub.GetCoSignerCount(request)
    assert answer.count.value == 1
    return int(answer.count.commit_token, 16) >= int(token, 16)


async def test_the_token_of_a_count_is_a_token_to_read_by(petitions: Petitions) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.sign(petition_id)
    first = await petitions.stub.GetCoSignerCount(messages.GetCoSignerCountRequest(petition_id=petition_id))
    consistency = count_pb2.Consistency(at_least=first.count.commit_token)
    again = await petitions.stub.GetCoSignerCount(
        messages.GetCoSignerCountRequest(petition_id=petition_id, consistency=consistency)
    )
    assert again.count.value == 1


@pytest.mark.parametrize("token", ["ffffffffffffffff", "ffffffff", "7fffffffffffffff"])
async def test_a_token_that_no_write_was_given_is_refused(petitions: Petitions, token: str) -> None:
    petition_id = (await petitions.create()).petition_id
    answer = await refused(
        petitions.stub.GetCoSignerCount(
            messages.GetCoSignerCountRequest(petition_id=petition_id, consistency=count_pb2.Consistency(at_least=token))
        )
    )
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "UNKNOWN_COMMIT_TOKEN", ["consistency.at_least"])


async def test_counts_by_region_add_up_to_the_headline_at_every_step(petitions: Petitions, db: Connection) -> None:
    """G2, for the parts too."""
    petition_id = (await petitions.create()).petition_id
    assert await regions(petitions, petition_id) == (0, {})
    germans = await petitions.signed_by(petition_id, 3, region_code="DE")
    assert await regions(petitions, petition_id) == (3, {"DE": 3})
    unspecified = await petitions.signed_by(petition_id, 2)
    assert await regions(petitions, petition_id) == (5, {"DE": 3, "": 2})
    french = await petitions.signed_by(petition_id, 5, region_code="FR")
    assert await regions(petitions, petition_id) == (10, {"FR": 5, "DE": 3, "": 2})
    await petitions.withdraw_signature(petition_id, germans[0])
    assert await regions(petitions, petition_id) == (9, {"FR": 5, "DE": 2, "": 2})
    await petitions.withdraw_signature(petition_id, unspecified[0])
    assert await regions(petitions, petition_id) == (8, {"FR": 5, "DE": 2, "": 1})
    await petitions.invalidate(petition_id, [*french, germans[1], unspecified[1]])
    assert await regions(petitions, petition_id) == (1, {"DE": 1})
    await petitions.sign(petition_id, french[0], region_code="FR-75")
    assert await regions(petitions, petition_id) == (2, {"DE": 1, "FR-75": 1})
    await counters_equal_rows(db)


async def test_regions_of_each_petition_are_its_own(petitions: Petitions) -> None:
    one, other = (await petitions.create()).petition_id, (await petitions.create()).petition_id
    await petitions.signed_by(one, 2, region_code="DE")
    await petitions.signed_by(other, 3, region_code="DE")
    assert await regions(petitions, one) == (2, {"DE": 2})
    assert await regions(petitions, other) == (3, {"DE": 3})


async def test_a_count_that_equals_its_rows_verifies(petitions: Petitions, db: Connection) -> None:
    petition_id = (await petitions.create()).petition_id
    users = await petitions.signed_by(petition_id, 4)
    await petitions.withdraw_signature(petition_id, users[0])
    before = await everything(db)
    for repair in (False, True):
        answer = await petitions.stub.VerifyCoSignerCount(
            messages.VerifyCoSignerCountRequest(petition_id=petition_id, repair=repair)
        )
        assert (answer.counter, answer.counted, answer.consistent, answer.repaired) == (3, 3, True, False)
    assert await everything(db) == before


async def test_a_wrong_count_is_found_and_left_as_it_is_unless_repair_is_asked_for(
    petitions: Petitions, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.signed_by(petition_id, 2)
    await break_counter(db, petition_id, 5)
    before = await everything(db)
    with capture_logs() as logs:
        answer = await petitions.stub.VerifyCoSignerCount(messages.VerifyCoSignerCountRequest(petition_id=petition_id))
    assert (answer.counter, answer.counted, answer.consistent, answer.repaired) == (7, 2, False, False)
    assert await everything(db) == before
    (alert,) = [entry for entry in logs if entry["event"] == "counter_discrepancy"]
    assert (alert["severity"], alert["resource_id"]) == ("MEDIUM", petition_id)
    assert (alert["counter_value"], alert["counted_value"]) == (7, 2)


async def test_a_repair_sets_the_count_to_its_rows_with_an_audit_row_and_an_event(
    petitions: Petitions, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.signed_by(petition_id, 2)
    await break_counter(db, petition_id, -2)
    answer = await petitions.stub.VerifyCoSignerCount(
        messages.VerifyCoSignerCountRequest(petition_id=petition_id, repair=True)
    )
    assert (answer.counter, answer.counted, answer.consistent, answer.repaired) == (0, 2, False, True)
    await counters_equal_rows(db)
    audit = await db.fetchrow(
        "SELECT counter, resource_id, counter_value, counted_value FROM operations.counter_repairs"
    )
    assert audit is not None and tuple(audit) == ("petition.co_signers", petition_id, 0, 2)
    assert (await event_kinds(db, petition_id))[-1] == "petition.counter_repaired"
    again = await petitions.stub.VerifyCoSignerCount(
        messages.VerifyCoSignerCountRequest(petition_id=petition_id, repair=True)
    )
    assert (again.consistent, again.repaired) == (True, False)
    assert await db.fetchval("SELECT count(*) FROM operations.counter_repairs") == 1
    assert (await petitions.sign(petition_id)).co_signer_count == 3
