"""When a job that failed is tried again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """Exponential, with jitter, so that jobs that failed together do not come back together.

    Args:
        least, most: seconds; every pause is between them.
    """

    least: float = 30.0
    most: float = 600.0

    def pause(self, attempts: int) -> float:
        """Seconds before the next try, after so many attempts that failed (1 or more): up to twice as many each time."""
        longest = min(self.most, self.least * 2.0 ** min(attempts, 32))
        return random.uniform(max(self.least, longest / 2), longest)  # noqa: S311  # jitter
