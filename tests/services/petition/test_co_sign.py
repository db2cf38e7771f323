"""CoSign and WithdrawCoSign."""

import asyncio
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs
from tally.petition.v1 import petition_service_pb2 as messages

from tests.servers import refused
from tests.services.petition.people import Petitions, a_signature, new_uuid
from tests.stored import Connection, counters_equal_rows, event_kinds, everything


async def test_a_signature_is_answered_with_its_ordinal_and_the_new_count(petitions: Petitions, db: Connection) -> None:
    """G1, G2: rows and counter are there when the answer is."""
    petition_id, users = (await petitions.create()).petition_id, [new_uuid() for _ in range(3)]
    for place, user in enumerate(users, start=1):
        answer = await petitions.sign(petition_id, user, region_code="DE-BY")
        assert (answer.co_sign.ordinal, answer.co_signer_count) == (place, place)
        assert (answer.co_sign.petition_id, answer.co_sign.user_id) == (petition_id, user)
        assert answer.co_sign.region_code == "DE-BY"
        assert abs(answer.co_sign.signed_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
        assert answer.commit_token and not answer.replayed
        assert await db.fetchval("SELECT co_signer_count FROM petition.petition_submissions") == place
        await counters_equal_rows(db)
    assert (await event_kinds(db, petition_id)).count("petition.counted") == 3


async def test_a_second_signature_of_a_user_is_refused_and_says_when_and_as_which_number_the_first_was(
    petitions: Petitions, db: Connection
) -> None:
    petition_id, user = (await petitions.create()).petition_id, new_uuid()
    await petitions.sign(petition_id)
    first = await petitions.sign(petition_id, user)
    before = await everything(db)
    answer = await refused(petitions.sign(petition_id, user.upper()))
    assert answer.said == ("ALREADY_EXISTS", "ALREADY_SIGNED")
    signed = first.co_sign.signed_time.ToDatetime(UTC)
    assert datetime.fromisoformat(answer.metadata.pop("signed_time")) == signed
    assert answer.metadata == {"petition_id": petition_id, "user_id": user, "ordinal": "2"}
    assert await everything(db) == before


async def test_each_attempt_to_sign_again_is_logged_for_fraud_detection(petitions: Petitions) -> None:
    petition_id, user = (await petitions.create()).petition_id, new_uuid()
    await petitions.sign(petition_id, user)
    again = a_signature(petition_id, user)
    with capture_logs() as logs:
        await refused(petitions.stub.CoSign(again))
        await petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=[again]))
        await petitions.stream([again])
    attempts = [entry for entry in logs if entry["event"] == "duplicate_co_sign"]
    assert len(attempts) == 3
    assert {(a["petition_id"], a["user_id"], a["ordinal"]) for a in attempts} == {(petition_id, user, "1")}
    assert all(a["signed_time"] for a in attempts)


async def test_a_user_signs_many_petitions_each_with_ordinals_of_its_own(petitions: Petitions) -> None:
    user = new_uuid()
    for _ in range(3):
        petition_id = (await petitions.create()).petition_id
        assert (await petitions.sign(petition_id, user)).co_sign.ordinal == 1


async def test_repeating_a_signature_answers_the_first_answer_g5(petitions: Petitions, db: Connection) -> None:
    """G5: with the count, the crossed threshold and the commit of then."""
    petition_id, request = (await petitions.create(escalation_thresholds=[2])).petition_id, None
    await petitions.sign(petition_id)
    request = a_signature(petition_id, region_code="DE")
    first = await petitions.stub.CoSign(request)
    await petitions.signed_by(petition_id, 3)
    before = await everything(db)
    again = await petitions.stub.CoSign(request)
    assert again.replayed
    again.replayed = False
    assert again == first
    assert list(first.crossed_thresholds) == [2]
    assert await everything(db) == before


async def test_a_repeated_signature_is_answered_after_it_was_withdrawn_and_after_the_close_g5(
    petitions: Petitions, db: Connection
) -> None:
    """G5: it does not sign a second time."""
    petition_id = (await petitions.create()).petition_id
    stays, goes = a_signature(petition_id), a_signature(petition_id)
    answers = [await petitions.stub.CoSign(stays), await petitions.stub.CoSign(goes)]
    await petitions.withdraw_signature(petition_id, goes.user_id)
    await petitions.close(petition_id)
    before = await everything(db)
    for request, first in zip((stays, goes), answers, strict=True):
        again = await petitions.stub.CoSign(request)
        assert again.replayed
        again.replayed = False
        assert again == first
    assert await everything(db) == before


async def test_a_repeated_signature_is_answered_after_it_was_invalidated_g5(petitions: Petitions) -> None:
    """G5."""
    petition_id = (await petitions.create()).petition_id
    request = a_signature(petition_id)
    first = await petitions.stub.CoSign(request)
    await petitions.invalidate(petition_id, [request.user_id])
    again = await petitions.stub.CoSign(request)
    assert (again.replayed, again.co_sign, again.commit_token) == (True, first.co_sign, first.commit_token)
    assert await petitions.count(petition_id) == 0


