"""Every count of a conversation is served from memory by its declaration, and follows whatever is done there."""

from collections.abc import Awaitable, Callable
from uuid import NAMESPACE_URL, uuid5

from tally.common.v1 import count_pb2
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.catalog.voting import VOTING_COUNTERS
from tests.eventually import becomes_true
from tests.services.aggregator.counting import Counters, key
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, new_uuid, voting_service
from tests.services.voting.transfers import Piece, a_header, an_opinion, import_all
from tests.services.voting.transfers import a_vote as a_transferred_vote
from tests.stored import Connection

EXTERNAL_ID = "https://polis.example/counted"
SERVED = [counter for counter in VOTING_COUNTERS if counter.served]


async def stored_counts(db: Connection) -> dict[tuple[str, str], int]:
    """By counter and resource."""
    counts = {}
    for counter in SERVED:
        name = f"concat_ws('/', {', '.join(counter.key_columns)})"
        table = counter.table or counter.aggregate.name
        for resource_id, count in await db.fetch(f"SELECT {name}, {counter.column} FROM {table}"):
            counts[counter.name, resource_id] = count
    return counts


async def test_served_counts_of_a_conversation_follow_every_kind_of_write(
    counters: Counters, database_url: str, db: Connection
) -> None:
    """G6: by events alone, after they were read once."""
    async with voting_service(database_url) as voting:
        await import_all(voting, [a_header(EXTERNAL_ID), an_opinion("0"), an_opinion("1")])
        conversation_id = str(uuid5(NAMESPACE_URL, EXTERNAL_ID))
        opinion, other = [await voting.add_opinion(conversation_id) for _ in range(2)]
        voter = new_uuid()
        known = await stored_counts(db)

        async def served_as_stored() -> bool:
            results = await counters.batch([key(resource_id, name) for name, resource_id in known])
            assert all(result.count.source == count_pb2.SOURCE_CACHE for result in results)
            stored = await stored_counts(db)
            return [result.count.value for result in results] == [stored[each] for each in known]

        await counters.batch([key(resource_id, name) for name, resource_id in known])
        changes: list[Callable[[], Awaitable[object]]] = [
            lambda: voting.vote(opinion, AGREE, voter),
            lambda: voting.vote(opinion, DISAGREE, voter),
            lambda: voting.voted_by(other, 3, PASS),
            lambda: voting.add_opinion(conversation_id),
            lambda: voting.moderate(opinion, messages.MODERATION_ACTION_HIDE),
            lambda: voting.cancel(opinion, voter),
            lambda: voting.moderate(opinion, messages.MODERATION_ACTION_RESTORE),
            lambda: voting.delete(other),
            lambda: import_all(voting, [a_header(EXTERNAL_ID), Piece(vote=a_transferred_vote("0", "9", PASS))]),
        ]
        for change in changes:
            before = await stored_counts(db)
            await change()
            assert await stored_counts(db) != before, "nothing to follow"
            await becomes_true(served_as_stored)
