"""Compares who joined a group, and what a shared meal should have done for people's reputation, with what everybody says."""

import asyncio
import time
from collections import Counter
from typing import Any

import grpc.aio
from tally.aggregator.v1 import aggregator_pb2, aggregator_service_pb2
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.common.v1 import count_pb2
from tally.reputation.v1 import group_service_pb2 as groups
from tally.reputation.v1 import reputation_pb2 as resources
from tally.reputation.v1 import reputation_service_pb2 as messages
from tally.reputation.v1.group_service_pb2_grpc import GroupServiceStub
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub

from libs.cli.scenario.acting import DEADLINE
from libs.cli.scenario.comparison import CountComparison
from libs.cli.scenario.ledger import Gathering, Meal

# Reputation follows the event stream: seconds until it must have.
PATIENCE = 15.0


class StandingChecks:
    """Asks the reputation service and the aggregator."""

    def __init__(self, reputation: grpc.aio.Channel, aggregator: grpc.aio.Channel) -> None:
        self._reputation: Any = ReputationServiceStub(reputation)
        self._groups: Any = GroupServiceStub(reputation)
        self._aggregator: Any = AggregatorServiceStub(aggregator)

    async def meal(self, meal: Meal) -> list[CountComparison]:
        """What giver and receivers got for exchanges that were handed over and rated by both sides."""
        people = [meal.giver_id, *meal.completed]
        ledgers = await self._when_written(people, events=4 * len(meal.completed))
        rows = Counter(event.event_type for ledger in ledgers.values() for event in ledger)
        reputations = {user_id: await self._get(user_id) for user_id in people}
        wrong = [f"the ledger of {user_id} does not replay" for user_id in people if not await self._replays(user_id)]
        shared = CountComparison(
            what="food shared",
            answered=len(meal.completed),
            aggregator=await self._served("reputation.food_shared", [meal.giver_id]),
            counter=reputations[meal.giver_id].total_food_shared,
            rows=rows["food_shared"],
            disagreements=wrong,
        )
        received = CountComparison(
            what="food received",
            answered=len(meal.completed),
            aggregator=await self._served("reputation.food_claimed", meal.completed),
            counter=sum(reputations[user_id].total_food_claimed for user_id in meal.completed),
            rows=rows["food_claimed"],
        )
        events = CountComparison(
            what="events in ledgers",
            answered=4 * len(meal.completed),
            aggregator=await self._served("reputation.events", people),
            counter=sum(reputation.event_count for reputation in reputations.values()),
            rows=rows.total(),
        )
        return [compared.judged() for compared in (shared, received, events)]

    async def gathering(self, gathering: Gathering) -> CountComparison:
        """Who is a member."""
        group_id = gathering.group_id
        group = (await self._groups.GetGroup(groups.GetGroupRequest(group_id=group_id), timeout=DEADLINE)).group
        listing = groups.ListGroupMembersRequest(group_id=group_id, page_size=1_000)
        members = (await self._groups.ListGroupMembers(listing, timeout=DEADLINE)).members
        return CountComparison(
            what="members of the group",
            answered=len(gathering.members),
            aggregator=await self._served("reputation.group_members", [group_id]),
            counter=group.member_count,
            rows=len(members),
            disagreements=[] if {m.user_id for m in members} == {*gathering.members} else ["others are listed"],
        ).judged()

    async def _when_written(self, people: list[str], events: int) -> dict[str, list[resources.ReputationEvent]]:
        """Everybody's ledger, once there are so many events in all, or when it has been waited for long enough."""
        give_up = time.monotonic() + PATIENCE
        while True:
            ledgers = {user_id: await self._ledger(user_id) for user_id in people}
            if sum(map(len, ledgers.values())) >= events or time.monotonic() > give_up:
                return ledgers
            await asyncio.sleep(0.1)

    async def _ledger(self, user_id: str) -> list[resources.ReputationEvent]:
        request = messages.ListReputationEventsRequest(user_id=user_id, page_size=1_000)
        try:
            return list((await self._reputation.ListReputationEvents(request, timeout=DEADLINE)).events)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return []  # nothing has reached the ledger yet

    async def _get(self, user_id: str) -> resources.Reputation:
        request = messages.GetReputationRequest(user_id=user_id)
        reputation: resources.Reputation = (await self._reputation.GetReputation(request, timeout=DEADLINE)).reputation
        return reputation

    async def _replays(self, user_id: str) -> bool:
        request = messages.VerifyReputationRequest(user_id=user_id)
        return bool((await self._reputation.VerifyReputation(request, timeout=DEADLINE)).consistent)

    async def _served(self, counter: str, resource_ids: list[str]) -> int:
        request = aggregator_service_pb2.BatchGetCountersRequest(
            keys=[aggregator_pb2.CounterKey(counter=counter, resource_id=each) for each in resource_ids],
            consistency=count_pb2.Consistency(primary=True),
        )
        answer = await self._aggregator.BatchGetCounters(request, timeout=DEADLINE)
        return sum(result.count.value for result in answer.results)
