"""`tally load --voting`: very active people in a large conversation, with time to think or without."""

import asyncio
import random
import time
import uuid
from collections import Counter
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Literal

import grpc.aio
from pydantic import BaseModel, computed_field
from rich.table import Table
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from libs.cli.callers.generated import GeneratedConversation
from libs.cli.callers.importing import import_conversation
from libs.cli.callers.reasons import reason
from libs.cli.load_progress import progress
from libs.cli.output import console, failures_in_words, print_facts
from libs.cli.verify import compare
from libs.cli.verify_statistics import trouble
from libs.devstack.status import StackStatus

if TYPE_CHECKING:  # in the stubs only
    from tally.voting.v1.voting_service_pb2_grpc import VotingServiceAsyncStub

Kind = Literal["vote", "opinion", "listing"]
# Milliseconds that nineteen of twenty calls of a kind may take where people think.
BARS: dict[Kind, int] = {"vote": 80, "opinion": 100, "listing": 80}
OPINIONS_EACH, VOTES_EACH, THINK_SECONDS = (5, 10), (5, 15), (0.5, 2.0)
# Of how many votes each person of the prepared conversation casts one.
_VOTES_OF_A_PERSON = 22
_ORDERS = (
    messages.OPINION_ORDER_NEWEST,
    messages.OPINION_ORDER_TOP,
    messages.OPINION_ORDER_CONTROVERSIAL,
)
_CHOICES = (resources.VOTE_AGREE, resources.VOTE_DISAGREE, resources.VOTE_PASS)
_SECONDS = 30.0
_CHANNELS = 8


class Latencies(BaseModel):
    """Of the calls of one kind, in milliseconds."""

    kind: Kind
    calls: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def met(self) -> bool:
        return self.p95_ms < BARS[self.kind]


class VotingReport(BaseModel):
    """What became of a load.

    Args:
        expected, counted: opinions, votes and participants, as the answers say and as the conversation says.
        differing: counters of the conversation, its opinions and its participants that are not their rows.
    """

    conversation_id: str
    users: int
    think: bool
    imported_seconds: float
    seconds: float
    calls_per_second: float
    latencies: list[Latencies]
    failures: dict[str, int]
    deadlocks: int
    expected: list[int]
    counted: list[int]
    differing: int

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def complete(self) -> bool:
        """No call failed, everything acknowledged is counted, and every count equals its rows."""
        exact = self.expected == self.counted and not self.differing
        return exact and not self.failures and not self.deadlocks


