"""While an operator has halted writes, nothing is written and everything can be read (G8)."""

import pytest
from tally.petition.v1 import petition_service_pb2 as messages

from tests.bad_fields import call
from tests.servers import refusal, refused
from tests.services.petition.calls import READS, WRITES, a_world
from tests.services.petition.people import Petitions, a_signature
from tests.stored import Connection, everything, halt, resume

HALTED = ("FAILED_PRECONDITION", "HALTED")


@pytest.mark.parametrize("rpc", [rpc for rpc in WRITES if rpc != "BatchCoSign"])
async def test_a_write_is_refused_while_halted_and_done_after_the_resume(
    petitions: Petitions, db: Connection, rpc: str
) -> None:
    """G8: CreatePetition, ClosePetition, WithdrawPetition, CoSign, WithdrawCoSign, InvalidateCoSigns."""
    request = WRITES[rpc](await a_world(petitions))
    await halt(db)
    before = await everything(db)
    assert (await refused(call(petitions, rpc, request))).said == HALTED
    assert await everything(db) == before
    await resume(db)
    assert not (await call(petitions, rpc, request)).replayed


async def test_each_item_of_a_batch_and_of_a_stream_is_refused_while_halted(
    petitions: Petitions, db: Connection
) -> None:
    """G8."""
    petition_id = (await petitions.create()).petition_id
    await halt(db)
    before = await everything(db)
    requests = [a_signature(petition_id), messages.CoSignRequest(), a_signature(petition_id)]
    batch = await petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=requests))
    streamed = await petitions.stream(requests)
    for results in (batch.results, streamed):
        said = [refusal(result.error).said for result in results]
        assert said == [HALTED, ("INVALID_ARGUMENT", "INVALID_FIELDS"), HALTED]
    assert await everything(db) == before


async def test_a_stream_goes_on_after_a_halt_that_came_and_went(petitions: Petitions, db: Connection) -> None:
    petition_id = (await petitions.create()).petition_id
    stream = petitions.stub.StreamCoSigns()
    outcomes = []
    for halted in (False, True, False):
        await (halt(db) if halted else resume(db))
        await stream.write(messages.StreamCoSignsRequest(request=a_signature(petition_id)))
        message = await stream.read()
        assert isinstance(message, messages.StreamCoSignsResponse)
        outcomes.append(message.result.WhichOneof("result"))
    await stream.done_writing()
    assert outcomes == ["co_sign", "error", "co_sign"]
    assert await petitions.count(petition_id) == 2


@pytest.mark.parametrize("rpc", READS)
async def test_a_read_is_answered_while_halted(petitions: Petitions, db: Connection, rpc: str) -> None:
    """G8: reads go on."""
    request = READS[rpc](await a_world(petitions))
    await halt(db)
    await call(petitions, rpc, request)


async def test_a_repair_is_refused_while_halted_and_finding_the_discrepancy_is_not(
    petitions: Petitions, db: Connection
) -> None:
    """G8: a repair is a write."""
    petition_id = (await petitions.create()).petition_id
    await petitions.sign(petition_id)
    await db.execute("UPDATE petition.petition_submissions SET co_signer_count = 9")
    await halt(db)
    before = await everything(db)
    request = messages.VerifyCoSignerCountRequest(petition_id=petition_id, repair=True)
    assert (await refused(petitions.stub.VerifyCoSignerCount(request))).said == HALTED
    assert await everything(db) == before
    request.repair = False
    assert not (await petitions.stub.VerifyCoSignerCount(request)).consistent
