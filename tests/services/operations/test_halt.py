"""Halt and Resume, as an operator sees them."""

from datetime import UTC, datetime, timedelta

import pytest
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.operations.v1 import operations_service_pb2 as messages
from tally.petition.v1 import petition_service_pb2 as petition_messages

from tests.servers import refusal, refused
from tests.services.aggregator.counting import aggregator
from tests.services.operations.operators import Operator, operations_service
from tests.services.petition.people import Petitions, a_petition, a_signature, new_uuid
from tests.stored import Connection, event_kinds, everything


async def test_halted_writes_are_refused_and_store_nothing(
    operator: Operator, petitions: Petitions, db: Connection
) -> None:
    petition = await petitions.create()
    user = (await petitions.signed_by(petition.petition_id, 2))[0]
    answer = await operator.halt("fraud is being looked into", "ada")
    assert answer.halt_state.halted
    assert (answer.halt_state.reason, answer.halt_state.actor) == ("fraud is being looked into", "ada")
    assert abs(answer.halt_state.changed_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert answer.commit_token and not answer.replayed
    before = await everything(db)
    create = petition_messages.CreatePetitionRequest(petition=a_petition(), request_id=new_uuid())
    for call in (
        petitions.sign(petition.petition_id),
        petitions.withdraw_signature(petition.petition_id, user),
        petitions.invalidate(petition.petition_id, [user]),
        petitions.close(petition.petition_id),
        petitions.withdraw(petition),
        petitions.stub.CreatePetition(create),
    ):
        assert (await refused(call)).said == ("FAILED_PRECONDITION", "HALTED")
    batch = petition_messages.BatchCoSignRequest(requests=[a_signature(petition.petition_id)] * 2)
    results = (await petitions.stub.BatchCoSign(batch)).results
    assert [refusal(result.error).reason for result in results] == ["HALTED", "HALTED"]
    assert await everything(db) == before


async def test_reads_go_on_while_writes_are_halted(operator: Operator, petitions: Petitions, database_url: str) -> None:
    petition = await petitions.create()
    await petitions.signed_by(petition.petition_id, 3)
    await operator.halt()
    assert await petitions.count(petition.petition_id) == 3
    async with aggregator(database_url) as counters:
        assert isinstance(counters.stub, AggregatorServiceStub)
        assert await counters.value(petition.petition_id) == 3


async def test_writes_commit_again_after_resume(operator: Operator, petitions: Petitions) -> None:
    petition = await petitions.create()
    await operator.halt()
    await refused(petitions.sign(petition.petition_id))
    answer = await operator.resume("it was nothing", "grace")
    assert not answer.halt_state.halted
    assert (answer.halt_state.reason, answer.halt_state.actor) == ("it was nothing", "grace")
    assert (await petitions.sign(petition.petition_id)).co_signer_count == 1


async def test_halting_again_changes_only_reason_and_actor(operator: Operator) -> None:
    first = (await operator.halt("a", "ada")).halt_state
    second = (await operator.halt("b", "grace")).halt_state
    assert (second.halted, second.reason, second.actor) == (True, "b", "grace")
    assert second.changed_time.ToDatetime() > first.changed_time.ToDatetime()
    await operator.resume()
    assert (await refused(operator.resume())).said == ("FAILED_PRECONDITION", "NOT_HALTED")


async def test_each_change_is_logged_and_told_to_the_event_stream(operator: Operator, db: Connection) -> None:
    await operator.halt("first", "ada")
    await operator.resume("second", "grace")
    rows = await db.fetch("SELECT halted, reason, actor FROM operations.halt_log ORDER BY changed_time")
    assert [tuple(row) for row in rows] == [(True, "first", "ada"), (False, "second", "grace")]
    assert await event_kinds(db, "halt") == ["operations.halted", "operations.resumed"]
    versions = await db.fetch("SELECT version FROM operations.events WHERE aggregate_id = 'halt' ORDER BY xid")
    assert versions[0][0] < versions[1][0]


async def test_resuming_what_is_not_halted_is_refused_and_its_id_stays_unused(operator: Operator) -> None:
    request_id = new_uuid()
    assert (await refused(operator.resume(request_id=request_id))).said == ("FAILED_PRECONDITION", "NOT_HALTED")
    await operator.halt()
    assert not (await operator.resume(request_id=request_id)).replayed


async def test_a_repeated_request_is_answered_as_the_first_time(operator: Operator, db: Connection) -> None:
    halt_id, resume_id = new_uuid(), new_uuid()
    halted = await operator.halt(request_id=halt_id)
    again = await operator.halt(request_id=halt_id)
    assert (again.halt_state, again.commit_token) == (halted.halt_state, halted.commit_token)
    assert again.replayed
    resumed = await operator.resume(request_id=resume_id)
    again_resumed = await operator.resume(request_id=resume_id)
    assert (again_resumed.halt_state, again_resumed.commit_token) == (resumed.halt_state, resumed.commit_token)
    assert again_resumed.replayed
    assert (await operator.halt(request_id=halt_id)).replayed
    assert not (await operator.status()).halt_state.halted, "a repeated request halted again"
    assert await db.fetchval("SELECT count(*) FROM operations.halt_log") == 2


async def test_an_id_that_was_used_for_something_else_is_refused(operator: Operator) -> None:
    request_id = new_uuid()
    await operator.halt("one", request_id=request_id)
    answer = await refused(operator.halt("another", request_id=request_id))
    assert answer.said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert (await refused(operator.resume("one", request_id=request_id))).reason == "REQUEST_ID_REUSED"
    assert (await operator.status()).halt_state.reason == "one"


async def test_a_halt_outlives_the_services(petitions: Petitions, database_url: str) -> None:
    petition = await petitions.create()
    async with operations_service(database_url) as operator:
        await operator.halt("over night")
    async with operations_service(database_url) as operator:
        status = await operator.status()
        assert (status.halt_state.halted, status.halt_state.reason) == (True, "over night")
        assert (await refused(petitions.sign(petition.petition_id))).reason == "HALTED"


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (messages.HaltRequest(), ["reason", "request_id"]),
        (messages.HaltRequest(reason="   ", request_id=new_uuid()), ["reason"]),
        (messages.HaltRequest(reason="a\nb", request_id=new_uuid()), ["reason"]),
        (messages.HaltRequest(reason="a" * 501, request_id=new_uuid()), ["reason"]),
        (messages.HaltRequest(reason="a", actor="b" * 201, request_id=new_uuid()), ["actor"]),
        (messages.HaltRequest(reason="a", actor="\x00", request_id=new_uuid()), ["actor"]),
        (messages.HaltRequest(reason="a", request_id="7"), ["request_id"]),
    ],
)
async def test_every_bad_field_of_halt_is_named_and_nothing_is_halted(
    operator: Operator, request_: messages.HaltRequest, fields: list[str]
) -> None:
    answer = await refused(operator.stub.Halt(request_))
    assert (answer.said, answer.fields) == (("INVALID_ARGUMENT", "INVALID_FIELDS"), fields)
    assert not (await operator.status()).halt_state.halted


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (messages.ResumeRequest(), ["request_id"]),
        (messages.ResumeRequest(reason="a" * 501, request_id=new_uuid()), ["reason"]),
        (messages.ResumeRequest(reason="a\tb", request_id=new_uuid()), ["reason"]),
        (messages.ResumeRequest(actor="b" * 201, request_id=new_uuid()), ["actor"]),
        (messages.ResumeRequest(actor="b\r", request_id="no"), ["actor", "request_id"]),
    ],
)
async def test_every_bad_field_of_resume_is_named_and_nothing_is_resumed(
    operator: Operator, request_: messages.ResumeRequest, fields: list[str]
) -> None:
    await operator.halt()
    answer = await refused(operator.stub.Resume(request_))
    assert (answer.said, answer.fields) == (("INVALID_ARGUMENT", "INVALID_FIELDS"), fields)
    assert (await operator.status()).halt_state.halted
