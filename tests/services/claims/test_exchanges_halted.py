"""While an operator has halted writes, nothing of food is written and everything can be read (G8)."""

import pytest

from tests.bad_fields import call
from tests.servers import refused
from tests.services.claims.food import Food, food_adds_up
from tests.services.claims.food_calls import READS, WRITES, a_world
from tests.stored import Connection, everything, halt, resume


@pytest.mark.parametrize("rpc", WRITES)
async def test_a_write_is_refused_while_halted_and_done_after_the_resume(food: Food, db: Connection, rpc: str) -> None:
    """G8."""
    request = WRITES[rpc](await a_world(food))
    await halt(db)
    before = await everything(db)
    assert (await refused(call(food, rpc, request))).said == ("FAILED_PRECONDITION", "HALTED")
    assert await everything(db) == before
    await resume(db)
    assert not (await call(food, rpc, request)).replayed
    await food_adds_up(db)


@pytest.mark.parametrize("rpc", READS)
async def test_a_read_is_answered_while_halted(food: Food, db: Connection, rpc: str) -> None:
    """G8: reads go on."""
    request = READS[rpc](await a_world(food))
    await halt(db)
    await call(food, rpc.partition(" ")[0], request)
