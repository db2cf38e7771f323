"""What the aggregator measures of itself."""

import weakref
from typing import TYPE_CHECKING

from libs.telemetry.instruments import counter, gauge

if TYPE_CHECKING:
    from libs.data.follower import Follower
    from services.aggregator.memory import Memory

HITS = counter("tally.aggregator.hits", "{counter}", "Counters answered from memory.")
MISSES = counter("tally.aggregator.misses", "{counter}", "Counters read from the database for the call that asked.")
LOADS = counter("tally.aggregator.loads", "{statement}", "Statements that read counters from the database.")
EVENTS = counter("tally.aggregator.events", "{event}", "Events read from the stream.")

_memories: "weakref.WeakSet[Memory]" = weakref.WeakSet()
_followers: "weakref.WeakSet[Follower]" = weakref.WeakSet()


def observe(memory: "Memory", follower: "Follower") -> None:
    """Shows this memory and this follower for as long as they live."""
    _memories.add(memory)
    _followers.add(follower)


gauge(
    "tally.aggregator.entries",
    "{counter}",
    "Counters held in memory.",
    lambda: float(sum(len(memory) for memory in list(_memories))),
)
gauge(
    "tally.aggregator.lag",
    "s",
    "Age of what is held: time since the last moment of which every commit is known.",
    lambda: max((follower.lag_seconds for follower in list(_followers)), default=0.0),
)


class Asked:
    """Hits and misses between two flushes: recording each by itself would cost as much as answering it."""

    __slots__ = ("hits", "misses")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0

    def flush(self) -> None:
        if self.hits:
            HITS.add(self.hits)
        if self.misses:
            MISSES.add(self.misses)
        self.hits = self.misses = 0