def run(status: StackStatus, users: int, opinions: int, votes: int, think: bool, seed: int = 1) -> VotingReport:
    """Imports a conversation of its own, lets everybody act at once, and looks at what they left behind."""
    address, database_url = status.services["voting"].address, status.database_url
    assert database_url is not None
    external_id = f"https://tally.example/load/{uuid.uuid4()}"
    prepared = GeneratedConversation(external_id, opinions, votes, -(-votes // _VOTES_OF_A_PERSON), seed)
    begin = time.perf_counter()
    import_conversation(address, prepared.pieces())
    imported_seconds = time.perf_counter() - begin
    before = trouble(database_url)
    crowd = asyncio.run(_act(address, prepared.conversation_id, users, think, seed))
    time.sleep(1.1)  # what a session noticed, it reports a second later
    after = trouble(database_url)
    compared = asyncio.run(compare(database_url, [prepared.conversation_id], _counters()))
    counts = crowd.counts
    return VotingReport(
        conversation_id=prepared.conversation_id,
        users=users,
        think=think,
        imported_seconds=imported_seconds,
        seconds=crowd.seconds,
        calls_per_second=sum(map(len, crowd.latencies.values())) / crowd.seconds,
        latencies=[_latencies(kind, taken) for kind, taken in crowd.latencies.items()],
        failures=dict(crowd.failures),
        deadlocks=after.deadlocks - before.deadlocks,
        expected=[
            opinions + len(crowd.authors),
            votes + crowd.votes + len(crowd.authors),
            prepared.people + len(crowd.voters | {*crowd.authors}),
        ],
        counted=[counts.opinion_count, counts.vote_count, counts.participant_count],
        differing=compared.found,
    )


class _Crowd:
    """What all people did, as they were answered."""

    def __init__(self) -> None:
        self.latencies: dict[Kind, list[float]] = {"vote": [], "opinion": [], "listing": []}
        self.failures: Counter[str] = Counter()
        self.voters: set[str] = set()
        self.authors: list[str] = []  # one an opinion
        self.votes = 0
        self.seconds = 0.0
        self.counts = resources.ConversationCounts()


async def _act(address: str, conversation_id: str, users: int, think: bool, seed: int) -> _Crowd:
    crowd = _Crowd()
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(min(users, _CHANNELS))]
    stubs: list[VotingServiceAsyncStub] = [VotingServiceStub(channel) for channel in channels]
    try:
        people = [
            _Person(crowd, stubs[n % len(stubs)], conversation_id, think, random.Random(f"{seed} {n}"))  # noqa: S311
            for n in range(users)
        ]
        begin = time.perf_counter()
        with progress(f"{users:,} people", users) as advance:
            for person in asyncio.as_completed([person.act() for person in people]):
                await person
                advance(1)
        crowd.seconds = time.perf_counter() - begin
        get = messages.GetConversationRequest(conversation_id=conversation_id)
        crowd.counts = (await stubs[0].GetConversation(get, timeout=_SECONDS)).conversation.counts
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
    return crowd


class _Person:
    """Writes opinions, and votes on those of others out of what the listings show."""

    def __init__(
        self, crowd: _Crowd, stub: "VotingServiceAsyncStub", conversation_id: str, think: bool, chance: random.Random
    ) -> None:
        self._crowd = crowd
        self._stub = stub
        self._conversation_id = conversation_id
        self._think = think
        self._chance = chance
        self._user_id = str(uuid.uuid4())
        self._voted: set[str] = set()

    async def act(self) -> None:
        opinions, votes = self._chance.randint(*OPINIONS_EACH), self._chance.randint(*VOTES_EACH)
        plan = [self._write] * opinions + [self._look_and_vote] * votes
        self._chance.shuffle(plan)
        await self._pause()  # not all at the same moment
        for do in plan:
            await do()
            await self._pause()

    async def _write(self) -> None:
        request = messages.CreateOpinionRequest(
            conversation_id=self._conversation_id,
            author_id=self._user_id,
            body=f"It should be open at night, at least {self._chance.randint(1, 7)} days a week",
            request_id=str(uuid.uuid4()),
        )
        answer = await self._call("opinion", self._stub.CreateOpinion, request)
        if answer is not None:
            self._crowd.authors.append(self._user_id)
            if answer.author_vote_pending:
                self._crowd.failures["an author's vote that came later"] += 1

    async def _look_and_vote(self) -> None:
        listing = messages.ListOpinionsRequest(
            conversation_id=self._conversation_id, order=self._chance.choice(_ORDERS)
        )
        page = await self._call("listing", self._stub.ListOpinions, listing)
        if page is None:
            return
        others = [o.opinion_id for o in page.opinions if o.author_id != self._user_id]
        new = [opinion_id for opinion_id in others if opinion_id not in self._voted]
        if not new:
            return
        await self._pause()
        opinion_id = self._chance.choice(new)
        self._voted.add(opinion_id)
        vote = messages.CastVoteRequest(
            conversation_id=self._conversation_id,
            opinion_id=opinion_id,
            user_id=self._user_id,
            vote=self._chance.choice(_CHOICES),
            request_id=str(uuid.uuid4()),
        )
        if await self._call("vote", self._stub.CastVote, vote) is not None:
            self._crowd.votes += 1
            self._crowd.voters.add(self._user_id)

    async def _call(self, kind: Kind, method: Any, request: Any) -> Any:
        """The answer; None if it failed, which is counted."""
        begin = time.perf_counter()
        try:
            answer = await method(request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            self._crowd.failures[f"{kind}: {reason(error)}"] += 1
            return None
        self._crowd.latencies[kind].append(time.perf_counter() - begin)
        return answer

    async def _pause(self) -> None:
        if self._think:
            await asyncio.sleep(self._chance.uniform(*THINK_SECONDS))


def _counters() -> list[str]:
    from libs.data.catalog.voting import VOTING_COUNTERS

    return [counter.name for counter in VOTING_COUNTERS]


def _latencies(kind: Kind, seconds: list[float]) -> Latencies:
    cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [float("nan")] * 99
    return Latencies(kind=kind, calls=len(seconds), p50_ms=cuts[49] * 1e3, p95_ms=cuts[94] * 1e3, p99_ms=cuts[98] * 1e3)


def show(report: VotingReport) -> None:
    table = Table("", "calls", "p50 ms", "p95 ms", "p99 ms", "p95 under", "", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for taken in report.latencies:
        verdict = ("[green]met[/]" if taken.met else "[red]short[/]") if report.think else ""
        bar = f"{BARS[taken.kind]} ms" if report.think else ""
        numbers = (f"{ms:.1f}" for ms in (taken.p50_ms, taken.p95_ms, taken.p99_ms))
        table.add_row(taken.kind, f"{taken.calls:,}", *numbers, bar, verdict)
    console.print(table)
    print_facts(
        (
            ("conversation", report.conversation_id),
            ("imported in", f"{report.imported_seconds:.1f} s"),
            ("people", f"{report.users:,}, who {'think' if report.think else 'do not think'} between calls"),
            ("calls/s", f"{report.calls_per_second:,.0f} for {report.seconds:.1f} s"),
            ("opinions, votes, participants by the answers", _in_words(report.expected)),
            ("… by the conversation", _in_words(report.counted)),
            ("counters that are not their rows", f"{report.differing:,}"),
            ("failed calls, timeouts and lock errors included", failures_in_words(report.failures)),
            ("deadlocks", str(report.deadlocks)),
        )
    )
    console.print("[green]every count equals its rows[/]" if report.complete else "[red]not as it should be[/]")


def _in_words(numbers: list[int]) -> str:
    return ", ".join(f"{n:,}" for n in numbers)
