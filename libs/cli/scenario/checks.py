"""Compares what the players were answered with what the services and the rows say."""

import asyncio
from collections import Counter
from typing import Any

import grpc.aio
from tally.aggregator.v1 import aggregator_pb2, aggregator_service_pb2
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.common.v1 import count_pb2
from tally.petition.v1 import petition_pb2 as resources
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from libs.cli.scenario.acting import DEADLINE
from libs.cli.scenario.comparison import Comparison
from libs.cli.scenario.ledger import Petition


class Checks:
    """Asks both services about petitions."""

    def __init__(self, petition: grpc.aio.Channel, aggregator: grpc.aio.Channel) -> None:
        self._petitions: Any = PetitionServiceStub(petition)
        self._aggregator: Any = AggregatorServiceStub(aggregator)

    async def compare(self, petition: Petition) -> Comparison:
        served, verified, count, escalations = await asyncio.gather(
            self._served(petition), self._verified(petition), self._count(petition), self._escalations(petition)
        )
        crossed = Counter(e.threshold for e in escalations if e.kind == resources.ESCALATION_KIND_CROSSED)
        reversed_ = Counter(e.threshold for e in escalations if e.kind == resources.ESCALATION_KIND_REVERSED)
        answered = len(petition.signers)
        regions = Counter({r.region_code: r.co_signer_count for r in count.region_counts if r.co_signer_count})
        problems = [
            (served != answered, f"the aggregator says {served}"),
            (verified.counter != answered, f"the counter says {verified.counter}"),
            (verified.counted != answered, f"there are {verified.counted} rows"),
            (count.count.value != answered, f"GetCoSignerCount says {count.count.value}"),
            (regions != petition.regions, f"regions are {dict(regions)}, signed were {dict(petition.regions)}"),
            (
                sorted(petition.ordinals) != list(range(1, len(petition.ordinals) + 1)),
                "ordinals were given out twice or left out",
            ),
            (crossed != petition.crossed, f"crossed are {dict(crossed)}, answered were {dict(petition.crossed)}"),
            (reversed_ != petition.reversed, f"reversed are {dict(reversed_)}"),
            *(
                (crossed[t] - reversed_[t] != (answered >= t), f"threshold {t} stands wrong at {answered}")
                for t in petition.thresholds
            ),
        ]
        return Comparison(
            petition_id=petition.petition_id,
            title=petition.title,
            answered=answered,
            aggregator=served,
            counter=verified.counter,
            rows=verified.counted,
            crossed_answered=petition.crossed.total(),
            crossed_recorded=crossed.total(),
            reversed_answered=petition.reversed.total(),
            reversed_recorded=reversed_.total(),
            disagreements=[text for wrong, text in problems if wrong],
        )

    async def _served(self, petition: Petition) -> int:
        key = aggregator_pb2.CounterKey(counter="petition.co_signers", resource_id=petition.petition_id)
        read_your_writes = count_pb2.Consistency(at_least=f"{petition.token:x}")
        request = aggregator_service_pb2.GetCounterRequest(key=key, consistency=read_your_writes)
        return int((await self._aggregator.GetCounter(request, timeout=DEADLINE)).count.value)

    async def _verified(self, petition: Petition) -> messages.VerifyCoSignerCountResponse:
        request = messages.VerifyCoSignerCountRequest(petition_id=petition.petition_id)
        answer: messages.VerifyCoSignerCountResponse
        answer = await self._petitions.VerifyCoSignerCount(request, timeout=DEADLINE)
        return answer

    async def _count(self, petition: Petition) -> messages.GetCoSignerCountResponse:
        request = messages.GetCoSignerCountRequest(petition_id=petition.petition_id, include_regions=True)
        request.consistency.primary = True
        answer: messages.GetCoSignerCountResponse
        answer = await self._petitions.GetCoSignerCount(request, timeout=DEADLINE)
        return answer

    async def _escalations(self, petition: Petition) -> list[resources.Escalation]:
        request = messages.ListEscalationsRequest(petition_id=petition.petition_id, page_size=1_000)
        return list((await self._petitions.ListEscalations(request, timeout=DEADLINE)).escalations)
