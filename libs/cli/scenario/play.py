"""The acts of the scenario, played by asyncio callers against the petition service."""

import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc.aio
from tally.petition.v1 import petition_pb2 as resources
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from libs.cli.callers.reasons import reason, reason_of
from libs.cli.scenario.acting import DEADLINE, Advance, acting, each
from libs.cli.scenario.ledger import Act, Ledger, Petition

PETITIONS = 30
RACERS = 1_000
RACE_THRESHOLDS = (250, 500, 750)
WITHDRAWALS = 300
RETURNING = 60
BATCHES, BATCH = 8, 500
STREAMED = 1_500
# Of the crowd: who signs again by mistake, and whose request is sent twice.
AGAIN, TWICE = 0.08, 0.04
CROWDED = 0.7
REGIONS = ("", "", "", "DE-BY", "DE-BE", "AT-9", "CH-ZH")
_TITLES = (
    "A bench at every bus stop",
    "Night trains on weekdays",
    "Swings for the old market",
    "Open the river bank",
    "Shade for the school yard",
    "A library on Sundays",
)


class Play:
    """Plays act after act and keeps the ledger. The same seed plays the same users' choices."""

    def __init__(self, channel: grpc.aio.Channel, callers: int, seed: int) -> None:
        self._stub: Any = PetitionServiceStub(channel)
        self._callers = callers
        self._random = random.Random(seed)  # noqa: S311  # a scenario, not a secret
        self.ledger = Ledger()

    # -- acts

    async def create(self, advance: Advance) -> None:
        """The crowd's petition first, then the race's, then the others."""
        plans: list[tuple[str, tuple[int, ...]]] = [
            (_TITLES[0], (100, 1_000, 2_500, 5_000, 10_000)),
            (_TITLES[1], RACE_THRESHOLDS),
            *((f"{self._random.choice(_TITLES[2:])} ({n})", (10, 50, 250, 1_000)) for n in range(PETITIONS - 2)),
        ]
        made: dict[int, Petition] = {}

        async def make(act: Act, number: int) -> None:
            title, thresholds = plans[number]
            petition = resources.Petition(
                title=title,
                body="Because everybody passes by.",
                petition_type="local",
                submitter_id=str(uuid4()),
                escalation_thresholds=thresholds,
            )
            request = messages.CreatePetitionRequest(petition=petition, request_id=str(uuid4()))
            answer = await self._stub.CreatePetition(request, timeout=DEADLINE)
            act.accepted += 1
            made[number] = Petition(answer.petition.petition_id, title, list(thresholds))
            made[number].heard(answer.commit_token)

        with acting(self.ledger, "create petitions") as act:
            await each(act, range(len(plans)), make, advance, self._callers)
        self.ledger.petitions = [made[number] for number in sorted(made)]

    async def crowd(self, signers: int, advance: Advance) -> None:
        """Most sign one petition, the rest a few of the others; some sign again, some requests arrive twice."""
        crowded, _, *others = self.ledger.petitions
        weights = [1 / (place + 1) for place in range(len(others))]
        plan: list[tuple[Petition, messages.CoSignRequest]] = []
        for _ in range(signers):
            petition = crowded if self._random.random() < CROWDED else self._random.choices(others, weights)[0]
            request = self._request(petition)
            plan.append((petition, request))
            chance = self._random.random()
            if chance < AGAIN:
                again = self._request(petition, request.user_id)
                plan.append((petition, again))
            elif chance < AGAIN + TWICE:
                plan.append((petition, request))
        with acting(self.ledger, "sign, most of them one") as act:
            await each(act, plan, self._sign, advance, self._callers)

    async def race(self, advance: Advance) -> None:
        """Everybody at once, so that many callers cross the thresholds together."""
        race = self.ledger.petitions[1]
        with acting(self.ledger, f"race past {', '.join(map(str, RACE_THRESHOLDS))}") as act:
            plan = [(race, self._request(race)) for _ in range(RACERS)]
            await each(act, plan, self._sign, advance, RACERS // 2)

    async def batches(self, advance: Advance) -> None:
        """Whole lists of signatures, with a user here and there who is in them twice."""
        petition = self.ledger.petitions[0]
        plan = []
        for _ in range(BATCHES):
            requests = [self._request(petition) for _ in range(BATCH - BATCH // 20)]
            requests += [self._request(petition, r.user_id) for r in self._random.sample(requests, BATCH // 20)]
            plan.append((petition, requests))

        async def sign(act: Act, job: tuple[Petition, list[messages.CoSignRequest]]) -> None:
            petition, requests = job
            answer = await self._stub.BatchCoSign(messages.BatchCoSignRequest(requests=requests), timeout=DEADLINE)
            act.sent += len(requests) - 1
            for request, result in zip(requests, answer.results, strict=True):
                self._result(act, petition, request, result)

        with acting(self.ledger, f"batches of {BATCH}") as act:
            await each(act, plan, sign, lambda n: advance(n * BATCH), 4)

    async def stream(self, advance: Advance) -> None:
        """One caller, one stream, as fast as the service takes it."""
        petition = self.ledger.petitions[2]
        requests = [self._request(petition) for _ in range(STREAMED)]

        async def sending() -> AsyncIterator[messages.StreamCoSignsRequest]:
            for request in requests:
                yield messages.StreamCoSignsRequest(request=request)

        with acting(self.ledger, "a stream") as act:
            answers = self._stub.StreamCoSigns(sending(), timeout=60.0)
            act.sent = len(requests)
            try:
                unanswered = iter(requests)
                async for answer in answers:
                    self._result(act, petition, next(unanswered), answer.result)
                    advance(1)
            except grpc.aio.AioRpcError as error:
                act.failures[reason(error)] += 1

    async def withdraw(self, advance: Advance) -> None:
        """Many change their minds, so that a threshold is reversed; then some come back, and it is crossed again."""
        race = self.ledger.petitions[1]
        leaving = self._random.sample(sorted(race.signers), min(WITHDRAWALS, len(race.signers)))

        async def leave(act: Act, user_id: str) -> None:
            request = messages.WithdrawCoSignRequest(
                petition_id=race.petition_id, user_id=user_id, request_id=str(uuid4())
            )
            answer = await self._stub.WithdrawCoSign(request, timeout=DEADLINE)
            act.withdrawn += 1
            race.signers.pop(user_id)
            race.reversed.update(answer.reversed_thresholds)
            race.heard(answer.commit_token)

        with acting(self.ledger, "withdraw") as act:
            await each(act, leaving, leave, advance, self._callers)
        with acting(self.ledger, "come back") as act:
            plan = [(race, self._request(race, user_id)) for user_id in leaving[:RETURNING]]
            await each(act, plan, self._sign, advance, self._callers)

    # -- one call

    def _request(self, petition: Petition, user_id: str = "") -> messages.CoSignRequest:
        return messages.CoSignRequest(
            petition_id=petition.petition_id,
            user_id=user_id or str(uuid4()),
            region_code=self._random.choice(REGIONS),
            request_id=str(uuid4()),
        )

    async def _sign(self, act: Act, job: tuple[Petition, messages.CoSignRequest]) -> None:
        petition, request = job
        try:
            answer = await self._stub.CoSign(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if "ALREADY_SIGNED" not in reason(error):
                raise
            act.duplicates += 1
        else:
            self._signed(act, petition, request, answer)

    def _result(
        self, act: Act, petition: Petition, request: messages.CoSignRequest, result: messages.CoSignResult
    ) -> None:
        if not result.HasField("error"):
            self._signed(act, petition, request, result.co_sign)
        elif "ALREADY_SIGNED" in (refused := reason_of(result.error)):
            act.duplicates += 1
        else:
            act.failures[refused] += 1

    def _signed(
        self, act: Act, petition: Petition, request: messages.CoSignRequest, answer: messages.CoSignResponse
    ) -> None:
        petition.heard(answer.commit_token)
        if answer.replayed:
            act.replayed += 1
            return
        act.accepted += 1
        petition.signers[request.user_id] = answer.co_sign.region_code
        petition.ordinals.append(answer.co_sign.ordinal)
        petition.crossed.update(answer.crossed_thresholds)
