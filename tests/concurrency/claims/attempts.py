"""What claimants asked for and what they were answered."""

from dataclasses import dataclass, field
from typing import Literal

from tests.concurrency.history import Answered

Kind = Literal["claim", "join", "restock", "claim_food", "confirm", "complete", "cancel"]


@dataclass(frozen=True, slots=True)
class ClaimsAttempt(Answered):
    """One write about a coupon or a food post, alone or as an item of a batch, and its answer.

    Args:
        resource: the coupon's name, or the id of the food post where the request says it.
        user_id: who claims, joins or acts; nobody of a restock.
        units: of a restock or a claim of food.
        exchange_id: that the request is about.
        result: what was acknowledged: of a claim its ordinal and what was left; of a join "claim" or "place" and its number;
            of a restock the coupon's restocked, remaining, claimed and waiting ones and how many were served; otherwise the
            exchange's id, status and portions.
        told: the metadata of an error.
    """

    kind: Kind
    resource: str
    user_id: str
    request_id: str
    units: int
    exchange_id: str
    invoked: float
    answered: float
    code: str
    reason: str = ""
    result: tuple[str | int, ...] = ()
    replayed: bool = False
    token: str = ""
    message: str = ""
    told: dict[str, str] = field(default_factory=dict)

    @property
    def answer(self) -> tuple[object, ...]:
        return *self.result, self.token


ClaimsHistory = list[ClaimsAttempt]
