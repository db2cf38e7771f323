"""Many join, leave and decide at once, through two services, and every count is exact (R5)."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import asyncpg
import psycopg
import pytest
from google.rpc import status_pb2
from tally.reputation.v1 import group_pb2 as resources
from tally.reputation.v1 import reputation_service_pb2
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub

from tests.concurrency.answers import answer_of, open_channel, reason_of
from tests.concurrency.conftest import two_services
from tests.concurrency.stage import Stage
from tests.postgres import scratch_database
from tests.services.petition.people import new_uuid
from tests.services.reputation.groups.circle import (
    ADMIN,
    Groups,
    a_creation,
    a_join,
    a_leave,
    a_role,
    a_switch,
    groups_add_up,
)
from tests.stored import Connection


@pytest.fixture(scope="module")
def stage(
    postgres_server: psycopg.Connection,
    postgres_url: str,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Two reputation services on one database."""
    with (
        scratch_database(postgres_server, postgres_url, template_database) as url,
        two_services("reputation", url, tmp_path_factory.mktemp("two-reputation-services")) as stage,
    ):
        yield stage


@pytest.fixture
async def db(stage: Stage) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(stage.database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def callers(stage: Stage, db: Connection) -> AsyncIterator[list[Groups]]:
    """Sixteen connections, half of them to either service."""
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(open_channel(stage.addresses[n % 2])) for n in range(16)]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        yield [Groups(GroupServiceStub(channel), db) for channel in channels]


def said(answer: object) -> str:
    return reason_of(answer)[0] if isinstance(answer, status_pb2.Status) else ""


async def test_500_who_join_at_once_are_500_members(stage: Stage, callers: list[Groups], db: Connection) -> None:
    """G2: each is told another number of members, none is left out."""
    group = await callers[0].create()
    users = await callers[0].users(500)
    answers = await asyncio.gather(
        *(callers[n % 16].stub.JoinGroup(a_join(group.group_id, user), timeout=30) for n, user in enumerate(users))
    )
    assert sorted(answer.member_count for answer in answers) == list(range(2, 502))
    assert (await callers[1].get(group.group_id)).member_count == 501
    assert len(await callers[0].members(group.group_id, 1000)) == 501
    await groups_add_up(db)
    assert not stage.trouble() and not stage.deadlocks()


async def test_of_20_callers_who_let_one_user_join_one_does(callers: list[Groups], db: Connection) -> None:
    """G5: with a request id each, one joins; with the same one, all are told the same."""
    group = await callers[0].create()
    user, other = await callers[0].users(2)
    joins = [a_join(group.group_id, user) for _ in range(20)]
    answers = await asyncio.gather(*(answer_of(callers[n % 16].stub.JoinGroup(j)) for n, j in enumerate(joins)))
    assert Counter(map(said, answers)) == {"": 1, "ALREADY_A_MEMBER": 19}
    same = a_join(group.group_id, other)
    repeated = await asyncio.gather(*(callers[n % 16].stub.JoinGroup(same) for n in range(20)))
    assert Counter(answer.replayed for answer in repeated) == {False: 1, True: 19}
    assert len({(answer.member_count, answer.commit_token) for answer in repeated}) == 1
    assert (await callers[0].get(group.group_id)).member_count == 3
    await groups_add_up(db)


async def test_whatever_is_done_to_groups_and_users_at_once_nothing_is_lost_or_deadlocked(
    stage: Stage, callers: list[Groups], db: Connection, seed: str
) -> None:
    """G2: members come and go, admins decide, groups are made, users change modes, and their ledgers grow meanwhile."""
    chance = random.Random(seed)
    users = await callers[0].users(12)
    made: list[resources.Group] = [await callers[0].create(user) for user in users[:4]]
    for group in made:
        for user in users[:3]:
            if user != group.admin_user_id:
                await callers[0].join(group.group_id, user)
            await callers[0].stub.SetGroupRole(a_role(group.group_id, user, group.admin_user_id, ADMIN))
    reasons: Counter[str] = Counter()

    async def play(groups: Groups, ledger: ReputationServiceStub) -> None:
        for _ in range(25):
            group, user, other = chance.choice(made).group_id, chance.choice(users), chance.choice(users)
            role = chance.choice(list(resources.GroupRole.values())[1:])
            rpc, request = chance.choice(
                [
                    ("JoinGroup", a_join(group, user)),
                    ("JoinGroup", a_join(group, user)),
                    ("LeaveGroup", a_leave(group, user)),
                    ("SetGroupRole", a_role(group, user, other, role)),
                    ("CreateGroup", a_creation(user, telegram_group_id=chance.randrange(1, 9))),
                    ("SetSharingMode", a_switch(user, chance.choice(["community", "neighborhood"]))),
                    ("RecordReputationEvent", an_event(user, group)),
                ]
            )
            asked = getattr(ledger if rpc == "RecordReputationEvent" else groups.stub, rpc)(request)
            reasons[f"{rpc} {said(await answer_of(asked))}"] += 1

    async with open_channel(stage.addresses[0]) as one, open_channel(stage.addresses[1]) as another:
        ledgers = [ReputationServiceStub(one), ReputationServiceStub(another)]
        await asyncio.gather(*(play(callers[n % 16], ledgers[n // 2 % 2]) for n in range(32)))
    print(reasons)
    assert {"JoinGroup ", "LeaveGroup ", "SetGroupRole ", "SetSharingMode ", "RecordReputationEvent "} <= reasons.keys()
    expected = {"", "ALREADY_A_MEMBER", "NOT_A_MEMBER", "NOT_AN_ADMIN", "LAST_ADMIN"}
    expected |= {"GROUP_EXISTS", "SHARING_MODE_UNCHANGED", "TRUST_LEVEL_TOO_LOW"}
    assert {reason.partition(" ")[2] for reason in reasons} <= expected
    await groups_add_up(db)
    assert not stage.trouble() and not stage.deadlocks()


def an_event(user_id: str, group_id: str) -> reputation_service_pb2.RecordReputationEventRequest:
    return reputation_service_pb2.RecordReputationEventRequest(
        user_id=user_id, event_type="kindness", impact_score="0.01", group_id=group_id, request_id=new_uuid()
    )
