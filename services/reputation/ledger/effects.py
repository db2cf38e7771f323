"""What raises and lowers a score, by how much, and how much of it counts in a day: all of it, in this table.

Numbers are hundredths of a point. docs/reputation.md shows the same table.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# A better rating raises a score, a worse one lowers it.
BY_STARS: Mapping[int, int] = {5: 1_00, 4: 50, 3: 0, 2: -1_00, 1: -2_00}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a type of event does to the score.

    Args:
        impact: of one event; by stars for ratings; None where whoever records it says.
        low, high: within which what the events of one user and day add up to counts.
        source: the event of the stream it comes from, and whose ledger it goes to; empty where somebody records it.
    """

    impact: int | Mapping[int, int] | None
    low: int
    high: int
    source: str = ""


EFFECTS: Mapping[str, Effect] = {
    "food_shared": Effect(1_00, 0, 10_00, "exchange.completed, the giver"),
    "food_claimed": Effect(50, 0, 5_00, "exchange.completed, the receiver"),
    "food_rated": Effect(BY_STARS, -10_00, 10_00, "exchange.rated, the giver if rated"),
    "recipient_rated": Effect(BY_STARS, -10_00, 10_00, "exchange.rated, the receiver if rated"),
    "claim_expired": Effect(-2_00, -10_00, 0, "exchange.expired, the receiver"),
    "petition_escalated": Effect(2_00, 0, 10_00, "petition.escalated, the submitter"),
    "petition_escalation_reversed": Effect(-2_00, -10_00, 0, "petition.escalation_reversed, the submitter"),
    "opinion_accepted": Effect(50, 0, 5_00, "opinion.moderated to accepted, the author"),
    "opinion_acceptance_withdrawn": Effect(-50, -5_00, 0, "opinion.moderated from accepted, the author"),
    "opinion_hidden": Effect(-1_00, -5_00, 0, "opinion.moderated from visible to not, the author"),
    "opinion_restored": Effect(1_00, 0, 5_00, "opinion.moderated from not visible to visible, the author"),
    "incident_reported": Effect(None, -20_00, 0),
    "dispute_resolved": Effect(None, 0, 10_00),
    "community_contribution": Effect(None, 0, 10_00),
}


def is_capped(event_type: str) -> bool:
    """Whether days have a cap for it; other types count in full."""
    return event_type in EFFECTS


def impact_of(event_type: str, stars: int | None = None) -> int:
    """The impact of an event that comes from the stream."""
    impact = EFFECTS[event_type].impact
    if isinstance(impact, Mapping):
        assert stars is not None, f"{event_type} goes by stars"
        return impact[stars]
    assert impact is not None, f"who records {event_type} says its impact"
    return impact


def counted(event_type: str, day_sum: int, impact: int) -> int:
    """What an impact counts for, added to a day whose events of its type add up to `day_sum`; negative to take one away.

    What a day's events count for together is their sum within the cap, so it does not depend on their order.
    """
    effect = EFFECTS.get(event_type)
    if effect is None:
        return impact
    return _within(effect, day_sum + impact) - _within(effect, day_sum)


def _within(effect: Effect, total: int) -> int:
    return max(effect.low, min(effect.high, total))
