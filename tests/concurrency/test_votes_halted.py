"""Once Halt has answered, no further vote or opinion commits (G8)."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.cli.verify import compare
from tests.concurrency.stage import Stage
from tests.concurrency.votes.voters import VOTES, Voters, a_vote, an_opinion, voters_of
from tests.services.operations.operators import Operator, operations_service
from tests.services.operations.under_load import halted_under_load
from tests.stored import Connection

ROWS = "SELECT (SELECT count(*) FROM voting.votes) + (SELECT count(*) FROM voting.opinions)"


@pytest.fixture
async def operator(voting_stage: Stage) -> AsyncIterator[Operator]:
    async with operations_service(voting_stage.database_url) as operator:
        yield operator


@pytest.fixture
async def db(voting_stage: Stage) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(voting_stage.database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def voters(voting_stage: Stage) -> AsyncIterator[Voters]:
    async with voters_of(voting_stage.addresses) as voters:
        yield voters


async def test_no_vote_commits_after_halt_answered_under_64_callers_of_two_services(
    voting_stage: Stage, operator: Operator, db: Connection, voters: Voters
) -> None:
    """G8: votes and opinions."""
    conversation = await voters.conversation()
    opinions = await voters.opinions(conversation, 4)

    async def write(caller: int) -> str:
        stub = voters.stubs[caller % len(voters.stubs)]
        if caller % 8 == 0:
            return (await stub.CreateOpinion(an_opinion(conversation))).commit_token
        return (await stub.CastVote(a_vote(conversation, opinions[caller % 4], VOTES[caller % 3]))).commit_token

    for _ in range(2):
        await halted_under_load(operator, write, ROWS, db)
    survey = await compare(voting_stage.database_url, None, [])
    assert survey.found == 0, survey.model_dump_json(indent=1)
