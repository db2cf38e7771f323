"""GetPetition, ClosePetition and WithdrawPetition."""

import asyncio
from collections.abc import Awaitable

from tally.petition.v1 import petition_pb2 as resources
from tally.petition.v1 import petition_service_pb2 as messages

from tests.servers import refused
from tests.services.petition.people import Petitions, new_uuid
from tests.stored import Connection, event_kinds, everything


async def test_a_petition_shows_its_exact_count(petitions: Petitions) -> None:
    created = await petitions.create()
    await petitions.signed_by(created.petition_id, 3)
    got = await petitions.stub.GetPetition(messages.GetPetitionRequest(petition_id=created.petition_id.upper()))
    assert got.petition.co_signer_count == 3
    got.petition.co_signer_count = 0
    assert got.petition == created


async def test_an_unknown_petition_is_not_found_by_any_rpc(petitions: Petitions, db: Connection) -> None:
    stub, nobody, user, request = petitions.stub, new_uuid(), new_uuid(), new_uuid()
    before = await everything(db)
    calls: list[Awaitable[object]] = [
        stub.GetPetition(messages.GetPetitionRequest(petition_id=nobody)),
        stub.ClosePetition(messages.ClosePetitionRequest(petition_id=nobody, request_id=request)),
        stub.WithdrawPetition(
            messages.WithdrawPetitionRequest(petition_id=nobody, submitter_id=user, request_id=request)
        ),
        stub.CoSign(messages.CoSignRequest(petition_id=nobody, user_id=user, request_id=request)),
        stub.WithdrawCoSign(messages.WithdrawCoSignRequest(petition_id=nobody, user_id=user, request_id=request)),
        stub.InvalidateCoSigns(
            messages.InvalidateCoSignsRequest(
                petition_id=nobody, users=messages.UserSelection(user_ids=[user]), reason="bought", request_id=request
            )
        ),
        stub.GetCoSignerCount(messages.GetCoSignerCountRequest(petition_id=nobody)),
        stub.GetCoSignerCount(messages.GetCoSignerCountRequest(petition_id=nobody, include_regions=True)),
        stub.ListCoSigners(messages.ListCoSignersRequest(petition_id=nobody)),
        stub.ListEscalations(messages.ListEscalationsRequest(petition_id=nobody)),
        stub.VerifyCoSignerCount(messages.VerifyCoSignerCountRequest(petition_id=nobody)),
        stub.VerifyCoSignerCount(messages.VerifyCoSignerCountRequest(petition_id=nobody, repair=True)),
    ]
    for call in calls:
        answer = await refused(call)
        assert answer.said == ("NOT_FOUND", "PETITION_NOT_FOUND")
        assert nobody in answer.message
    assert await everything(db) == before


