"""While an operator has halted writes, nothing is written and everything can be read (G8)."""

from uuid import UUID, uuid4

from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from services.voting import store
from services.voting.author_votes import AuthorVotes
from services.voting.casting import Casting
from services.voting.model import CreateOpinion
from services.voting.settings import VotingSettings
from tests.bad_fields import call
from tests.servers import refusal, refused
from tests.services.voting.calls import READS, WRITES, a_world
from tests.services.voting.conversations import Conversations, a_vote, totals
from tests.stored import Connection, everything, halt, resume

HALTED = ("FAILED_PRECONDITION", "HALTED")


async def test_every_write_is_refused_while_halted_and_done_after_the_resume(
    voting: Conversations, db: Connection
) -> None:
    """G8: each of a conversation of its own, so that each would be done."""
    unary = [rpc for rpc in WRITES if rpc != "BatchCastVotes"]
    requests = [(rpc, WRITES[rpc](await a_world(voting))) for rpc in unary]
    await halt(db)
    before = await everything(db)
    for rpc, request in requests:
        assert (await refused(call(voting, rpc, request))).said == HALTED, rpc
    assert await everything(db) == before
    await resume(db)
    for rpc, request in requests:
        assert not (await call(voting, rpc, request)).replayed, rpc


async def test_each_item_of_a_batch_and_of_a_stream_is_refused_while_halted(
    voting: Conversations, db: Connection
) -> None:
    """G8: a bad item is told what is bad."""
    opinion = await voting.an_opinion()
    await halt(db)
    before = await everything(db)
    requests = [a_vote(opinion), messages.CastVoteRequest(), a_vote(opinion)]
    batch = await voting.stub.BatchCastVotes(messages.BatchCastVotesRequest(requests=requests))
    for results in (batch.results, await voting.stream(requests)):
        said = [refusal(result.error).said for result in results]
        assert said == [HALTED, ("INVALID_ARGUMENT", "INVALID_FIELDS"), HALTED]
    assert await everything(db) == before


async def test_a_stream_goes_on_after_a_halt_that_came_and_went(voting: Conversations, db: Connection) -> None:
    opinion = await voting.an_opinion()
    stream, outcomes = voting.stub.StreamVotes(), []
    for halted in (False, True, False):
        await (halt(db) if halted else resume(db))
        await stream.write(messages.StreamVotesRequest(request=a_vote(opinion)))
        message = await stream.read()
        assert isinstance(message, messages.StreamVotesResponse)
        outcomes.append(message.result.WhichOneof("result"))
    await stream.done_writing()
    assert outcomes == ["vote", "error", "vote"]
    assert totals((await voting.get(opinion.conversation_id)).counts) == (1, 3, 3)


async def test_every_read_is_answered_while_halted(voting: Conversations, db: Connection) -> None:
    """G8: reads go on."""
    world = await a_world(voting)
    await halt(db)
    for rpc, request in READS.items():
        await call(voting, rpc, request(world))


async def test_an_authors_vote_that_a_halt_cut_off_is_cast_after_the_resume(
    voting: Conversations, db: Connection, database_url: str
) -> None:
    """G8: looking for it while halted writes nothing."""
    conversation_id = (await voting.create()).conversation_id
    settings = DatabaseSettings(database_url=database_url, database_role="tally_voting")
    async with Database.open(settings) as database:
        casting = Casting(database, VotingSettings())
        author_votes = AuthorVotes(database, casting, 3600.0)
        command = CreateOpinion(UUID(conversation_id), uuid4(), uuid4(), "Yes", uuid4())
        await database.write(lambda tx: store.vote_and_create(tx, [command]))
        await halt(db)
        before = await everything(db)
        assert await author_votes.round(grace=0) == 0
        assert await everything(db) == before
        await resume(db)
        assert await author_votes.round(grace=0) == 1
        await casting.drain()
    assert totals((await voting.get(conversation_id)).counts) == (1, 1, 1)
