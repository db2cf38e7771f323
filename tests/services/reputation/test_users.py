"""RegisterUser and GetUser."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tally.reputation.v1 import reputation_service_pb2 as messages

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from services.reputation.ledger import store_users
from tests.servers import refused
from tests.services.claims.coupons import became_of
from tests.services.petition.people import new_uuid
from tests.services.reputation.ledgers import Ledgers, a_registration, an_event, ledgers_add_up
from tests.stored import Connection, event_kinds, everything


def a_get(user_id: str) -> messages.GetUserRequest:
    return messages.GetUserRequest(user_id=user_id)


async def test_a_registered_user_starts_with_75(ledgers: Ledgers, db: Connection) -> None:
    answer = await ledgers.stub.RegisterUser(a_registration())
    user = answer.user
    assert (user.sharing_mode, user.verification_level) == ("neighborhood", "full")
    assert user.created_time == user.registered_time
    assert abs(user.created_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (answer.replayed, bool(answer.commit_token)) == (False, True)
    assert (await ledgers.stub.GetUser(a_get(user.user_id.upper()))).user == user
    reputation = await ledgers.reputation(user.user_id)
    assert (reputation.overall_score, reputation.event_count) == ("75.00", 0)
    assert await event_kinds(db, user.user_id) == ["user.created", "user.registered"]


async def test_a_user_may_say_how_they_share_and_what_is_known_of_them(ledgers: Ledgers) -> None:
    request = a_registration(sharing_mode="community", verification_level="none")
    user = (await ledgers.stub.RegisterUser(request)).user
    assert (user.sharing_mode, user.verification_level) == ("community", "none")


async def test_a_user_is_registered_once(ledgers: Ledgers, db: Connection) -> None:
    user_id = await ledgers.register()
    before = await everything(db)
    answer = await refused(ledgers.stub.RegisterUser(a_registration(user_id.upper())))
    assert answer.said == ("ALREADY_EXISTS", "USER_EXISTS")
    assert await everything(db) == before


async def test_of_twenty_registrations_of_one_user_at_once_one_succeeds(ledgers: Ledgers, db: Connection) -> None:
    user_id = new_uuid()
    calls = [became_of(ledgers.stub.RegisterUser(a_registration(user_id))) for _ in range(20)]
    assert sorted(await asyncio.gather(*calls)) == [*["USER_EXISTS"] * 19, "done"]
    assert await event_kinds(db, user_id) == ["user.created", "user.registered"]


async def test_repeating_a_registration_answers_the_first_answer(ledgers: Ledgers, db: Connection) -> None:
    """G5."""
    request = a_registration(sharing_mode="community")
    answers = await asyncio.gather(*(ledgers.stub.RegisterUser(request) for _ in range(5)))
    before = await everything(db)
    answers.append(await ledgers.stub.RegisterUser(request))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 5]
    assert len({(answer.user.SerializeToString(), answer.commit_token) for answer in answers}) == 1
    for other in (a_registration(), a_registration(request.user_id), a_registration(request.user_id, sharing_mode="x")):
        other.request_id = request.request_id
        assert (await refused(ledgers.stub.RegisterUser(other))).said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert await everything(db) == before


async def test_somebody_known_by_deeds_is_registered_with_the_ledger_there_is(
    ledgers: Ledgers, db: Connection, database_url: str
) -> None:
    user_id = new_uuid()
    async with Database.open(DatabaseSettings(database_url=database_url, database_role="tally_reputation")) as database:
        for _ in range(2):
            await database.write(lambda tx: store_users.make_known(tx, [UUID(user_id)]))
    known = (await ledgers.stub.GetUser(a_get(user_id))).user
    assert not known.HasField("registered_time")
    await ledgers.record(user_id, impact="2.50")
    user = (await ledgers.stub.RegisterUser(a_registration(user_id, sharing_mode="community"))).user
    assert (user.sharing_mode, user.created_time) == ("community", known.created_time)
    assert user.registered_time.ToDatetime() > known.created_time.ToDatetime()
    assert (await ledgers.reputation(user_id)).overall_score == "77.50"
    assert (await event_kinds(db, user_id)).count("user.created") == 1
    await ledgers_add_up(db)


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("GetUser", messages.GetUserRequest),
        ("GetReputation", messages.GetReputationRequest),
        ("ListReputationEvents", messages.ListReputationEventsRequest),
        ("VerifyReputation", messages.VerifyReputationRequest),
        ("RecordReputationEvent", an_event),
    ],
)
async def test_nobody_is_not_found(ledgers: Ledgers, db: Connection, rpc: str, request_: type) -> None:
    before = await everything(db)
    answer = await refused(getattr(ledgers.stub, rpc)(request_(user_id=new_uuid())))
    assert answer.said == ("NOT_FOUND", "USER_NOT_FOUND")
    assert await everything(db) == before
