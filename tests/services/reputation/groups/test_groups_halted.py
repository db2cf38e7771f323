"""While an operator has halted writes, nothing of groups is written and everything can be read (G8)."""

import pytest

from tests.bad_fields import call
from tests.servers import refused
from tests.services.reputation.groups.calls import READS, WRITES, a_world
from tests.services.reputation.groups.circle import Groups, groups_add_up
from tests.stored import Connection, everything, halt, resume


async def test_writes_are_refused_while_halted_and_done_after_the_resume(groups: Groups, db: Connection) -> None:
    """G8: every write there is; reads go on."""
    world = await a_world(groups)
    requests = {rpc: make(world) for rpc, make in WRITES.items()}
    await halt(db)
    before = await everything(db)
    for rpc, request in requests.items():
        assert (await refused(call(groups, rpc, request))).said == ("FAILED_PRECONDITION", "HALTED"), rpc
    for rpc, make in READS.items():
        await call(groups, rpc, make(world))
    assert await everything(db) == before
    await resume(db)
    for rpc, request in requests.items():
        assert not (await call(groups, rpc, request)).replayed, rpc
    await groups_add_up(db)


@pytest.mark.parametrize("rpc", WRITES)
async def test_every_write_is_there_once_for_its_request(groups: Groups, db: Connection, rpc: str) -> None:
    """G5: each of them, sent twice."""
    request = WRITES[rpc](await a_world(groups))
    first = await call(groups, rpc, request)
    before = await everything(db)
    again = await call(groups, rpc, request)
    first.replayed = True
    assert again == first
    assert await everything(db) == before
