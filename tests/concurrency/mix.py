"""What a caller does next, drawn from a seed: the same seed, the same requests (not the same interleaving)."""

import random
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tally.petition.v1 import petition_service_pb2 as messages

Action = Literal["sign", "again", "withdraw", "batch", "stream", "cancel", "hurry"]

# Everything a caller can do to one petition, and to many at a time.
EVERYTHING: dict[Action, float] = {"sign": 8, "again": 2, "withdraw": 3, "batch": 1, "stream": 1}
LIVELY: dict[Action, float] = {"sign": 16, "again": 2, "withdraw": 3, "batch": 1, "stream": 1}
IMPATIENT: dict[Action, float] = {"sign": 4, "cancel": 6, "hurry": 6, "again": 2, "withdraw": 1, "batch": 1}
UNARY: dict[Action, float] = {"sign": 8, "again": 2, "withdraw": 6}
CROSSING: dict[Action, float] = {"batch": 6, "stream": 1, "sign": 2, "withdraw": 1}

BAD = (("user_id", "nobody"), ("user_id", "' OR true --"), ("region_code", "DE\x00BY"), ("region_code", "x" * 33))
REGIONS = ("", "", "DE-BY", "DE-BE", "FR-75", "IT-25")


@dataclass(frozen=True, slots=True)
class Operation:
    """One call to make; `requests` are the items of a batch or stream, otherwise a single one."""

    action: Action
    requests: Sequence[messages.CoSignRequest | messages.WithdrawCoSignRequest]


class Mix:
    """The operations of one caller.

    Args:
        seed: names the caller, and with the run's seed everything it does.
        users: how many different users all callers together draw from, so that they get in each other's way; 0 for a new
            user a signature.
        weights: how often each action comes, relative to the others.
        items: at most so many in a batch or stream.
    """

    def __init__(
        self, seed: str, petition_ids: Sequence[str], users: int, weights: Mapping[Action, float], items: int
    ) -> None:
        self._random = random.Random(seed)
        self._petition_ids = petition_ids
        self._users = users
        self._actions = list(weights)
        self._weights = list(weights.values())
        self._items = items
        self._signed: deque[messages.CoSignRequest] = deque(maxlen=1_000)

    def next(self) -> Operation:
        (action,) = self._random.choices(self._actions, self._weights)
        if action == "again" and self._signed:
            return Operation(action, [self._random.choice(self._signed)])
        if action == "withdraw" and (self._signed or self._users):
            return Operation(action, [self._withdrawal()])
        if action in ("batch", "stream"):
            return Operation(action, [self._item() for _ in range(self._random.randint(2, self._items))])
        return Operation("sign" if action in ("again", "withdraw") else action, [self._signature()])

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def pause(self, most: float) -> float:
        return self._random.uniform(0, most)

    def _item(self) -> messages.CoSignRequest:
        """One in twenty is bad, and must not disturb the others."""
        signature = self._signature()
        if self.chance(0.05):
            self._signed.pop()
            field, value = self._random.choice(BAD)
            setattr(signature, field, value)
        return signature

    def _signature(self) -> messages.CoSignRequest:
        user = pool_user(self._random.randrange(self._users)) if self._users else self._id()
        request = messages.CoSignRequest(
            petition_id=self._random.choice(self._petition_ids),
            user_id=user,
            region_code=self._random.choice(REGIONS),
            request_id=self._id(),
        )
        self._signed.append(request)
        return request

    def _withdrawal(self) -> messages.WithdrawCoSignRequest:
        if self._signed and (not self._users or self.chance(0.5)):
            signed = self._random.choice(self._signed)
            petition_id, user_id = signed.petition_id, signed.user_id
        else:
            petition_id = self._random.choice(self._petition_ids)
            user_id = pool_user(self._random.randrange(self._users))
        return messages.WithdrawCoSignRequest(petition_id=petition_id, user_id=user_id, request_id=self._id())

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def pool_user(number: int) -> str:
    return str(uuid.UUID(int=(0x7A11 << 112) | number, version=4))
