"""What many concurrent callers are to do."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

# Who plays: signers of petitions, or claimants of coupons and food.
Players = Literal["signers", "claimants"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the callers of one process do.

    Args:
        targets: addresses of the service, used in turn.
        resources: ids of petitions, or names of coupons.
        food_posts: their ids; of claimants only.
        history: where the record goes.
        operations: of each caller; 0 for going on until told to stop.
        users: how many different ones all callers draw from; 0 for a new one a request.
        items: at most so many in a batch or stream.
        weights: how often each action of the players comes, relative to the others.
        persistence: share of writes without a clear answer that are repeated.
        keep_history: unset for more attempts than memory should hold.
    """

    targets: list[str]
    resources: list[str]
    seed: str
    history: str = ""
    callers: int = 64
    operations: int = 0
    users: int = 0
    items: int = 20
    weights: dict[Any, float] = field(default_factory=lambda: {"sign": 1.0})
    deadline: float = 60.0
    persistence: float = 1.0
    keep_history: bool = True
    players: Players = "signers"
    food_posts: list[str] = field(default_factory=list)

    def of(self, name: str, *targets: str) -> "Plan":
        """The same for other callers."""
        return replace(self, targets=list(targets), seed=f"{self.seed}/{name}")
