"""What went on in groups: read as of the last refresh, and refreshed by whoever asks, once for all who ask (R6)."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tally.reputation.v1 import group_service_pb2 as messages

from libs.data.database import Committed
from libs.data.errors import Halted
from services.reputation.groups.model import Refreshed
from services.reputation.groups.refreshing import Refreshing
from services.reputation.jobs import JOBS
from tests.eventually import becomes_true
from tests.servers import refused
from tests.services.operations.working import job_context, job_named
from tests.services.petition.people import new_uuid
from tests.services.reputation.groups.circle import (
    COMMUNITY,
    NEIGHBORHOOD,
    Groups,
    a_creation,
    a_refresh,
    groups_service,
)
from tests.stored import Connection, everything, halt

POST = """
INSERT INTO claims.food_posts (food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining,
                               portions_claimed, pickup_time, created_at)
VALUES ($1, 'Soup', $2, 'community', gen_random_uuid(), 9, 0, 9, now(), now() - make_interval(days => $3))
"""
EXCHANGE = """
INSERT INTO claims.exchanges (food_id, exchange_id, giver_id, receiver_id, portions, status, hold_expire_time, created_at,
                              status_time)
VALUES ($1, $2, gen_random_uuid(), gen_random_uuid(), 1, $3, now(), now(), now() - make_interval(days => $4))
"""
RATING = """
INSERT INTO claims.ratings (food_id, exchange_id, rater_id, rated_id, stars, comment, request_id, created_at)
VALUES ($1, $2, gen_random_uuid(), gen_random_uuid(), $3, '', gen_random_uuid(), now())
"""
NO_REFRESH_ENDS = "SELECT FROM reputation.group_activity_refresh FOR UPDATE"


async def offered(db: Connection, group_id: str, days_ago: int = 0) -> str:
    post = new_uuid()
    await db.execute(POST, post, group_id, days_ago)
    return post


async def exchanged(db: Connection, post: str, *stars: int, status: str = "completed", days_ago: int = 0) -> None:
    exchange = new_uuid()
    await db.execute(EXCHANGE, post, exchange, status, days_ago)
    for given in stars:
        await db.execute(RATING, post, exchange, given)


async def test_what_went_on_in_a_group_is_summed_up(groups: Groups, db: Connection) -> None:
    """R6: of the last 30 days; ratings of all time, averaged over all of them."""
    group = await groups.create(name="Elm Street", group_type=COMMUNITY)
    for _ in range(2):
        await groups.join(group.group_id)
    await groups.leave(await groups.join(group.group_id))
    idle = await groups.join(group.group_id)
    await db.execute(
        "UPDATE reputation.user_global_reputation SET last_activity = (now() AT TIME ZONE 'UTC') - interval '31 days' "
        "WHERE user_id = $1",
        idle.user_id,
    )
    old, new = await offered(db, group.group_id, 31), await offered(db, group.group_id)
    await exchanged(db, new, 5, 4)
    await exchanged(db, new, 4)
    await exchanged(db, new, status="cancelled")
    await exchanged(db, old, 1, days_ago=31)
    activity = await groups.activity(group.group_id)
    assert (activity.group_id, activity.group_name, activity.group_type) == (group.group_id, "Elm Street", COMMUNITY)
    assert (activity.active_members, activity.food_posts_30d, activity.successful_exchanges_30d) == (3, 1, 2)
    assert activity.avg_rating == "3.50"
    last = await db.fetchval("SELECT max(created_at) FROM claims.food_posts")
    assert activity.last_food_post_time.ToDatetime(tzinfo=UTC) == last


async def test_a_group_of_which_nothing_is_known_has_empty_numbers(groups: Groups) -> None:
    """R6: whether it is newer than the summary, or nothing went on in it."""
    group = await groups.create()
    asked = messages.GetGroupActivityRequest(group_id=group.group_id)
    newer = await groups.stub.GetGroupActivity(asked)
    assert newer.activity.active_members == 0
    assert newer.refreshed_time.ToDatetime(tzinfo=UTC) > datetime.now(UTC) - timedelta(hours=1)
    activity = await groups.activity(group.group_id)
    assert (activity.group_name, activity.active_members, activity.avg_rating) == (group.name, 1, "")
    assert not activity.HasField("last_food_post_time")
    missing = messages.GetGroupActivityRequest(group_id=new_uuid())
    assert (await refused(groups.stub.GetGroupActivity(missing))).said == ("NOT_FOUND", "GROUP_NOT_FOUND")


async def test_groups_are_listed_by_successful_exchanges(groups: Groups, db: Connection) -> None:
    """R6: with the time of the one refresh that they are all of."""
    empty = await groups.stub.ListGroupActivity(messages.ListGroupActivityRequest())
    assert not empty.activities and empty.refreshed_time.seconds and not empty.next_page_token
    for n, name in enumerate(["None", "One", "Two", "Three"]):
        group = await groups.create(name=name, group_type=COMMUNITY if n % 2 else NEIGHBORHOOD)
        post = await offered(db, group.group_id)
        for _ in range(n):
            await exchanged(db, post)
    refreshed = await groups.stub.RefreshGroupActivity(a_refresh())
    for page_size in (0, 1, 3, 4):
        found: list[str] = []
        request = messages.ListGroupActivityRequest(page_size=page_size)
        while True:
            page = await groups.stub.ListGroupActivity(request)
            assert page.refreshed_time == refreshed.refreshed_time
            found += [activity.group_name for activity in page.activities]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        assert found == ["Three", "Two", "One", "None"]
    of_a_kind = await groups.stub.ListGroupActivity(messages.ListGroupActivityRequest(group_type=COMMUNITY))
    assert [activity.group_name for activity in of_a_kind.activities] == ["Three", "One"]


async def test_a_repeated_refresh_is_answered_as_the_first(groups: Groups, db: Connection) -> None:
    """G5."""
    request = a_refresh()
    first = await groups.stub.RefreshGroupActivity(request)
    before = await everything(db)
    again = await groups.stub.RefreshGroupActivity(request)
    assert (again.refreshed_time, again.commit_token, again.replayed) == (
        first.refreshed_time,
        first.commit_token,
        True,
    )
    assert await everything(db) == before
    created = a_creation(await groups.user())
    await groups.stub.CreateGroup(created)
    reused = await refused(groups.stub.RefreshGroupActivity(a_refresh(created.request_id)))
    assert reused.said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_those_who_ask_at_once_share_refreshes_and_see_what_was_there_before_they_asked(
    groups: Groups, db: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R6: two processes wait for each other; in each, those who ask while a refresh is in flight share the next."""
    refresh, asked = Refreshing.refresh, 0

    async def counted(self: Refreshing, request_id: UUID) -> Committed[Refreshed]:
        nonlocal asked
        asked += 1
        return await refresh(self, request_id)

    async def all_asked() -> bool:
        return asked == 50

    monkeypatch.setattr(Refreshing, "refresh", counted)
    async with groups_service(database_url, db) as others:
        group = await groups.create()
        asked_at = await db.fetchval("SELECT clock_timestamp()")
        async with db.transaction():
            await db.execute(NO_REFRESH_ENDS)
            callers = [*[groups] * 25, *[others] * 25]
            calls = [asyncio.ensure_future(caller.stub.RefreshGroupActivity(a_refresh())) for caller in callers]
            await becomes_true(all_asked, within=30.0)
        answers = await asyncio.gather(*calls)
    times = {answer.refreshed_time.ToDatetime(tzinfo=UTC) for answer in answers}
    assert 1 <= len(times) <= 4
    assert min(times) >= asked_at
    assert not any(answer.replayed for answer in answers)
    about = messages.GetGroupActivityRequest(group_id=group.group_id)
    assert (await groups.stub.GetGroupActivity(about)).activity.active_members == 1


async def test_a_job_refreshes_the_summary_and_may_be_done_twice(
    groups: Groups, db: Connection, database_url: str
) -> None:
    """R6: every hour, with the rights of the service."""
    group = await groups.create()
    refresh = job_named(JOBS, "refresh_group_activity")
    assert refresh.every == 3600.0
    asked = messages.GetGroupActivityRequest(group_id=group.group_id)
    before = await groups.stub.GetGroupActivity(asked)
    async with job_context(database_url) as context:
        for _ in range(2):
            await refresh.work(context, "")
        after = await groups.stub.GetGroupActivity(asked)
        assert (before.activity.active_members, after.activity.active_members) == (0, 1)
        assert after.refreshed_time.ToNanoseconds() > before.refreshed_time.ToNanoseconds()
        await halt(db)
        with pytest.raises(Halted):
            await refresh.work(context, "")
