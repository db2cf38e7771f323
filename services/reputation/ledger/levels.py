"""How far a user is trusted, what that allows, and how levels rise and fall. Scores are hundredths of a point."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

# How long a level is kept once the score is too low for it.
GRACE = timedelta(days=7)


class TrustLevel(IntEnum):
    """In ascending order; numbers are those of the API."""

    RESTRICTED = 1
    LIMITED = 2
    DEVELOPING = 3
    TRUSTED = 4
    EXEMPLARY = 5

    @property
    def word(self) -> str:
        """As stored."""
        return self.name.lower()

    @classmethod
    def of_word(cls, word: str) -> "TrustLevel":
        return cls[word.upper()]


# The lowest score of each level.
THRESHOLDS = {
    TrustLevel.RESTRICTED: 0,
    TrustLevel.LIMITED: 40_00,
    TrustLevel.DEVELOPING: 60_00,
    TrustLevel.TRUSTED: 80_00,
    TrustLevel.EXEMPLARY: 90_00,
}


@dataclass(frozen=True, slots=True)
class Allowances:
    """What a level allows.

    Args:
        max_active_claims: holds of food at the same time.
    """

    max_active_claims: int
    may_share_food: bool
    may_create_groups: bool
    may_moderate: bool


ALLOWANCES = {
    TrustLevel.RESTRICTED: Allowances(1, may_share_food=False, may_create_groups=False, may_moderate=False),
    TrustLevel.LIMITED: Allowances(2, may_share_food=True, may_create_groups=False, may_moderate=False),
    TrustLevel.DEVELOPING: Allowances(3, may_share_food=True, may_create_groups=True, may_moderate=False),
    TrustLevel.TRUSTED: Allowances(5, may_share_food=True, may_create_groups=True, may_moderate=True),
    TrustLevel.EXEMPLARY: Allowances(10, may_share_food=True, may_create_groups=True, may_moderate=True),
}


def level_of(score: int) -> TrustLevel:
    """The level that a score is high enough for."""
    return max(level for level, lowest in THRESHOLDS.items() if score >= lowest)


@dataclass(frozen=True, slots=True)
class Standing:
    """A level that a user has, and when it falls unless the score rises again; None while it is high enough."""

    level: TrustLevel
    demotion_time: datetime | None = None

    def at(self, now: datetime, score: int) -> "Standing":
        """What holds at a moment: once the time of grace is over, the level that the score is high enough for."""
        if self.demotion_time is None or self.demotion_time > now:
            return self
        return Standing(level_of(score))

    def after(self, now: datetime, score: int) -> "Standing":
        """What holds once the score has become this: a rise at once, a fall when the time of grace is over.

        Below the lowest threshold there is none.
        """
        deserved = level_of(score)
        if deserved >= self.level or deserved is TrustLevel.RESTRICTED:
            return Standing(deserved)
        return Standing(self.level, self.demotion_time or now + GRACE)
