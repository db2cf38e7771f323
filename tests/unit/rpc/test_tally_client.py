"""What other teams' code sees: typed errors, deadlines, and repeats that store nothing twice."""

import asyncio
import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tally_client
from tally.petition.v1 import petition_service_pb2 as messages
from tally_client import Addresses, AsyncClient, Client, Repeats

from libs.data import errors
from libs.devstack.settings import SERVICES, StackSettings
from libs.rpc.status import to_proto
from tests.unit.rpc.small_server import PETITION_ID, USER_ID, co_sign, get_petition, running

ROOT = Path(__file__).parents[3]
QUICK = Repeats(most=5, first_wait=0.001, longest_wait=0.002)


class Flaky:
    """Raises what it is told to, in turn, and then answers; notes the requests it saw."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.seen: list[Any] = []

    async def GetPetition(self, request: Any, context: Any) -> Any:
        self._fail(request)
        return messages.GetPetitionResponse()

    async def CoSign(self, request: Any, context: Any) -> Any:
        self._fail(request)
        return messages.CoSignResponse(commit_token="token")

    def _fail(self, request: Any) -> None:
        self.seen.append(request)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure


async def call(servicer: Flaky, request: Any, **options: Any) -> Any:
    async with running(servicer) as server, AsyncClient(Addresses(petition=server.address), repeats=QUICK) as tally:
        method: Any = (
            tally.petitions.CoSign if isinstance(request, messages.CoSignRequest) else tally.petitions.GetPetition
        )
        return await tally.call(method, request, **options)


async def failure(servicer: Flaky, request: Any, **options: Any) -> tally_client.TallyError:
    with pytest.raises(tally_client.TallyError) as caught:
        await call(servicer, request, **options)
    return caught.value


async def test_an_error_has_its_type_reason_and_facts() -> None:
    twice = errors.AlreadyExists("signed before", reason="ALREADY_SIGNED", metadata={"ordinal": "17"})
    error = await failure(Flaky(twice), co_sign())
    assert isinstance(error, tally_client.AlreadyExists)
    assert (error.reason, error.message, error.metadata) == ("ALREADY_SIGNED", "signed before", {"ordinal": "17"})
    assert not error.outcome_unknown


async def test_bad_fields_are_listed() -> None:
    error = await failure(Flaky(), co_sign(user_id="me"))
    assert isinstance(error, tally_client.InvalidArgument)
    assert [(each.field, each.rule) for each in error.violations] == [("user_id", "STRING_UUID")]


async def test_when_to_come_back_is_told() -> None:
    error = await failure(Flaky(errors.ResourceExhausted("full", retry_after_seconds=0.25)), co_sign())
    assert isinstance(error, tally_client.ResourceExhausted)
    assert error.retry_after == 0.25


async def test_an_item_of_a_batch_is_decoded_like_a_call() -> None:
    error = tally_client.from_status(to_proto(errors.NotFound("no", reason="PETITION_NOT_FOUND")))
    assert isinstance(error, tally_client.NotFound)
    assert error.reason == "PETITION_NOT_FOUND"


async def test_a_write_is_repeated_with_the_request_id_it_was_sent_with() -> None:
    servicer = Flaky(errors.OutcomeUnknown(), errors.DatabaseUnavailable(), None)
    answer = await call(servicer, messages.CoSignRequest(petition_id=PETITION_ID, user_id=USER_ID))
    assert answer.commit_token == "token"
    ids = [request.request_id for request in servicer.seen]
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert ids[0] != ""


async def test_the_id_that_was_filled_in_stays_in_the_callers_message() -> None:
    servicer = Flaky(*[errors.OutcomeUnknown() for _ in range(10)])
    request = messages.CoSignRequest(petition_id=PETITION_ID, user_id=USER_ID)
    error = await failure(servicer, request)
    assert isinstance(error, tally_client.OutcomeUnknown)
    assert error.outcome_unknown
    assert len(servicer.seen) == 1 + QUICK.most
    assert request.request_id == servicer.seen[0].request_id


async def test_an_outcome_that_became_unknown_stays_so_until_the_server_answers() -> None:
    one = Repeats(most=1, first_wait=0.001)
    still = await failure(Flaky(errors.OutcomeUnknown(), errors.DatabaseUnavailable()), co_sign(), repeats=one)
    assert still.reason == "DATABASE_UNAVAILABLE"
    assert still.outcome_unknown
    answered = errors.FailedPrecondition("shut", reason="PETITION_CLOSED")
    known = await failure(Flaky(errors.OutcomeUnknown(), answered), co_sign(), repeats=one)
    assert not known.outcome_unknown


async def test_only_unavailable_is_repeated() -> None:
    servicer = Flaky(errors.FailedPrecondition("halted", reason="HALTED"), None)
    assert (await failure(servicer, co_sign())).reason == "HALTED"
    assert len(servicer.seen) == 1


async def test_reads_are_repeated_too() -> None:
    servicer = Flaky(errors.DatabaseUnavailable(), None)
    await call(servicer, get_petition())
    assert len(servicer.seen) == 2


async def test_repeating_ends_with_the_deadline() -> None:
    servicer = Flaky(*[errors.DatabaseUnavailable() for _ in range(1000)])
    start = time.monotonic()
    error = await failure(
        servicer, co_sign(), timeout=0.5, repeats=Repeats(most=1000, first_wait=0.02, longest_wait=0.05)
    )
    assert isinstance(error, tally_client.Unavailable | tally_client.DeadlineExceeded)
    assert time.monotonic() - start < 5
    assert 1 < len(servicer.seen) < 100


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with AsyncClient(Addresses(petition="127.0.0.1:1"), repeats=Repeats(most=0)) as tally:
        with pytest.raises(tally_client.Unavailable) as caught:
            await tally.call(tally.petitions.GetPetition, get_petition())
    assert caught.value.reason == ""


@pytest.fixture
def flaky_in_a_thread() -> Iterator[tuple[Flaky, str]]:
    """For the synchronous client, which must not share the server's loop."""
    servicer, started, address, done = Flaky(errors.DatabaseUnavailable()), threading.Event(), [], asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with running(servicer) as server:
            address.append(server.address)
            started.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(10)
    yield servicer, address[0]
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


def test_the_synchronous_client_does_the_same(flaky_in_a_thread: tuple[Flaky, str]) -> None:
    servicer, address = flaky_in_a_thread
    with Client(Addresses(petition=address), repeats=QUICK) as tally:
        assert tally.call(tally.petitions.CoSign, co_sign()).commit_token == "token"
        assert len(servicer.seen) == 2
        servicer.failures.append(errors.NotFound("no", reason="PETITION_NOT_FOUND"))
        with pytest.raises(tally_client.NotFound, match="PETITION_NOT_FOUND: no"):
            tally.call(tally.petitions.CoSign, co_sign())


def test_the_default_addresses_are_those_of_a_local_stack() -> None:
    stack = StackSettings(port_base=50051)
    assert dataclasses.asdict(Addresses()) == {service.name: stack.address(service) for service in SERVICES}


def test_the_client_brings_in_nothing_of_the_server() -> None:
    source = "import sys, tally_client; print([m for m in sys.modules if m.split('.')[0] in ('libs', 'services', 'asyncpg')])"
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT / "libs/sdk", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
