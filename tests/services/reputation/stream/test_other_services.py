"""What people do with the other services moves their reputation, as those services tell it."""

import uuid

from tally.voting.v1 import voting_service_pb2 as voting

from services.reputation.stream.consumer import Consumer
from tests.servers import refused
from tests.services.claims.food import EXPIRED, Food, a_confirmation, a_rating, food_service, let_holds_end
from tests.services.petition.people import petition_service
from tests.services.reputation.ledgers import ledgers_add_up
from tests.services.reputation.stream.streams import all_taken_up, ledger, settled
from tests.services.voting.conversations import voting_service
from tests.stored import Connection


async def test_exchanges_and_ratings_go_into_the_ledgers_of_both_sides(
    reading: Consumer, database_url: str, db: Connection
) -> None:
    async with food_service(database_url) as food:
        exchange = await food.completed()
        await food.stub.RateExchange(a_rating(exchange, exchange.receiver_id, stars=5))
        await food.stub.RateExchange(a_rating(exchange, exchange.giver_id, stars=1))
        no_show = await an_expired_hold(food, db)
    await settled(db)
    assert await all_taken_up(reading) == 4
    assert await ledger(db, exchange.giver_id) == [("food_shared", 100, 7600), ("food_rated", 100, 7700)]
    assert await ledger(db, exchange.receiver_id) == [("food_claimed", 50, 7550), ("recipient_rated", -200, 7350)]
    assert await ledger(db, no_show) == [("claim_expired", -200, 7300)]
    await ledgers_add_up(db)


async def an_expired_hold(food: Food, db: Connection) -> str:
    """Whose it was."""
    exchange = await food.claim((await food.create()).food_post_id)
    await let_holds_end(db, exchange)
    assert (await refused(food.stub.ConfirmExchange(a_confirmation(exchange)))).reason == "HOLD_EXPIRED"
    assert await food.status(exchange) == EXPIRED
    return exchange.receiver_id


async def test_a_petition_that_passes_a_threshold_and_falls_back_goes_into_its_submitters_ledger(
    reading: Consumer, database_url: str, db: Connection
) -> None:
    async with petition_service(database_url) as petitions:
        petition = await petitions.create(escalation_thresholds=[2])
        first, _ = await petitions.signed_by(petition.petition_id, 2)
        await petitions.withdraw_signature(petition.petition_id, first)
    await settled(db)
    assert await all_taken_up(reading) == 2
    assert await ledger(db, petition.submitter_id) == [
        ("petition_escalated", 200, 7700),
        ("petition_escalation_reversed", -200, 7500),
    ]


async def test_moderation_goes_into_the_ledger_of_an_opinions_author(
    reading: Consumer, database_url: str, db: Connection
) -> None:
    author = str(uuid.uuid4())
    async with voting_service(database_url) as conversations:
        conversation = await conversations.create()
        opinion = await conversations.add_opinion(conversation.conversation_id, author_id=author)
        for action in (
            voting.MODERATION_ACTION_ACCEPT,
            voting.MODERATION_ACTION_MARK_META,
            voting.MODERATION_ACTION_HIDE,
            voting.MODERATION_ACTION_RESTORE,
            voting.MODERATION_ACTION_ACCEPT,
        ):
            await conversations.moderate(opinion, action)
    await settled(db)
    assert await all_taken_up(reading) == 5
    assert await ledger(db, author) == [
        ("opinion_accepted", 50, 7550),
        ("opinion_acceptance_withdrawn", -50, 7500),
        ("opinion_hidden", -100, 7400),
        ("opinion_restored", 100, 7500),
        ("opinion_accepted", 50, 7550),
    ]
