"""CreatePetition."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tally.petition.v1 import petition_pb2 as resources
from tally.petition.v1 import petition_service_pb2 as messages

from tests.servers import refused
from tests.services.petition.people import Petitions, a_petition, new_uuid, petition_service
from tests.stored import Connection, event_kinds, everything


async def test_a_created_petition_is_open_and_answered_as_it_was_asked_for(petitions: Petitions) -> None:
    wanted = a_petition(escalation_thresholds=[50, 3, 10])
    answer = await petitions.stub.CreatePetition(messages.CreatePetitionRequest(petition=wanted, request_id=new_uuid()))
    created = answer.petition
    assert UUID(created.petition_id).version == 7
    assert (created.title, created.body, created.petition_type) == (wanted.title, wanted.body, "local")
    assert created.submitter_id == wanted.submitter_id
    assert created.escalation_thresholds == [3, 10, 50]
    assert (created.state, created.co_signer_count) == (resources.PETITION_STATE_OPEN, 0)
    assert abs(created.created_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert not created.HasField("closed_time")
    assert answer.commit_token and not answer.replayed


async def test_a_created_petition_is_stored_and_told_to_the_event_stream(petitions: Petitions, db: Connection) -> None:
    created = await petitions.create()
    got = await petitions.stub.GetPetition(messages.GetPetitionRequest(petition_id=created.petition_id))
    assert got.petition == created
    assert await event_kinds(db, created.petition_id) == ["petition.created"]


async def test_fields_that_the_server_assigns_are_ignored(petitions: Petitions) -> None:
    created = await petitions.create(
        petition_id="not even a uuid", state=resources.PETITION_STATE_CLOSED, co_signer_count=-7
    )
    assert UUID(created.petition_id)
    assert (created.state, created.co_signer_count) == (resources.PETITION_STATE_OPEN, 0)


async def test_thresholds_left_out_are_those_configured_for_the_type(database_url: str) -> None:
    configured = {"default": (7,), "local": (2, 5)}
    async with petition_service(database_url, petition_default_thresholds=configured) as petitions:
        assert (await petitions.create(petition_type="local", escalation_thresholds=[])).escalation_thresholds == [2, 5]
        assert (await petitions.create(petition_type="other", escalation_thresholds=[])).escalation_thresholds == [7]
        assert (await petitions.create(petition_type="local", escalation_thresholds=[9])).escalation_thresholds == [9]


async def test_repeating_a_creation_answers_the_first_petition_and_creates_no_second_g5(
    petitions: Petitions, db: Connection
) -> None:
    """G5: also when the petition has been signed and closed since."""
    request = messages.CreatePetitionRequest(petition=a_petition(), request_id=new_uuid())
    first = await petitions.stub.CreatePetition(request)
    await petitions.sign(first.petition.petition_id)
    await petitions.close(first.petition.petition_id)
    before = await everything(db)
    again = await petitions.stub.CreatePetition(request)
    assert again.replayed and not first.replayed
    assert (again.petition, again.commit_token) == (first.petition, first.commit_token)
    assert await everything(db) == before


async def test_a_repeated_creation_is_the_same_after_the_configured_thresholds_changed(database_url: str) -> None:
    """G5: what the caller said is the same, whatever the server made of it."""
    request = messages.CreatePetitionRequest(petition=a_petition(escalation_thresholds=[]), request_id=new_uuid())
    async with petition_service(database_url, petition_default_thresholds={"default": (7,)}) as petitions:
        first = await petitions.stub.CreatePetition(request)
    async with petition_service(database_url, petition_default_thresholds={"default": (8,)}) as petitions:
        again = await petitions.stub.CreatePetition(request)
    assert again.replayed
    assert again.petition == first.petition


async def test_the_same_creation_sent_many_times_at_once_creates_one_petition(
    petitions: Petitions, db: Connection
) -> None:
    """G5."""
    request = messages.CreatePetitionRequest(petition=a_petition(), request_id=new_uuid())
    answers = await asyncio.gather(*(petitions.stub.CreatePetition(request) for _ in range(20)))
    assert len({answer.petition.petition_id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 19]
    assert len({answer.commit_token for answer in answers}) == 1
    assert await db.fetchval("SELECT count(*) FROM petition.petition_submissions") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Another title"},
        {"body": "Another body"},
        {"petition_type": "national"},
        {"submitter_id": "11111111-1111-4111-8111-111111111111"},
        {"escalation_thresholds": [3]},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_request_id_cannot_be_used_for_a_petition_that_says_something_else(
    petitions: Petitions, db: Connection, change: dict[str, object]
) -> None:
    submitter, request_id = new_uuid(), new_uuid()
    await petitions.stub.CreatePetition(
        messages.CreatePetitionRequest(petition=a_petition(submitter_id=submitter), request_id=request_id)
    )
    before = await everything(db)
    changed = a_petition(**({"submitter_id": submitter} | change))
    answer = await refused(
        petitions.stub.CreatePetition(messages.CreatePetitionRequest(petition=changed, request_id=request_id))
    )
    assert answer.said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert answer.fields == ["request_id"]
    assert await everything(db) == before


async def test_a_request_id_cannot_be_used_for_another_rpc(petitions: Petitions) -> None:
    request_id = new_uuid()
    created = await petitions.stub.CreatePetition(
        messages.CreatePetitionRequest(petition=a_petition(), request_id=request_id)
    )
    close = messages.ClosePetitionRequest(petition_id=created.petition.petition_id, request_id=request_id)
    assert (await refused(petitions.stub.ClosePetition(close))).reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE petition.petition_submissions; --",
        "$1 %s {0} \\x00 \\",
        "Ünïcödé ½ ℵ 中文 עברית العربية",
        "👩‍👩‍👧‍👦 families \U0001f1fa\U0001f1f3",
        "\u202eright to left\u202c",
        "e\u0301 stays decomposed",
    ],
)
async def test_texts_are_stored_as_they_were_written(petitions: Petitions, db: Connection, text: str) -> None:
    created = await petitions.create(title=text, body=text)
    assert (created.title, created.body) == (text, text)
    row = await db.fetchrow("SELECT title, body FROM petition.petition_submissions")
    assert row is not None and tuple(row) == (text, text)


async def test_ids_in_upper_case_are_the_same_ids(petitions: Petitions) -> None:
    submitter, request_id = new_uuid(), new_uuid()
    upper = messages.CreatePetitionRequest(
        petition=a_petition(submitter_id=submitter.upper()), request_id=request_id.upper()
    )
    first = await petitions.stub.CreatePetition(upper)
    assert first.petition.submitter_id == submitter
    lower = messages.CreatePetitionRequest(petition=a_petition(submitter_id=submitter), request_id=request_id)
    assert (await petitions.stub.CreatePetition(lower)).replayed
