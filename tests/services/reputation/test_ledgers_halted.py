"""While an operator has halted writes, nothing of ledgers is written and everything can be read (G8)."""

import pytest
from google.protobuf.message import Message

from tests.bad_fields import call
from tests.servers import refused
from tests.services.reputation.ledger_calls import READS, WRITES, a_world
from tests.services.reputation.ledgers import Ledgers, ledgers_add_up
from tests.stored import Connection, everything, halt, resume


async def test_every_write_is_refused_while_halted_and_done_after_the_resume(ledgers: Ledgers, db: Connection) -> None:
    """G8: RegisterUser, RecordReputationEvent, ReverseReputationEvent; reads go on."""
    world = await a_world(ledgers)
    requests = {rpc: request(world) for rpc, request in WRITES.items()}
    await halt(db)
    before = await everything(db)
    for rpc, request in requests.items():
        assert (await refused(call(ledgers, rpc, request))).said == ("FAILED_PRECONDITION", "HALTED"), rpc
    for rpc, read in READS.items():
        await call(ledgers, rpc, read(world))
    assert await everything(db) == before
    await resume(db)
    for rpc, request in requests.items():
        assert not (await call(ledgers, rpc, request)).replayed
    await ledgers_add_up(db)


@pytest.mark.parametrize("rpc", WRITES)
async def test_a_repeat_of_what_was_done_before_is_answered_or_refused_but_writes_nothing(
    ledgers: Ledgers, db: Connection, rpc: str
) -> None:
    """G5, G8."""
    request: Message = WRITES[rpc](await a_world(ledgers))
    await call(ledgers, rpc, request)
    await halt(db)
    before = await everything(db)
    assert (await refused(call(ledgers, rpc, request))).said == ("FAILED_PRECONDITION", "HALTED")
    assert await everything(db) == before
    await resume(db)
    assert (await call(ledgers, rpc, request)).replayed
