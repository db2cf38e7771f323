"""The queries of `tally perf-check`: about users, food and groups that there are, drawn by lot."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import grpc.aio
from tally.claims.v1 import exchange_service_pb2 as claims
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from tally.reputation.v1 import group_service_pb2 as groups
from tally.reputation.v1 import reputation_service_pb2 as reputation
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub

from libs.cli.callers.reasons import reason
from libs.cli.perf_check import Measured
from libs.devstack.errors import DevstackError

# What is drawn from: so many listed pages.
_PAGES = 40
_PAGE = 50
_SECONDS = 30.0
_CHANCE = random.Random()  # noqa: S311  # a sample, not a secret

# A method of a stub, and what it is asked.
Query = tuple[Any, Any]


@dataclass(frozen=True)
class Subjects:
    """What there is to ask about.

    Args:
        pages: tokens of the listing of groups, the empty one of the first page among them.
        offers: food that can be claimed, by its group (empty for none) and its sharing mode.
    """

    users: Sequence[str]
    groups: Sequence[str]
    pages: Sequence[str]
    offers: Sequence[tuple[str, str]]


class Services:
    """The services that are asked."""

    def __init__(self, reputation_channel: grpc.aio.Channel, claims_channel: grpc.aio.Channel) -> None:
        self._reputation = ReputationServiceStub(reputation_channel)
        self._groups = GroupServiceStub(reputation_channel)
        self._claims = ExchangeServiceStub(claims_channel)

    async def subjects(self) -> Subjects:
        """Lists what there is, as far as some pages go.

        Raises:
            DevstackError: there is nothing of a kind, or it cannot be listed.
        """
        users = [
            each.user_id
            async for page in _pages(self._reputation.ListLeaders, reputation.ListLeadersRequest())
            for each in page.leaders
        ]
        listed = [page async for page in _pages(self._groups.ListGroups, groups.ListGroupsRequest())]
        offers = [
            (each.group_id, each.sharing_mode)
            async for page in _pages(self._claims.ListFoodPosts, claims.ListFoodPostsRequest())
            for each in page.food_posts
        ]
        found = [each.group_id for page in listed for each in page.groups]
        for kind, there in (("user", users), ("group", found), ("food post that can be claimed", offers)):
            if not there:
                raise DevstackError(f"there is no {kind} to look up")
        return Subjects(users, found, ["", *(page.next_page_token for page in listed[:-1])], offers)

    def lookup(self, subjects: Subjects) -> Query:
        return self._reputation.GetReputation, reputation.GetReputationRequest(user_id=_CHANCE.choice(subjects.users))

    def food(self, subjects: Subjects) -> Query:
        group_id, mode = _CHANCE.choice(subjects.offers)
        asked = {"group_id": group_id} if group_id else {"sharing_mode": mode}
        return self._claims.ListFoodPosts, claims.ListFoodPostsRequest(**asked, page_size=_PAGE)

    def discovery(self, subjects: Subjects) -> Query:
        token = _CHANCE.choice(subjects.pages)
        return self._groups.ListGroups, groups.ListGroupsRequest(page_size=_PAGE, page_token=token)

    def activity(self, subjects: Subjects) -> Query:
        group_id = _CHANCE.choice(subjects.groups)
        return self._groups.GetGroupActivity, groups.GetGroupActivityRequest(group_id=group_id)

    def most_active(self, subjects: Subjects) -> Query:
        return self._groups.ListGroupActivity, groups.ListGroupActivityRequest(page_size=_PAGE)


KINDS: dict[str, Callable[[Services, Subjects], Query]] = {
    "reputation lookup": Services.lookup,
    "food discovery": Services.food,
    "group discovery": Services.discovery,
    "group activity": Services.activity,
    "most active groups": Services.most_active,
}


class Caller:
    """Asks queries of one kind, and notes how long each took."""

    def __init__(self, services: Services, subjects: Subjects, kind: str, queries: int) -> None:
        self._services = services
        self._subjects = subjects
        self._kind = kind
        self._query = KINDS[kind]
        self._turns = iter(range(queries))
        self._milliseconds: list[float] = []
        self._failures: Counter[str] = Counter()

    async def call(self, advance: Callable[[int], None]) -> None:
        """One after the other, until none is left."""
        for _ in self._turns:
            method, request = self._query(self._services, self._subjects)
            began = time.perf_counter()
            try:
                await method(request, timeout=_SECONDS)
                self._milliseconds.append((time.perf_counter() - began) * 1e3)
            except grpc.aio.AioRpcError as error:
                self._failures[reason(error)] += 1
            advance(1)

    def measured(self) -> Measured:
        times = sorted(self._milliseconds) or [0.0]
        return Measured(
            kind=self._kind,
            queries=len(self._milliseconds) + self._failures.total(),
            average_ms=fmean(times),
            p50_ms=times[len(times) // 2],
            p99_ms=times[min(len(times) - 1, int(0.99 * len(times)))],
            max_ms=times[-1],
            failures=dict(self._failures),
        )


async def measure(
    reputation_address: str, claims_address: str, queries: int, callers: int, advance: Callable[[int], None]
) -> list[Measured]:
    """Asks so many queries of each kind, one kind after the other.

    Args:
        advance: told of each query that has ended.

    Raises:
        DevstackError: there is nothing to ask about.
    """
    async with (
        grpc.aio.insecure_channel(reputation_address) as reputation_channel,
        grpc.aio.insecure_channel(claims_address) as claims_channel,
    ):
        services = Services(reputation_channel, claims_channel)
        subjects = await services.subjects()
        measured = []
        for kind in KINDS:
            caller = Caller(services, subjects, kind, queries)
            await asyncio.gather(*(caller.call(advance) for _ in range(callers)))
            measured.append(caller.measured())
        return measured


async def _pages(method: Any, request: Any) -> AsyncIterator[Any]:
    request.page_size = _PAGE
    for _ in range(_PAGES):
        try:
            page = await method(request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise DevstackError(f"{type(request).__name__} failed: {reason(error)}") from error
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
