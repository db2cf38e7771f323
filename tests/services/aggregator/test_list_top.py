"""ListTop: from memory, and equal to what the database would say."""

import asyncio
import random

import pytest
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.common.v1 import count_pb2

from services.aggregator import ranking
from tests.eventually import becomes_true
from tests.servers import refused
from tests.services.aggregator.counting import BY_REGION, CO_SIGNERS, Counters
from tests.services.petition.people import Petitions
from tests.stored import Connection

TRUTH = """
SELECT petition_id::text, co_signer_count FROM petition.petition_submissions
WHERE state <> 'withdrawn' ORDER BY co_signer_count DESC, petition_id DESC LIMIT $1
"""


async def is_the_truth(counters: Counters, db: Connection, size: int = 100) -> None:
    """Waits until the ranking is what the rows say."""

    async def same() -> bool:
        return await counters.top(size) == [tuple(row) for row in await db.fetch(TRUTH, size)]

    await becomes_true(same)


async def some_petitions(db: Connection, counts: list[int]) -> list[str]:
    rows = await db.fetch(
        """
        INSERT INTO petition.petition_submissions
            (petition_id, title, body, petition_type, submitter_id, escalation_thresholds, co_signer_count, signature_rank)
        SELECT gen_random_uuid(), 't', 'b', 'local', gen_random_uuid(), '{}', n, operations.rank_of(n)
        FROM unnest($1::integer[]) AS n RETURNING petition_id::text
        """,
        counts,
    )
    return [row[0] for row in rows]


async def test_the_highest_come_first_and_among_equals_the_newest(petitions: Petitions, counters: Counters) -> None:
    first, second, third = [(await petitions.create()).petition_id for _ in range(3)]
    await petitions.signed_by(second, 2)
    assert await counters.top() == [(second, 2), (third, 0), (first, 0)]
    assert await counters.top(1) == [(second, 2)]


async def test_a_ranking_says_what_it_is_worth(petitions: Petitions, counters: Counters) -> None:
    await petitions.create()
    for source in (count_pb2.SOURCE_PRIMARY, count_pb2.SOURCE_CACHE):
        answer = await counters.stub.ListTop(messages.ListTopRequest(counter=CO_SIGNERS))
        (value,) = answer.values
        assert value.count.source == source
        assert value.count.commit_token and value.count.HasField("as_of_time") and value.count.HasField("age")


async def test_signatures_withdrawals_and_new_petitions_move_the_ranking(
    petitions: Petitions, counters: Counters, db: Connection
) -> None:
    ids = [(await petitions.create()).petition_id for _ in range(4)]
    users = await petitions.signed_by(ids[0], 4)
    await counters.top()
    await petitions.signed_by(ids[1], 5)
    await is_the_truth(counters, db)
    await petitions.invalidate(ids[1], users)
    for user in users[:2]:
        await petitions.withdraw_signature(ids[0], user)
    newcomer = await petitions.create()
    await petitions.signed_by(newcomer.petition_id, 9)
    await is_the_truth(counters, db)
    assert (await counters.top(1))[0] == (newcomer.petition_id, 9)


async def test_a_petition_that_is_withdrawn_leaves_and_does_not_come_back(
    petitions: Petitions, counters: Counters, db: Connection
) -> None:
    best, gone = [await petitions.create() for _ in range(2)]
    await petitions.signed_by(best.petition_id, 2)
    users = await petitions.signed_by(gone.petition_id, 8)
    assert (await counters.top(1))[0][0] == gone.petition_id
    await petitions.withdraw(gone)
    await is_the_truth(counters, db)
    await petitions.invalidate(gone.petition_id, users[:3])
    await petitions.sign(best.petition_id)
    await is_the_truth(counters, db)
    assert [name for name, _ in await counters.top()] == [best.petition_id]


async def test_more_petitions_than_are_kept_rank_as_the_database_says_while_they_change(
    petitions: Petitions, counters: Counters, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.aggregator.rankings.KEPT", 150)
    monkeypatch.setattr("services.aggregator.ranking.KEPT", 150)
    chance = random.Random(7)
    ids = await some_petitions(db, [chance.randrange(0, 60) for _ in range(600)])
    await counters.top()
    for _ in range(8):
        chosen = chance.sample(ids, 25)
        await asyncio.gather(*(petitions.signed_by(petition_id, chance.randrange(1, 40)) for petition_id in chosen))
        await is_the_truth(counters, db)
    # From the top down: more and more of those that are kept fall below the floor, until it is read anew.
    for petition_id, _ in await counters.top(100):
        await db.execute(
            "UPDATE petition.petition_submissions SET escalation_thresholds = '{}' WHERE petition_id = $1", petition_id
        )
        signers = await db.fetch("SELECT user_id::text FROM petition.co_signs WHERE petition_id = $1", petition_id)
        if signers:
            await petitions.invalidate(petition_id, [row[0] for row in signers])
    await is_the_truth(counters, db)


async def test_high_counts_share_ranks_and_still_come_in_order(counters: Counters, db: Connection) -> None:
    chance = random.Random(11)
    await some_petitions(db, [chance.randrange(0, 5_000_000) for _ in range(300)] + [127, 128, 129] * 10)
    await is_the_truth(counters, db)


async def test_an_unknown_counter_is_not_found_and_one_without_a_ranking_is_refused(counters: Counters) -> None:
    answer = await refused(counters.top(counter="petition.smiles"))
    assert answer.said == ("NOT_FOUND", "COUNTER_NOT_FOUND")
    answer = await refused(counters.top(counter=BY_REGION))
    assert (answer.said, answer.fields) == (("INVALID_ARGUMENT", "INVALID_FIELDS"), ["counter"])


@pytest.mark.parametrize(
    ("counter", "size", "fields"),
    [("", 0, ["counter"]), ("Bad", 0, ["counter"]), (CO_SIGNERS, -1, ["page_size"]), (CO_SIGNERS, 101, ["page_size"])],
)
async def test_every_bad_field_is_named(counters: Counters, counter: str, size: int, fields: list[str]) -> None:
    answer = await refused(counters.top(size, counter))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert answer.fields == fields


def test_a_ranking_keeps_enough_to_answer_the_largest_page() -> None:
    assert ranking.FEWEST >= 100