async def test_one_signature_sent_many_times_at_once_is_one_signature_g5(petitions: Petitions, db: Connection) -> None:
    """G5: unary, in batches and on streams."""
    petition_id = (await petitions.create()).petition_id
    request = a_signature(petition_id, region_code="DE")
    unary = [petitions.stub.CoSign(request) for _ in range(20)]
    batch = petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=[request] * 20))
    streamed = await petitions.stream([request] * 20)
    answers = [
        *await asyncio.gather(*unary),
        *(result.co_sign for result in (await batch).results),
        *(result.co_sign for result in streamed),
    ]
    assert {(a.co_sign.ordinal, a.co_signer_count, a.commit_token) for a in answers} == {
        (1, 1, answers[0].commit_token)
    }
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 59]
    await counters_equal_rows(db)
    assert await db.fetchval("SELECT count(*) FROM petition.co_signs") == 1


async def test_of_many_requests_of_one_user_at_once_exactly_one_signs(petitions: Petitions, db: Connection) -> None:
    petition_id, user = (await petitions.create()).petition_id, new_uuid()
    batch = messages.BatchCoSignRequest(requests=[a_signature(petition_id, user) for _ in range(30)])
    answers = await asyncio.gather(*(petitions.stub.BatchCoSign(batch) for _ in range(3)))
    results = [result for answer in answers for result in answer.results]
    assert sum(result.HasField("co_sign") and not result.co_sign.replayed for result in results) == 1
    await counters_equal_rows(db)
    assert await petitions.count(petition_id) == 1


async def test_a_signature_taken_back_no_longer_stands_and_its_ordinal_is_not_given_out_again(
    petitions: Petitions, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    first, second = await petitions.signed_by(petition_id, 2, region_code="DE")
    answer = await petitions.withdraw_signature(petition_id, second)
    assert (answer.co_sign.user_id, answer.co_sign.ordinal, answer.co_signer_count) == (second, 2, 1)
    assert answer.co_sign.region_code == "DE"
    assert answer.commit_token and not answer.replayed
    await counters_equal_rows(db)
    signed_again = await petitions.sign(petition_id, second)
    assert (signed_again.co_sign.ordinal, signed_again.co_signer_count) == (3, 2)
    listed = await petitions.stub.ListCoSigners(messages.ListCoSignersRequest(petition_id=petition_id))
    assert [(c.user_id, c.ordinal) for c in listed.co_signs] == [(first, 1), (second, 3)]
    await counters_equal_rows(db)


async def test_who_has_not_signed_cannot_withdraw(petitions: Petitions, db: Connection) -> None:
    petition_id, user = (await petitions.create()).petition_id, new_uuid()
    await petitions.sign(petition_id, user)
    await petitions.withdraw_signature(petition_id, user)
    before = await everything(db)
    for signer in (new_uuid(), user):
        answer = await refused(petitions.withdraw_signature(petition_id, signer))
        assert answer.said == ("NOT_FOUND", "CO_SIGN_NOT_FOUND")
    assert await everything(db) == before


async def test_repeating_a_withdrawal_answers_the_first_and_leaves_a_later_signature_alone_g5(
    petitions: Petitions, db: Connection
) -> None:
    """G5: after signing again, and after the close."""
    petition_id, user = (await petitions.create(escalation_thresholds=[1])).petition_id, new_uuid()
    await petitions.sign(petition_id, user)
    request = messages.WithdrawCoSignRequest(petition_id=petition_id, user_id=user, request_id=new_uuid())
    answers = await asyncio.gather(*(petitions.stub.WithdrawCoSign(request) for _ in range(20)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 19]
    await petitions.sign(petition_id, user)
    await petitions.close(petition_id)
    before = await everything(db)
    again = await petitions.stub.WithdrawCoSign(request)
    assert again.replayed
    assert list(again.reversed_thresholds) == [1]
    assert (again.co_sign, again.co_signer_count, again.commit_token) == (
        answers[0].co_sign,
        0,
        answers[0].commit_token,
    )
    assert await everything(db) == before
    assert await petitions.count(petition_id) == 1


async def test_times_of_signing_follow_the_ordinals(petitions: Petitions, db: Connection) -> None:
    petition_id = (await petitions.create()).petition_id
    await asyncio.gather(*(petitions.sign(petition_id) for _ in range(100)))
    by_ordinal = await db.fetch("SELECT ordinal, signed_time, co_signer_count FROM petition.co_signs ORDER BY ordinal")
    assert [row["ordinal"] for row in by_ordinal] == list(range(1, 101))
    assert [row["co_signer_count"] for row in by_ordinal] == list(range(1, 101))
    times = [row["signed_time"] for row in by_ordinal]
    assert times == sorted(times)
