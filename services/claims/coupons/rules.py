"""What happens to each command, decided without any input or output: under the locks, in order of arrival."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.data.catalog.claims import COUPON_CLAIMS, COUPON_STOCK
from libs.data.errors import TallyError
from libs.data.stock import Shelf
from services.claims.coupons.errors import AlreadyClaimed, AlreadyWaiting, CouponNotFound, OutOfStock, WaitlistFull
from services.claims.coupons.model import Claim, Claimant, ClaimCoupon, Claimed, Command, Joined, JoinWaitlist, Place

Outcome = Claimed | Joined | TallyError
Rows = Mapping[str, Mapping[str, Any]]


@dataclass(slots=True)
class Seen:
    """What is stored about the users of a batch, read under the locks."""

    claims: dict[Claimant, Claim] = field(default_factory=dict)
    places: dict[Claimant, Place] = field(default_factory=dict)


@dataclass(slots=True)
class Decision:
    """What to answer, and what to write so that the answers are true."""

    outcomes: list[Outcome]
    shelf: Shelf
    claims: list[Claim]
    places: list[Place]

    @property
    def joined(self) -> dict[tuple[str], int]:
        """How many joined each coupon's waitlist."""
        joined: dict[tuple[str], int] = defaultdict(int)
        for place in self.places:
            joined[(place.coupon_name,)] += 1
        return joined


class Desk:
    """Where coupons are handed out, while a batch is being decided: a shelf, and a line before it."""

    def __init__(self, coupons: Rows, seen: Seen, most_waiting: int) -> None:
        self.shelf = Shelf(COUPON_STOCK, coupons)
        self.claims: list[Claim] = []
        self.places: list[Place] = []
        self._coupons = coupons
        self._seen = seen
        self._most_waiting = most_waiting
        self._waiting = {name: row["waiting_count"] for name, row in coupons.items()}
        self._last_position = {name: row["last_position"] for name, row in coupons.items()}

    def claim(self, command: ClaimCoupon) -> Claimed | TallyError:
        claim = self._seen.claims.get((command.coupon_name, command.user_id))
        if claim is None:
            made = self._hand_out(command)
            return OutOfStock(command.coupon_name) if made is None else Claimed(made)
        return Claimed(claim, replayed=True) if claim.request_id == command.request_id else AlreadyClaimed(claim)

    def join(self, command: JoinWaitlist) -> Joined | TallyError:
        who = (command.coupon_name, command.user_id)
        place, claim = self._seen.places.get(who), self._seen.claims.get(who)
        for stored in (place, claim):
            if stored is not None and stored.request_id == command.request_id:
                return Joined(stored, replayed=True)
        if claim is not None:
            return AlreadyClaimed(claim)
        if place is not None:
            return AlreadyWaiting(place)
        made = self._hand_out(command)
        return self._line_up(command) if made is None else Joined(made)

    def _hand_out(self, command: Command) -> Claim | None:
        name = command.coupon_name
        if not self.shelf.take(name, 1, COUPON_CLAIMS):
            return None
        claim = Claim(
            name,
            command.user_id,
            self.shelf.units(COUPON_CLAIMS, name),
            self.shelf.remaining(name),
            command.request_id,
            self._now(name),
        )
        self._seen.claims[name, command.user_id] = claim
        self.claims.append(claim)
        return claim

    def _line_up(self, command: JoinWaitlist) -> Joined | TallyError:
        name = command.coupon_name
        if self._waiting[name] >= self._most_waiting:
            return WaitlistFull(name, self._most_waiting)
        self._waiting[name] += 1
        self._last_position[name] += 1
        place = Place(name, command.user_id, self._last_position[name], command.request_id, self._now(name))
        self._seen.places[name, command.user_id] = place
        self.places.append(place)
        return Joined(place)

    def _now(self, name: str) -> datetime:
        now: datetime = self._coupons[name]["locked_time"]
        return now


def decide(coupons: Rows, seen: Seen, commands: Sequence[Command], most_waiting: int) -> Decision:
    """Decides each command as if it came alone, in order; later ones see what earlier ones did.

    Args:
        coupons: the locked rows of the coupons that exist.
        seen: consumed; it is brought forward as commands are decided.
        most_waiting: people that may wait for one coupon.
    """
    desk = Desk(coupons, seen, most_waiting)
    outcomes: list[Outcome] = []
    for command in commands:
        if command.coupon_name not in coupons:
            outcomes.append(CouponNotFound(command.coupon_name))
        elif isinstance(command, ClaimCoupon):
            outcomes.append(desk.claim(command))
        else:
            outcomes.append(desk.join(command))
    return Decision(outcomes, desk.shelf, desk.claims, desk.places)


def serve(coupon: Mapping[str, Any], amount: int, waiting: Sequence[Place]) -> tuple[Shelf, list[Claim]]:
    """Adds stock and hands it to those who wait, first come, first served.

    Args:
        coupon: the locked row.
        waiting: the first of the line, no more than `amount`.
    """
    name: str = coupon["name"]
    shelf = Shelf(COUPON_STOCK, {name: coupon})
    shelf.add(name, amount)
    claims = []
    for place in waiting:
        taken = shelf.take(name, 1, COUPON_CLAIMS)
        assert taken, "more were called than there is stock"
        ordinal, left = shelf.units(COUPON_CLAIMS, name), shelf.remaining(name)
        claims.append(Claim(name, place.user_id, ordinal, left, place.request_id, coupon["locked_time"]))
    return shelf, claims
