"""What happens to each command, decided without any input or output: under the locks, in order of arrival."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.data.catalog.claims import FOOD_STOCK, PORTIONS_CLAIMED, PORTIONS_HELD
from libs.data.errors import TallyError
from libs.data.stock import Shelf
from services.claims.exchanges.errors import (
    ADVANCES,
    AlreadyClaimed,
    ExchangeNotFound,
    FoodPostClosed,
    FoodPostNotFound,
    HoldExpired,
    NotAParty,
    OutOfStock,
    OwnFoodPost,
)
from services.claims.exchanges.model import (
    ACTIVE,
    Advance,
    Advanced,
    ClaimFood,
    Command,
    Exchange,
    Expire,
    PostStatus,
    Status,
    Step,
)

# None: nothing was left to expire.
Outcome = Advanced | TallyError | None
Rows = Mapping[UUID, Mapping[str, Any]]

# Where the portions of an exchange are while it has this status.
_WHERE = {Status.PENDING: PORTIONS_HELD, Status.CONFIRMED: PORTIONS_CLAIMED}


@dataclass(slots=True)
class Seen:
    """What is stored about the exchanges of a batch, read under the locks of their posts.

    Args:
        exchanges: those that are named, those of users who claim, and those of their posts whose hold is over.
        steps: all steps of these.
    """

    exchanges: dict[UUID, Exchange] = field(default_factory=dict)
    steps: dict[UUID, dict[Status, Step]] = field(default_factory=dict)


@dataclass(slots=True)
class Decision:
    """What to answer, and what to write so that the answers are true."""

    outcomes: list[Outcome]
    shelf: Shelf
    created: list[Exchange]
    changed: list[Exchange]
    steps: list[Step]

    @property
    def completed(self) -> dict[tuple[UUID], int]:
        """How many exchanges of each post were completed."""
        completed: dict[tuple[UUID], int] = defaultdict(int)
        for step in self.steps:
            if step.exchange.status is Status.COMPLETED:
                completed[(step.exchange.food_post_id,)] += 1
        return completed


class Desk:
    """Where portions are handed out and come back, while a batch is being decided."""

    def __init__(self, posts: Rows, seen: Seen, hold: timedelta) -> None:
        self.shelf = Shelf(FOOD_STOCK, posts)
        self.created: list[Exchange] = []
        self.changed: dict[UUID, Exchange] = {}
        self.steps: list[Step] = []
        self._posts = posts
        self._seen = seen
        self._hold = hold
        # By post and receiver, and by post those whose hold is over: a batch is not searched for each of its commands.
        self._theirs: dict[tuple[UUID, UUID], list[Exchange]] = defaultdict(list)
        self._overdue: dict[UUID, list[Exchange]] = defaultdict(list)
        for exchange in seen.exchanges.values():
            self._theirs[exchange.food_post_id, exchange.receiver_id].append(exchange)
            if self._is_overdue(exchange):
                self._overdue[exchange.food_post_id].append(exchange)

    def claim(self, command: ClaimFood) -> Advanced | TallyError:
        post = self._posts.get(command.food_post_id)
        if post is None:
            return FoodPostNotFound(command.food_post_id)
        theirs = self._theirs[command.food_post_id, command.user_id]
        for exchange in theirs:
            step = self._seen.steps[exchange.exchange_id][Status.PENDING]
            if step.request_id == command.request_id:
                return Advanced(step, replayed=True)
        if post["status"] == PostStatus.CLOSED:
            return FoodPostClosed(command.food_post_id)
        if post["giver_id"] == command.user_id:
            return OwnFoodPost(command.food_post_id)
        self._expire_all(theirs)
        for exchange in theirs:
            if exchange.status in ACTIVE:
                return AlreadyClaimed(exchange)
        if command.portions > self.shelf.remaining(command.food_post_id):
            self._expire_all(self._overdue.pop(command.food_post_id, ()))
        if not self.shelf.take(command.food_post_id, command.portions, PORTIONS_HELD):
            return OutOfStock(command.food_post_id, self.shelf.remaining(command.food_post_id))
        return Advanced(self._create(command, post["giver_id"]))

    def advance(self, command: Advance) -> Advanced | TallyError:
        exchange = self._seen.exchanges.get(command.exchange_id)
        if exchange is None:
            return ExchangeNotFound(command.exchange_id)
        if command.actor_id not in (exchange.giver_id, exchange.receiver_id):
            return NotAParty.of_exchange(command.exchange_id)
        step = self._seen.steps[command.exchange_id].get(command.to)
        if step is not None and step.request_id == command.request_id:
            return Advanced(step, replayed=True)
        self.expire(exchange)
        if exchange.status is Status.EXPIRED:
            return HoldExpired(exchange)
        allowed, refusal = ADVANCES[command.to]
        if exchange.status not in allowed:
            return refusal(exchange)
        source, target = _WHERE[exchange.status], _WHERE.get(command.to)
        if command.to is Status.CANCELLED:
            self.shelf.put_back(exchange.food_post_id, exchange.portions, source)
        elif target is not None:
            self.shelf.move(exchange.food_post_id, exchange.portions, source, target)
        return Advanced(self._enter(exchange, command.to, command.actor_id, command.request_id))

    def expire(self, exchange: Exchange) -> Step | None:
        """Ends a hold whose time is over; the portions go back."""
        if not self._is_overdue(exchange):
            return None
        self.shelf.put_back(exchange.food_post_id, exchange.portions, PORTIONS_HELD)
        return self._enter(exchange, Status.EXPIRED, None, None)

    def _expire_all(self, exchanges: Iterable[Exchange]) -> None:
        for exchange in exchanges:
            self.expire(exchange)

    def _is_overdue(self, exchange: Exchange) -> bool:
        return exchange.status is Status.PENDING and exchange.hold_expire_time <= self._now(exchange.food_post_id)

    def _create(self, command: ClaimFood, giver_id: UUID) -> Step:
        now = self._now(command.food_post_id)
        exchange = Exchange(
            command.exchange_id,
            command.food_post_id,
            giver_id,
            command.user_id,
            command.portions,
            Status.PENDING,
            now + self._hold,
            now,
            now,
        )
        self.created.append(exchange)
        self._seen.exchanges[exchange.exchange_id] = exchange
        self._theirs[command.food_post_id, command.user_id].append(exchange)
        return self._note(exchange, command.user_id, command.request_id)

    def _enter(self, exchange: Exchange, status: Status, actor_id: UUID | None, request_id: UUID | None) -> Step:
        exchange.status, exchange.status_time = status, self._now(exchange.food_post_id)
        self.changed[exchange.exchange_id] = exchange
        return self._note(exchange, actor_id, request_id)

    def _note(self, exchange: Exchange, actor_id: UUID | None, request_id: UUID | None) -> Step:
        step = Step(replace(exchange), actor_id, request_id)
        self._seen.steps.setdefault(exchange.exchange_id, {})[exchange.status] = step
        self.steps.append(step)
        return step

    def _now(self, food_post_id: UUID) -> datetime:
        now: datetime = self._posts[food_post_id]["locked_time"]
        return now


def decide(posts: Rows, seen: Seen, commands: Sequence[Command], hold: timedelta) -> Decision:
    """Decides each command as if it came alone, in order; later ones see what earlier ones did.

    Args:
        posts: the locked rows of the food posts that exist.
        seen: consumed; it is brought forward as commands are decided.
        hold: how long a claim is held for.
    """
    desk = Desk(posts, seen, hold)
    outcomes: list[Outcome] = []
    for command in commands:
        if isinstance(command, ClaimFood):
            outcomes.append(desk.claim(command))
        elif isinstance(command, Advance):
            outcomes.append(desk.advance(command))
        else:
            outcomes.append(_expire(desk, seen, command))
    return Decision(outcomes, desk.shelf, desk.created, list(desk.changed.values()), desk.steps)


def _expire(desk: Desk, seen: Seen, command: Expire) -> Advanced | None:
    exchange = seen.exchanges.get(command.exchange_id)
    step = desk.expire(exchange) if exchange is not None else None
    return None if step is None else Advanced(step)
