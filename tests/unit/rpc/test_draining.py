"""What becomes of unary calls while a server drains."""

import asyncio
from typing import Any, cast

import pytest

from libs.data.errors import Unavailable
from libs.rpc.interceptors.draining import Draining
from libs.rpc.method import Context, Method

METHOD = Method("tally.Test", "Call", False, False, frozenset())
NOBODY = cast(Context, None)


async def test_a_call_in_flight_finishes_and_a_new_one_is_refused() -> None:
    draining, go = Draining(), asyncio.Event()

    async def handler(request: Any, context: Context) -> str:
        await go.wait()
        return "done"

    call = draining.unary(METHOD, handler)
    accepted = asyncio.ensure_future(call("first", NOBODY))
    await asyncio.sleep(0)
    draining.begin()
    with pytest.raises(Unavailable) as refused:
        await call("second", NOBODY)
    assert refused.value.reason == "SHUTTING_DOWN"
    go.set()
    assert await accepted == "done"


async def test_it_is_quiet_only_when_nothing_is_in_flight_and_nobody_comes() -> None:
    draining, go = Draining(), asyncio.Event()

    async def handler(request: Any, context: Context) -> None:
        await go.wait()

    call = draining.unary(METHOD, handler)
    accepted = asyncio.ensure_future(call("first", NOBODY))
    await asyncio.sleep(0)
    draining.begin()
    quiet = asyncio.ensure_future(draining.quiet(0.01))
    await asyncio.sleep(0.03)
    assert not quiet.done(), "a call is in flight"
    go.set()
    await accepted
    await quiet