async def test_closing_answers_the_final_count_and_ends_signing_and_withdrawing(
    petitions: Petitions, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    (signer, _) = await petitions.signed_by(petition_id, 2)
    closed = await petitions.close(petition_id)
    assert (closed.petition.state, closed.petition.co_signer_count) == (resources.PETITION_STATE_CLOSED, 2)
    assert closed.petition.HasField("closed_time") and closed.commit_token and not closed.replayed
    before = await everything(db)
    refusals = [
        await refused(petitions.sign(petition_id)),
        await refused(petitions.withdraw_signature(petition_id, signer)),
    ]
    assert {answer.said for answer in refusals} == {("FAILED_PRECONDITION", "PETITION_CLOSED")}
    assert await everything(db) == before
    assert (await event_kinds(db, petition_id))[-1] == "petition.closed"


async def test_a_closed_petition_cannot_be_closed_again(petitions: Petitions, db: Connection) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.close(petition_id)
    before = await everything(db)
    assert (await refused(petitions.close(petition_id))).said == ("FAILED_PRECONDITION", "PETITION_CLOSED")
    assert await everything(db) == before


async def test_repeating_a_close_answers_the_first_close_g5(petitions: Petitions, db: Connection) -> None:
    """G5: also when the petition has been withdrawn since."""
    created = await petitions.create()
    request = messages.ClosePetitionRequest(petition_id=created.petition_id, request_id=new_uuid())
    answers = await asyncio.gather(*(petitions.stub.ClosePetition(request) for _ in range(10)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 9]
    await petitions.withdraw(created)
    before = await everything(db)
    again = await petitions.stub.ClosePetition(request)
    assert again.replayed
    assert again.petition.state == resources.PETITION_STATE_CLOSED
    assert (again.petition, again.commit_token) == (answers[0].petition, answers[0].commit_token)
    assert await everything(db) == before


async def test_a_request_id_cannot_be_used_to_close_another_petition(petitions: Petitions) -> None:
    one, other, request_id = await petitions.create(), await petitions.create(), new_uuid()
    close = messages.ClosePetitionRequest(petition_id=one.petition_id, request_id=request_id)
    await petitions.stub.ClosePetition(close)
    close.petition_id = other.petition_id
    answer = await refused(petitions.stub.ClosePetition(close))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    await petitions.sign(other.petition_id)


async def test_a_close_that_was_refused_may_be_repeated_with_its_request_id(petitions: Petitions) -> None:
    """A refused request leaves nothing behind, its id included."""
    request = messages.ClosePetitionRequest(petition_id=new_uuid(), request_id=new_uuid())
    assert (await refused(petitions.stub.ClosePetition(request))).reason == "PETITION_NOT_FOUND"
    request.petition_id = (await petitions.create()).petition_id
    assert not (await petitions.stub.ClosePetition(request)).replayed


async def test_the_submitter_takes_a_petition_back_and_nobody_signs_it_any_more(
    petitions: Petitions, db: Connection
) -> None:
    created = await petitions.create()
    (signer,) = await petitions.signed_by(created.petition_id, 1)
    withdrawn = await petitions.withdraw(created)
    assert withdrawn.petition.state == resources.PETITION_STATE_WITHDRAWN
    assert withdrawn.petition.HasField("closed_time") and withdrawn.commit_token and not withdrawn.replayed
    before = await everything(db)
    refusals = [
        await refused(petitions.sign(created.petition_id)),
        await refused(petitions.withdraw_signature(created.petition_id, signer)),
        await refused(petitions.close(created.petition_id)),
        await refused(petitions.withdraw(created)),
    ]
    assert {answer.said for answer in refusals} == {("FAILED_PRECONDITION", "PETITION_WITHDRAWN")}
    assert await everything(db) == before
    assert (await event_kinds(db, created.petition_id))[-1] == "petition.withdrawn"


async def test_only_its_submitter_takes_a_petition_back(petitions: Petitions, db: Connection) -> None:
    created = await petitions.create()
    before = await everything(db)
    created.submitter_id = new_uuid()
    assert (await refused(petitions.withdraw(created))).said == ("PERMISSION_DENIED", "NOT_THE_SUBMITTER")
    assert await everything(db) == before


async def test_a_closed_petition_can_be_taken_back_and_keeps_the_time_it_closed(petitions: Petitions) -> None:
    created = await petitions.create()
    closed = await petitions.close(created.petition_id)
    withdrawn = await petitions.withdraw(created)
    assert withdrawn.petition.state == resources.PETITION_STATE_WITHDRAWN
    assert withdrawn.petition.closed_time == closed.petition.closed_time


async def test_repeating_a_withdrawal_of_a_petition_answers_the_first_g5(petitions: Petitions, db: Connection) -> None:
    """G5."""
    created = await petitions.create()
    request = messages.WithdrawPetitionRequest(
        petition_id=created.petition_id, submitter_id=created.submitter_id, request_id=new_uuid()
    )
    answers = await asyncio.gather(*(petitions.stub.WithdrawPetition(request) for _ in range(10)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 9]
    before = await everything(db)
    again = await petitions.stub.WithdrawPetition(request)
    assert again.replayed
    assert (again.petition, again.commit_token) == (answers[0].petition, answers[0].commit_token)
    assert await everything(db) == before
    request.submitter_id = new_uuid()
    assert (await refused(petitions.stub.WithdrawPetition(request))).reason == "REQUEST_ID_REUSED"
