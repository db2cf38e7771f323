"""Replaying a ledger: what its events give, one after the other (G10). Pure."""

from typing import NamedTuple

from services.reputation.ledger.model import FIRST_SCORE, HIGHEST_SCORE, LOWEST_SCORE, Verification


class Link(NamedTuple):
    """What an event says of its place in the chain; scores in hundredths."""

    sequence: int
    counted_impact: int
    previous_score: int
    new_score: int


class Replay:
    """Goes through a ledger in order."""

    def __init__(self) -> None:
        self.score = FIRST_SCORE
        self.event_count = 0
        self.unbroken = True

    def take(self, link: Link) -> None:
        before, after = self.score, max(LOWEST_SCORE, min(HIGHEST_SCORE, self.score + link.counted_impact))
        self.event_count += 1
        self.unbroken &= (link.sequence, link.previous_score, link.new_score) == (self.event_count, before, after)
        self.score = after

    def verdict(self, stored_score: int, stored_events: int) -> Verification:
        """Compares what came of it with what is stored."""
        consistent = self.unbroken and (self.score, self.event_count) == (stored_score, stored_events)
        return Verification(stored_score, self.score, consistent, self.event_count)
