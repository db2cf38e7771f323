"""What a process of callers is told to do, and what it answers: one JSON document a line."""

import base64
from array import array
from collections import Counter
from typing import Literal

from pydantic import BaseModel

Method = Literal[
    "CoSign",
    "BatchCoSign",
    "WithdrawCoSign",
    "GetCoSignerCount",
    "GetCounter",
    "BatchGetCounters",
    "ClaimCoupon",
    "BatchClaimCoupon",
    "ListFoodPosts",
    "CastVote",
    "BatchCastVotes",
    "GetConversation",
    "ListOpinions",
    "ImportConversation",
    "GetReputation",
    "BatchGetReputations",
    "RecordReputationEvent",
    "ListGroups",
    "GetGroupActivity",
    "ListGroupActivity",
    "RefreshGroupActivity",
]


class Order(BaseModel):
    """Calls to make, one after the other by each caller, until the time is up or the calls are used up.

    Args:
        resources: petitions, coupons, users or groups, taken in turn by the calls; conversations, or opinions as
            `conversation/opinion`, or listings as `conversation/order/group`, or external ids of what is imported, or page
            tokens of a listing.
        seconds: how long to go on; 0 for as long as there are calls.
        calls: of the process, shared by its callers; 0 for as many as fit into the time.
        batch: items of one call, for the methods that take many.
        prepared: calls whose messages are made before the clock starts.
        deadline: of each call, in seconds.
        refusals: answers that count as given, by code and reason, such as `FAILED_PRECONDITION OUT_OF_STOCK`.
    """

    address: str
    method: Method
    resources: list[str]
    callers: int = 64
    channels: int = 4
    seconds: float = 0.0
    calls: int = 0
    batch: int = 1
    prepared: int = 0
    deadline: float = 30.0
    refusals: list[str] = []
    report_progress: bool = False


class Progress(BaseModel):
    """How many calls have ended since the last report."""

    calls: int


class Measurement(BaseModel):
    """What one process measured.

    Args:
        calls: that succeeded, or were refused as expected.
        items: signatures, claims, votes or counters they carried, refused ones left out.
        refused: calls and items that were refused as expected.
        failures: calls or items that failed, by code and reason.
        latencies: of the calls, in seconds: 32-bit floats, base64.
    """

    seconds: float
    calls: int
    items: int
    failures: dict[str, int]
    latencies: str
    refused: int = 0


class Outcome:
    """What a fleet measured, all processes together."""

    def __init__(self, parts: list[Measurement]) -> None:
        self.seconds = max(part.seconds for part in parts)
        self.calls = sum(part.calls for part in parts)
        self.items = sum(part.items for part in parts)
        self.refused = sum(part.refused for part in parts)
        self.failures: Counter[str] = Counter()
        latencies = array("f")
        for part in parts:
            self.failures.update(part.failures)
            latencies.frombytes(base64.b64decode(part.latencies))
        self.latencies = sorted(latencies)

    @property
    def call_rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds

    @property
    def item_rate(self) -> float:
        """Signatures, claims, votes or counters a second."""
        return self.items / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in seconds that this share of the calls did not exceed; nan where none succeeded."""
        if not self.latencies:
            return float("nan")
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def encode_latencies(latencies: list[float]) -> str:
    return base64.b64encode(array("f", latencies).tobytes()).decode()
