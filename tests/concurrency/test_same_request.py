"""One request sent many times at once."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tally.petition.v1 import petition_service_pb2 as messages

from tests.concurrency.answers import open_channel
from tests.concurrency.calls import Caller
from tests.concurrency.checker import assert_exact
from tests.concurrency.history import History
from tests.concurrency.petitions import create_petitions, new_id
from tests.concurrency.stage import Stage

ROUNDS = 5
CHANNELS = 10


@pytest.fixture
def history() -> History:
    return []


@pytest.fixture
async def callers(stage: Stage, history: History) -> AsyncIterator[list[Caller]]:
    """With a connection each, to both services in turn."""
    async with AsyncExitStack() as stack:
        targets = [stage.addresses[n % 2] for n in range(CHANNELS)]
        channels = [await stack.enter_async_context(open_channel(target)) for target in targets]
        yield [Caller(channel, history, 60.0) for channel in channels]


async def test_a_request_sent_50_times_at_once_to_both_services_signs_once(
    stage: Stage, callers: list[Caller], history: History
) -> None:
    """G5: one signature, done for the first time once; all 50 get the same answer."""
    petitions = create_petitions(stage.addresses[0])
    for number in range(1, ROUNDS + 1):
        request = messages.CoSignRequest(petition_id=petitions[0], user_id=new_id(), request_id=new_id())
        answers = await asyncio.gather(*(callers[n % CHANNELS].sign(request) for n in range(50)))
        assert all(attempt.acknowledged for attempt in answers)
        assert len({attempt.answer for attempt in answers}) == 1
        assert [attempt.replayed for attempt in answers].count(False) == 1
        assert answers[0].ordinal == number
    assert_exact(stage.database_url, petitions, history)


async def test_50_requests_of_one_user_at_once_sign_once(stage: Stage, callers: list[Caller], history: History) -> None:
    """G5: different requests of the same user are no repeats; one signs, 49 are told as which ordinal."""
    petitions = create_petitions(stage.addresses[0])
    for number in range(1, ROUNDS + 1):
        user_id = str(uuid.uuid4())
        answers = await asyncio.gather(
            *(
                callers[n % CHANNELS].sign(
                    messages.CoSignRequest(petition_id=petitions[0], user_id=user_id, request_id=new_id())
                )
                for n in range(50)
            )
        )
        assert [attempt.code for attempt in answers].count("OK") == 1
        assert [attempt.reason for attempt in answers].count("ALREADY_SIGNED") == 49
        assert {attempt.ordinal for attempt in answers} == {number}
    assert_exact(stage.database_url, petitions, history)


async def test_a_withdrawal_sent_50_times_at_once_withdraws_once(
    stage: Stage, callers: list[Caller], history: History
) -> None:
    """G5: all 50 get the same answer, and what was signed stays known by its request."""
    petitions = create_petitions(stage.addresses[0])
    signing = messages.CoSignRequest(petition_id=petitions[0], user_id=new_id(), request_id=new_id())
    first = await callers[0].sign(signing)
    request = messages.WithdrawCoSignRequest(petition_id=petitions[0], user_id=signing.user_id, request_id=new_id())
    answers = await asyncio.gather(*(callers[n % CHANNELS].withdraw(request) for n in range(50)))
    assert len({attempt.answer for attempt in answers}) == 1
    assert [attempt.replayed for attempt in answers].count(False) == 1
    again = await callers[1].sign(signing)
    assert again.replayed and again.answer == first.answer
    stored = assert_exact(stage.database_url, petitions, history)
    assert stored[petitions[0]].co_signer_count == 0
