"""Who has what of one food post and one coupon, kept as simply as can be: what any sequence of commands must come to."""

from dataclasses import dataclass, field


@dataclass
class Held:
    """Portions of one user."""

    user: int
    portions: int
    status: str = "pending"
    over: bool = False

    @property
    def active(self) -> bool:
        return self.status in ("pending", "confirmed")


@dataclass
class FoodModel:
    """A food post; exchanges are numbered in the order they were made. Methods answer a status, or a reason."""

    portions: int
    closed: bool = False
    exchanges: list[Held] = field(default_factory=list)

    def of(self, *statuses: str) -> int:
        return sum(e.portions for e in self.exchanges if e.status in statuses)

    @property
    def remaining(self) -> int:
        return self.portions - self.of("pending", "confirmed", "completed")

    def claim(self, user: int, portions: int) -> str:
        theirs = [e for e in self.exchanges if e.user == user]
        if self.closed:
            return "FOOD_POST_CLOSED"
        self.end(theirs)
        if any(e.active for e in theirs):
            return "ALREADY_CLAIMED"
        if portions > self.remaining:
            self.end(self.exchanges)
        if portions > self.remaining:
            return "OUT_OF_STOCK"
        self.exchanges.append(Held(user, portions))
        return "pending"

    def advance(self, number: int, to: str) -> str:
        exchange = self.exchanges[number]
        self.end([exchange])
        if exchange.status == "expired":
            return "HOLD_EXPIRED"
        allowed, refusal = {
            "confirmed": (("pending",), "EXCHANGE_NOT_PENDING"),
            "completed": (("confirmed",), "EXCHANGE_NOT_CONFIRMED"),
            "cancelled": (("pending", "confirmed"), "EXCHANGE_ENDED"),
        }[to]
        if exchange.status not in allowed:
            return refusal
        exchange.status = to
        return to

    def end(self, exchanges: list[Held]) -> int:
        """Ends those whose time is over; how many that were."""
        ended = [e for e in exchanges if e.over and e.status == "pending"]
        for exchange in ended:
            exchange.status = "expired"
        return len(ended)


@dataclass
class CouponModel:
    """A coupon: claimants in order of their ordinals, and everybody who ever waited, in order of their places."""

    amount: int
    most_waiting: int
    restocked: int = 0
    claimants: list[int] = field(default_factory=list)
    line: list[int] = field(default_factory=list)

    @property
    def waiting(self) -> list[int]:
        return [user for user in self.line if user not in self.claimants]

    @property
    def remaining(self) -> int:
        return self.amount + self.restocked - len(self.claimants)

    def claim(self, user: int) -> str:
        if user in self.claimants:
            return "ALREADY_CLAIMED"
        if not self.remaining:
            return "OUT_OF_STOCK"
        self.claimants.append(user)
        return "claimed"

    def join(self, user: int) -> str:
        if user in self.claimants:
            return "ALREADY_CLAIMED"
        if user in self.line:
            return "ALREADY_WAITING"
        if self.remaining:
            return self.claim(user)
        if len(self.waiting) >= self.most_waiting:
            return "WAITLIST_FULL"
        self.line.append(user)
        return "waits"

    def restock(self, amount: int) -> int:
        """How many of the line were served."""
        self.restocked += amount
        served = self.waiting[:amount]
        self.claimants += served
        return len(served)
