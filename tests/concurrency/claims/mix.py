"""What a claimant does next, drawn from a seed: the same seed, the same requests, as far as they do not follow from answers."""

import random
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tally.claims.v1 import coupon_service_pb2 as coupons
from tally.claims.v1 import exchange_service_pb2 as exchanges

from tests.concurrency.claims.attempts import ClaimsAttempt
from tests.concurrency.claims.calls import Request
from tests.concurrency.mix import pool_user

Action = Literal[
    "claim",
    "again",
    "join",
    "restock",
    "batch",
    "food",
    "confirm",
    "complete",
    "call_off",
    "quarrel",
    "vanish",
    "hurry",
]

# Everything claimants can do; stock comes back about as fast as it is asked for, so that coupons are now sold out, now not.
EVERYTHING: dict[Action, float] = {
    "claim": 8,
    "again": 2,
    "join": 3,
    "restock": 3,
    "batch": 1,
    "food": 5,
    "confirm": 2,
    "complete": 1,
    "call_off": 1,
    "quarrel": 1,
}
IMPATIENT: dict[Action, float] = EVERYTHING | {"vanish": 10, "hurry": 10}
COUPONS: dict[Action, float] = {"claim": 8, "again": 2, "join": 4, "restock": 2, "batch": 0.5}
FOOD: dict[Action, float] = {"food": 6, "again": 1, "confirm": 3, "complete": 1, "call_off": 2, "quarrel": 2}

MOST_UNITS = 5
# Gives all food, so that everybody knows whom to act for.
GIVER = "6a1e7b52-0f0c-4f5e-9d3a-2c4b8e7f9a10"


@dataclass(frozen=True, slots=True)
class Operation:
    """Calls to make at the same moment; of a batch, its items."""

    action: Action
    requests: Sequence[Request]


@dataclass(frozen=True, slots=True)
class _Hold:
    exchange_id: str
    receiver_id: str


class Mix:
    """The operations of one claimant.

    Args:
        seed: names the claimant, and with the run's seed everything it does.
        users: how many different ones all callers together draw from, so that they get in each other's way.
        items: at most so many in a batch.
    """

    def __init__(
        self,
        seed: str,
        coupon_names: Sequence[str],
        food_posts: Sequence[str],
        users: int,
        weights: Mapping[Action, float],
        items: int,
    ) -> None:
        self._random = random.Random(seed)
        self._coupon_names = coupon_names
        self._food_posts = food_posts
        self._users = users
        self._actions = list(weights)
        self._weights = list(weights.values())
        self._items = items
        self._asked: deque[Request] = deque(maxlen=200)
        self._held: deque[_Hold] = deque(maxlen=200)

    def learn(self, attempt: ClaimsAttempt) -> None:
        """An exchange can be advanced once its id is known."""
        if attempt.kind == "claim_food" and attempt.acknowledged and not attempt.replayed:
            self._held.append(_Hold(str(attempt.result[0]), attempt.user_id))

    def next(self) -> Operation:
        (action,) = self._random.choices(self._actions, self._weights)
        if action == "again" and self._asked:
            return Operation(action, [self._random.choice(self._asked)])
        requests = self._about_food(action) if self._food_posts else None
        if requests is None:
            number = self._random.randint(2, self._items) if action == "batch" else 1
            requests = [self._about_a_coupon(action) for _ in range(number)]
        self._asked.extend(requests)
        return Operation(action, requests)

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def pause(self, most: float) -> float:
        return self._random.uniform(0, most)

    def _about_food(self, action: Action) -> list[Request] | None:
        """None for what can only be done with coupons."""
        if action not in ("food", "confirm", "complete", "call_off", "quarrel") and self._coupon_names:
            return None
        if action in ("confirm", "complete", "call_off", "quarrel") and self._held:
            return self._steps(action, self._random.choice(self._held))
        return [
            exchanges.ClaimFoodRequest(
                food_post_id=self._random.choice(self._food_posts),
                user_id=self._user(),
                portions=self._random.randint(1, MOST_UNITS),
                request_id=self._id(),
            )
        ]

    def _steps(self, action: Action, hold: _Hold) -> list[Request]:
        one, other = self._random.sample([GIVER, hold.receiver_id], 2)
        ids = {"exchange_id": hold.exchange_id, "actor_id": one, "request_id": self._id()}
        if action == "confirm":
            return [exchanges.ConfirmExchangeRequest(**ids)]
        if action == "complete":
            return [exchanges.CompleteExchangeRequest(**ids)]
        calling_off = exchanges.CancelExchangeRequest(**ids)
        if action == "call_off":
            return [calling_off]
        both = {"exchange_id": hold.exchange_id, "actor_id": other}
        return [
            exchanges.ConfirmExchangeRequest(**both, request_id=self._id()),
            calling_off,
            exchanges.CancelExchangeRequest(**both, request_id=self._id()),
        ]

    def _about_a_coupon(self, action: Action) -> Request:
        if action == "restock":
            return coupons.RestockCouponRequest(
                coupon_name=self._coupon(), amount=self._random.randint(1, MOST_UNITS), request_id=self._id()
            )
        if action == "join":
            return coupons.JoinWaitlistRequest(coupon_name=self._coupon(), user_id=self._user(), request_id=self._id())
        return self._claim()

    def _claim(self) -> coupons.ClaimCouponRequest:
        return coupons.ClaimCouponRequest(coupon_name=self._coupon(), user_id=self._user(), request_id=self._id())

    def _coupon(self) -> str:
        return self._random.choice(self._coupon_names)

    def _user(self) -> str:
        return pool_user(self._random.randrange(self._users)) if self._users else self._id()

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
