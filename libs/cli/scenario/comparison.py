"""Petitions and other counts by every account of them."""

from typing import Self

from pydantic import BaseModel


class Comparison(BaseModel):
    """One petition by every account.

    Args:
        answered: accepted less withdrawn, as the callers were told.
        aggregator: the aggregator's count, asked to be at least as new as the last commit told of.
        counter, rows: of one snapshot.
        crossed, reversed: how often thresholds were, as answered and as recorded.
        disagreements: empty when all is well.
    """

    petition_id: str
    title: str
    answered: int
    aggregator: int
    counter: int
    rows: int
    crossed_answered: int
    crossed_recorded: int
    reversed_answered: int
    reversed_recorded: int
    disagreements: list[str]


class CountComparison(BaseModel):
    """A count of limited goods, or of a conversation, by every account; the same as of a petition."""

    what: str
    answered: int
    aggregator: int
    counter: int
    rows: int
    disagreements: list[str] = []

    def judged(self) -> Self:
        """With what differs from the answers said in words."""
        for name in ("aggregator", "counter", "rows"):
            if (said := getattr(self, name)) != self.answered:
                self.disagreements.append(f"the {name} say{'' if name == 'rows' else 's'} {said}")
        return self
