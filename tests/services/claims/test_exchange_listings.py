"""ListFoodPosts and ListExchanges: keyset pages."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from tally.claims.v1 import exchange_service_pb2 as messages

from libs.data.pages import encode_page_token
from tests.servers import refused
from tests.services.claims.food import Food, food_service, in_hours, let_holds_end
from tests.services.petition.people import new_uuid
from tests.stored import Connection

INVALID_TOKEN = ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", ["page_token"])


async def exchanges(food: Food, field: str, whose: str, size: int = 0) -> list[list[str]]:
    """Ids, page by page; of whom, by a field of the request."""
    found, request = [], messages.ListExchangesRequest(page_size=size, **{field: whose})
    while True:
        page = await food.stub.ListExchanges(request)
        found.append([exchange.exchange_id for exchange in page.exchanges])
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return found


async def test_posts_are_listed_by_pickup_time_and_those_of_one_time_by_creation(food: Food) -> None:
    late, soon = in_hours(30), in_hours(20)
    created = [(await food.create(pickup_time=time)).food_post_id for time in (late, soon, late, soon, in_hours(1))]
    by_pickup = [created[n] for n in (4, 1, 3, 0, 2)]
    for size in (0, 1, 2, 3, 5, 1000):
        assert await food.listed(page_size=size) == by_pickup, size


async def test_a_listed_post_is_told_whole(food: Food) -> None:
    post = await food.create(portions=4)
    await food.claim(post.food_post_id)
    await food.confirm(await food.claim(post.food_post_id, portions=2))
    page = await food.stub.ListFoodPosts(messages.ListFoodPostsRequest())
    assert list(page.food_posts) == [await food.get(post.food_post_id)]


async def test_posts_are_listed_of_a_group_of_a_mode_and_of_both(food: Food) -> None:
    group, other = new_uuid(), new_uuid()
    offers = [(group, "community"), (group, "neighborhood"), (other, "community"), ("", "community"), ("", "")]
    created = [
        (await food.create(group_id=to, sharing_mode=mode, pickup_time=in_hours(n))).food_post_id
        for n, (to, mode) in enumerate(offers, start=1)
    ]

    async def places(**asked: Any) -> list[int]:
        return [created.index(food_post_id) for food_post_id in await food.listed(**asked)]

    for size in (1, 50):
        assert await places(page_size=size) == [0, 1, 2, 3, 4]
        assert await places(group_id=group.upper(), page_size=size) == [0, 1]
        assert await places(sharing_mode="community", page_size=size) == [0, 2, 3]
        assert await places(sharing_mode="neighborhood", page_size=size) == [1, 4]
        assert await places(group_id=group, sharing_mode="community", page_size=size) == [0]
        assert await places(group_id=new_uuid(), page_size=size) == []
        assert await places(sharing_mode="nobody", page_size=size) == []


async def test_only_what_can_be_claimed_and_picked_up_is_listed(food: Food, db: Connection) -> None:
    available, closed, exhausted, past = [await food.create(portions=1) for _ in range(4)]
    await food.close(closed)
    await food.claim(exhausted.food_post_id)
    await db.execute(
        "UPDATE claims.food_posts SET pickup_time = now() - interval '1 second' WHERE food_post_id = $1",
        past.food_post_id,
    )
    for asked in ({}, {"sharing_mode": "community"}):
        assert await food.listed(**asked) == [available.food_post_id]
    for post in (closed, exhausted, past):
        assert await food.listed(group_id=post.group_id) == []
        assert await food.listed(group_id=post.group_id, sharing_mode="community") == []


@pytest.mark.parametrize("how", ["cancelled", "expired"])
async def test_an_exhausted_post_is_listed_again_when_portions_come_back(
    database_url: str, db: Connection, how: str
) -> None:
    async with food_service(database_url) as food:
        post = await food.create(portions=2)
        exchange = await food.claim(post.food_post_id, portions=2)
        assert await food.listed() == []
        if how == "cancelled":
            await food.cancel(exchange)
        else:
            await let_holds_end(db, exchange)
            await refused(food.confirm(exchange))
        assert await food.listed() == await food.listed(group_id=post.group_id) == [post.food_post_id]


async def test_pages_stay_where_they_were_while_posts_come_and_go(food: Food) -> None:
    created = [await food.create(pickup_time=in_hours(n)) for n in (10, 20, 30, 40)]
    request = messages.ListFoodPostsRequest(page_size=2)
    first = await food.stub.ListFoodPosts(request)
    await food.close(created[1])
    await food.create(pickup_time=in_hours(5))
    later = await food.create(pickup_time=in_hours(35))
    request.page_token, request.page_size = first.next_page_token, 50
    second = await food.stub.ListFoodPosts(request)
    expected = [created[2].food_post_id, later.food_post_id, created[3].food_post_id]
    assert [post.food_post_id for post in second.food_posts] == expected
    assert not second.next_page_token


async def test_a_page_holds_50_unless_asked_otherwise(food: Food) -> None:
    post = await food.create(portions=51)
    giver = post.giver_id
    await asyncio.gather(*(food.create(giver_id=giver) for _ in range(50)))
    await asyncio.gather(*(food.claim(post.food_post_id) for _ in range(51)))
    page = await food.stub.ListFoodPosts(messages.ListFoodPostsRequest())
    assert (len(page.food_posts), bool(page.next_page_token)) == (50, False), "one of the 51 posts is exhausted"
    await food.create()
    page = await food.stub.ListFoodPosts(messages.ListFoodPostsRequest())
    assert (len(page.food_posts), bool(page.next_page_token)) == (50, True)
    assert [len(page) for page in await exchanges(food, "food_post_id", post.food_post_id)] == [50, 1]


async def test_exchanges_are_listed_newest_first_of_a_post_of_a_giver_and_of_a_receiver(food: Food) -> None:
    giver, receiver = new_uuid(), new_uuid()
    posts = [(await food.create(giver_id=giver)).food_post_id for _ in range(3)]
    others = (await food.create()).food_post_id
    claims: list[tuple[str, str]] = [(post, user) for post in posts for user in (receiver, new_uuid())]
    made = [await food.claim(post, user) for post, user in [*claims, (others, receiver), (others, new_uuid())]]
    await food.cancel(made[0])
    await food.confirm(made[2])
    newest_first = [exchange.exchange_id for exchange in made[::-1]]
    expected = {
        "food_post_id": (posts[0], newest_first[-2:]),
        "giver_id": (giver, newest_first[2:]),
        "receiver_id": (receiver, [e.exchange_id for e in made[::-1] if e.receiver_id == receiver]),
    }
    for field, (whose, ids) in expected.items():
        for size in (1, 2, 1000):
            pages = await exchanges(food, field, whose.upper(), size)
            assert [exchange_id for page in pages for exchange_id in page] == ids, (field, size)
            assert all(len(page) == size for page in pages[:-1])
        assert await exchanges(food, field, new_uuid()) == [[]]
    page = await food.stub.ListExchanges(messages.ListExchangesRequest(giver_id=giver))
    assert [await food.exchange(e.exchange_id) for e in page.exchanges] == list(page.exchanges)


async def test_exchanges_that_come_while_pages_are_read_are_not_on_later_pages(food: Food) -> None:
    post = await food.create(portions=9)
    made = [(await food.claim(post.food_post_id)).exchange_id for _ in range(4)]
    request = messages.ListExchangesRequest(food_post_id=post.food_post_id, page_size=2)
    first = await food.stub.ListExchanges(request)
    await food.claim(post.food_post_id)
    request.page_token = first.next_page_token
    second = await food.stub.ListExchanges(request)
    assert [e.exchange_id for e in (*first.exchanges, *second.exchanges)] == made[::-1]


async def test_a_token_of_another_listing_is_refused(food: Food) -> None:
    group, user = new_uuid(), new_uuid()
    posts = [await food.create(group_id=group) for _ in range(3)]
    for post in posts:
        for receiver in (user, new_uuid()):
            await food.claim(post.food_post_id, receiver)
    asked: dict[str, messages.ListFoodPostsRequest | messages.ListExchangesRequest] = {
        "all": messages.ListFoodPostsRequest(),
        "group": messages.ListFoodPostsRequest(group_id=group),
        "mode": messages.ListFoodPostsRequest(sharing_mode="community"),
        "both": messages.ListFoodPostsRequest(group_id=group, sharing_mode="community"),
        "of one post": messages.ListExchangesRequest(food_post_id=posts[0].food_post_id),
        "of another": messages.ListExchangesRequest(food_post_id=posts[1].food_post_id),
        "of a receiver": messages.ListExchangesRequest(receiver_id=user),
        # The same id, as another side's.
        "of a giver": messages.ListExchangesRequest(giver_id=user),
    }

    def call(request: messages.ListFoodPostsRequest | messages.ListExchangesRequest) -> Awaitable[Any]:
        posts_wanted = isinstance(request, messages.ListFoodPostsRequest)
        return food.stub.ListFoodPosts(request) if posts_wanted else food.stub.ListExchanges(request)  # type: ignore[arg-type]

    tokens = {}
    for name, request in asked.items():
        request.page_size = 1
        tokens[name] = (await call(request)).next_page_token
    assert not tokens.pop("of a giver") and all(tokens.values())
    for whose, token in tokens.items():
        for name, request in asked.items():
            request.page_token = token
            if name == whose:
                await call(request)
            else:
                answer = await refused(call(request))
                assert (*answer.said, answer.fields) == INVALID_TOKEN, (whose, name)


SOON, ID = "2030-01-01T00:00:00+00:00", "11111111-1111-4111-8111-111111111111"
IMPOSSIBLE: list[object] = [
    [],
    [SOON, SOON],
    [SOON, SOON, ID, 1],
    [SOON, SOON, "not a uuid"],
    [SOON, SOON, 7],
    [SOON, SOON, None],
    ["soon", SOON, ID],
    ["2030-01-01T00:00:00", SOON, ID],
    ["0001-01-01T00:00:00+23:59", SOON, ID],
    [SOON, "9999-12-31T23:59:59-23:59", ID],
    [1893456000, SOON, ID],
    [None, SOON, ID],
    [SOON, [SOON], ID],
]


@pytest.mark.parametrize("key", IMPOSSIBLE, ids=str)
async def test_a_token_with_an_impossible_key_is_refused_by_the_posts(food: Food, key: list[object]) -> None:
    request = messages.ListFoodPostsRequest(page_token=encode_page_token("food//", *key))
    answer = await refused(food.stub.ListFoodPosts(request))
    assert (*answer.said, answer.fields) == INVALID_TOKEN


@pytest.mark.parametrize("key", [[], ["x"], [7], [None], [ID, ID], [[ID]]], ids=str)
async def test_a_token_with_an_impossible_key_is_refused_by_the_exchanges(food: Food, key: list[object]) -> None:
    request = messages.ListExchangesRequest(giver_id=ID, page_token=encode_page_token(f"exchanges/giver_id/{ID}", *key))
    answer = await refused(food.stub.ListExchanges(request))
    assert (*answer.said, answer.fields) == INVALID_TOKEN


async def test_garbage_is_not_a_page_token(food: Food) -> None:
    for token in ("x", "????", "nöt base64", "bnVsbA", "W10", "e30", "'; DROP TABLE claims.food_posts; --"):
        answer = await refused(food.stub.ListFoodPosts(messages.ListFoodPostsRequest(page_token=token)))
        assert (*answer.said, answer.fields) == INVALID_TOKEN
        answer = await refused(food.stub.ListExchanges(messages.ListExchangesRequest(giver_id=ID, page_token=token)))
        assert (*answer.said, answer.fields) == INVALID_TOKEN
