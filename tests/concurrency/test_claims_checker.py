"""The checkers of claims find each kind of lie they are there to find."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.concurrency.claims import coupon_checker, food_checker
from tests.concurrency.claims.attempts import ClaimsAttempt, ClaimsHistory
from tests.concurrency.claims.stored_coupons import Claim, Place, Restocking, StoredCoupon
from tests.concurrency.claims.stored_food import Step, StoredExchange, StoredPost
from tests.concurrency.stored import Event

COUPON, POST = "coupon", "post"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def counted(kind: str, key: str, version: int, **counters: int) -> Event:
    values = {f"claims.{name}": {key: value} for name, value in counters.items()}
    return Event(version, f"{kind}.counted", version, {"counters": values})


def attempt(
    kind: str, user: int, at: float, result: tuple[str | int, ...], commit: int, **other: object
) -> ClaimsAttempt:
    """Acknowledged, unless it is said otherwise; of a coupon."""
    name, request = (f"user-{user}" if kind != "restock" else ""), f"{kind}-{user}"
    made = ClaimsAttempt(kind, COUPON, name, request, 2, "", at, at + 0.5, "OK", "", result, False, f"{commit:x}")  # type: ignore[arg-type]
    return replace(made, **other)  # type: ignore[arg-type]


def refusal(kind: str, user: int, at: float, reason: str, **told: str) -> ClaimsAttempt:
    made = attempt(kind, user, at, (), 0, code="FAILED_PRECONDITION", reason=reason, told=told, token="")
    return replace(made, request_id=f"refused {made.request_id}")


def exact_coupon() -> tuple[StoredCoupon, ClaimsHistory]:
    """Of one in stock user 1 gets it; 2 and 3 line up, two more come, both are served; then three come and 4 gets one."""
    coupon = StoredCoupon(COUPON, 1, 5, 2, 4, 0, 2, 6)
    coupon.claims = [
        Claim("user-1", 1, 0, "claim-1", 1),
        Claim("user-2", 2, 1, "join-2", 4),
        Claim("user-3", 3, 0, "join-3", 4),
        Claim("user-4", 4, 2, "claim-4", 6),
    ]
    coupon.places = [Place("user-2", 1, "join-2", 2, True), Place("user-3", 2, "join-3", 3, True)]
    coupon.restockings = [Restocking("restock-8", 4, 2, 0, 3, 0, 2), Restocking("restock-9", 5, 5, 3, 3, 0, 0)]
    coupon.events = [
        counted("coupon", COUPON, 0, coupon_remaining=1, coupon_claims=0),
        counted("coupon", COUPON, 1, coupon_remaining=0, coupon_claims=1),
        counted("coupon", COUPON, 2, coupon_waiting=1),
        counted("coupon", COUPON, 3, coupon_waiting=2),
        counted("coupon", COUPON, 4, coupon_remaining=0, coupon_claims=3, coupon_restocked=2, coupon_waiting=0),
        Event(4, "coupon.waiting_served", 4, {"user_id": "user-2", "ordinal": 2}),
        Event(4, "coupon.waiting_served", 4, {"user_id": "user-3", "ordinal": 3}),
        counted("coupon", COUPON, 5, coupon_remaining=3, coupon_claims=3, coupon_restocked=5, coupon_waiting=0),
        counted("coupon", COUPON, 6, coupon_remaining=2, coupon_claims=4, coupon_restocked=5, coupon_waiting=0),
    ]
    return coupon, [
        attempt("claim", 1, 1.0, (1, 0), 1),
        attempt("join", 2, 2.0, ("place", 1), 2),
        attempt("join", 3, 3.0, ("place", 2), 3),
        attempt("restock", 8, 4.0, (2, 0, 3, 0, 2), 4),
        attempt("restock", 9, 5.0, (5, 3, 3, 0, 0), 5, units=3),
        attempt("claim", 4, 7.0, (4, 2), 6),
        attempt("claim", 4, 8.0, (4, 2), 6, replayed=True),
        refusal("claim", 1, 8.0, "ALREADY_CLAIMED", ordinal="1"),
        refusal("join", 2, 2.6, "ALREADY_WAITING", position="1"),
        refusal("claim", 5, 2.6, "OUT_OF_STOCK"),
        refusal("claim", 5, 5.7, "OUT_OF_STOCK"),  # 200 ms after stock came back
    ]


def test_an_exact_history_of_a_coupon_has_no_violation() -> None:
    coupon, history = exact_coupon()
    assert coupon_checker.violations({COUPON: coupon}, history) == []


CouponTamper = Callable[[StoredCoupon, ClaimsHistory], object]


def edit(row: object, columns: dict[str, object]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)


def set_coupon(**columns: object) -> CouponTamper:
    return lambda coupon, history: edit(coupon, columns)


def set_claim(place: int, **columns: object) -> CouponTamper:
    return lambda coupon, history: edit(coupon.claims[place], columns)


def set_answer(place: int, **fields: object) -> Callable[[object, ClaimsHistory], object]:
    return lambda stored, history: history.__setitem__(place, replace(history[place], **fields))  # type: ignore[arg-type]


def ask(made: ClaimsAttempt) -> Callable[[object, ClaimsHistory], object]:
    return lambda stored, history: history.append(made)


@pytest.mark.parametrize(
    ("tamper", "complaint"),
    [
        (set_coupon(remaining=3), "counts 3 remaining"),
        (set_coupon(claim_count=5), "counts 5 claimed"),
        (set_coupon(waiting=1), "counts 1 waiting"),
        (set_coupon(last_position=3), "counts 3 in line"),
        (set_coupon(version=7), "events up to 6"),
        (set_claim(3, ordinal=5), "given twice"),
        (set_claim(3, user_id="user-1"), "user user-1 has 2 claims"),
        (set_claim(3, request_id="claim-1"), "request claim-1 has 2 claims"),
        (set_claim(3, remaining=1), "left of 6"),
        (set_claim(3, xid=1), "2 claims of 1 at version 1"),
        (lambda c, h: setattr(c.places[1], "user_id", "user-2"), "has 2 places"),
        (lambda c, h: setattr(c.places[1], "served", False), "does not agree"),
        (lambda c, h: c.places.pop(), "served user-3 before nobody"),
        (lambda c, h: c.events.__setitem__(slice(5, 7), reversed(c.events[5:7])), "served user-3 before user-2"),
        (lambda c, h: c.events.pop(5), "says [0, 3, 0]"),
        (lambda c, h: c.events.pop(2), "version 3 of 2"),
        (lambda c, h: setattr(c.events[5], "xid", 9), "written by"),
        (lambda c, h: c.events[8].payload["counters"].pop("claims.coupon_remaining"), "says [3, 4, 0]"),
        (ask(attempt("claim", 9, 9.0, (5, 0), 9)), "acknowledged but not stored"),
        (set_answer(0, result=(2, 0)), "acknowledged ClaimsAttempt"),
        (set_answer(1, token="7"), "acknowledged ClaimsAttempt"),
        (set_answer(3, result=(2, 1, 3, 0, 2)), "acknowledged ClaimsAttempt"),
        (lambda c, h: h.pop(0), "never asked for"),
        (set_answer(0, code="UNAVAILABLE", reason="DATABASE_UNAVAILABLE"), "stored although refused"),
        (set_answer(3, units=3), "were added"),
        (set_answer(6, replayed=False), "first time more than once"),
        (set_answer(6, result=(4, 1)), "was answered"),
        (set_answer(0, invoked=9.0, answered=9.5), "was asked for after 4"),
        (set_answer(7, told={"ordinal": "2"}), "a claim of another request that there never was"),
        (set_answer(8, told={"position": "2"}), "a place of another request that there never was"),
        (ask(refusal("claim", 1, 9.0, "OUT_OF_STOCK")), "has a claim and was told"),
        (ask(refusal("claim", 5, 5.8, "OUT_OF_STOCK")), "which had stock"),
        (ask(replace(refusal("claim", 5, 9.0, "COUPON_NOT_FOUND"), code="NOT_FOUND")), "no such coupon"),
        (ask(replace(refusal("claim", 5, 9.0, "INTERNAL"), code="INTERNAL")), "a defect"),
        (ask(replace(refusal("claim", 5, 9.0, "OUT_OF_STOCK"), resource="elsewhere")), "answered but not stored"),
    ],
)
def test_a_tampered_history_of_a_coupon_is_found(tamper: CouponTamper, complaint: str) -> None:
    coupon, history = deepcopy(exact_coupon())
    tamper(coupon, history)
    found = coupon_checker.violations({COUPON: coupon}, history)
    assert any(complaint in line for line in found), found


def of_food(kind: str, user: int, exchange: str, status: str, commit: int, **other: object) -> ClaimsAttempt:
    """By a receiver, of two portions; acknowledged, unless it is said otherwise."""
    ids = (
        (POST, f"user-{user}", f"{kind}-{exchange}", 2, "")
        if kind == "claim_food"
        else ("", f"user-{user}", f"{kind}-{exchange}", 0, exchange)
    )
    made = ClaimsAttempt(kind, *ids, commit, commit + 0.5, "OK", "", (exchange, status, 2), False, f"{commit:x}")  # type: ignore[arg-type]
    return replace(made, **other)  # type: ignore[arg-type]


def step(status: str, user: int, exchange: str, xid: int) -> Step:
    kind = {status: kind for kind, status in food_checker.BRINGS_TO.items()}.get(status)
    if kind is None:
        return Step(status, "", "", xid, NOW + timedelta(seconds=100))
    return Step(status, f"user-{user}", f"{kind}-{exchange}", xid, NOW + timedelta(seconds=xid))


def exact_post() -> tuple[StoredPost, ClaimsHistory]:
    """Of five portions user 1 gets two in `a`, 2 two in `b`; `a` is completed, `b` cancelled; `c` of user 2 expires."""
    post = StoredPost(POST, 5, 3, 0, 2, 1, 7)
    lives = {"a": (1, [(1, "pending"), (3, "confirmed"), (4, "completed")])}
    lives |= {"b": (2, [(2, "pending"), (5, "cancelled")]), "c": (2, [(6, "pending"), (7, "expired")])}
    for name, (user, statuses) in lives.items():
        exchange = StoredExchange(name, f"user-{user}", 2, statuses[-1][1], NOW + timedelta(seconds=50))
        exchange.steps = [step(status, user, name, xid) for xid, status in statuses]
        post.exchanges[name] = exchange
    counts = [
        (5, 0, 0, 0),
        (3, 2, 0, 0),
        (1, 4, 0, 0),
        (1, 2, 2, 0),
        (1, 2, 2, 1),
        (3, 0, 2, 1),
        (1, 2, 2, 1),
        (3, 0, 2, 1),
    ]
    names = ("portions_remaining", "portions_held", "portions_claimed", "exchanges_completed")
    post.events = [
        counted("food_post", POST, version, **dict(zip(names, values, strict=True)))
        for version, values in enumerate(counts)
    ]
    return post, [
        of_food("claim_food", 1, "a", "pending", 1),
        of_food("claim_food", 2, "b", "pending", 2),
        of_food("confirm", 1, "a", "confirmed", 3),
        of_food("complete", 1, "a", "completed", 4),
        of_food("cancel", 2, "b", "cancelled", 5),
        of_food("claim_food", 2, "c", "pending", 6),
        of_food("cancel", 2, "b", "cancelled", 5, replayed=True, invoked=8.0, answered=8.5),
        said_no("confirm", 2, "c", "HOLD_EXPIRED"),
        said_no("claim_food", 1, "a", "ALREADY_CLAIMED", exchange_id="a"),
    ]


def said_no(kind: str, user: int, exchange: str, reason: str, **told: str) -> ClaimsAttempt:
    made = of_food(
        kind, user, exchange, "", 9, code="FAILED_PRECONDITION", reason=reason, told=told, result=(), token=""
    )
    return replace(made, request_id=f"refused {made.request_id}")


def test_an_exact_history_of_food_has_no_violation() -> None:
    post, history = exact_post()
    assert food_checker.violations({POST: post}, history) == []


FoodTamper = Callable[[StoredPost, ClaimsHistory], object]


def set_exchange(name: str, **columns: object) -> FoodTamper:
    return lambda post, history: edit(post.exchanges[name], columns)


@pytest.mark.parametrize(
    ("tamper", "complaint"),
    [
        (lambda p, h: setattr(p, "remaining", 4), "counts [4, 0, 2, 1]"),
        (lambda p, h: setattr(p, "version", 8), "events up to 7"),
        (set_exchange("a", status="confirmed"), "is confirmed after"),
        (
            lambda p, h: p.exchanges["b"].steps.append(step("expired", 2, "b", 7)),
            "after ('pending', 'cancelled', 'expired')",
        ),
        (set_exchange("a", hold_expire_time=NOW), "held until"),
        (set_exchange("c", hold_expire_time=NOW + timedelta(seconds=101)), "held until"),
        (lambda p, h: setattr(p.exchanges["c"].steps[1], "request_id", "x"), "or somebody did"),
        (lambda p, h: setattr(p.exchanges["b"].steps[1], "xid", 4), "steps [3, 0, 2, 1]"),
        (set_exchange("b", portions=4), "[-1, 6, 0] remaining"),
        (set_exchange("b", receiver_id="user-1"), "more than one exchange of {'user-1'} at version 2"),
        (lambda p, h: p.events.pop(4), "version 5 of 4"),
        (lambda p, h: setattr(p.events[4], "xid", 9), "says"),
        (lambda p, h: p.exchanges.pop("c"), "answered but not stored"),
        (lambda p, h: p.exchanges["b"].steps.pop(), "acknowledged but not stored"),
        (set_answer(0, token="9"), "acknowledged ClaimsAttempt"),
        (set_answer(0, result=("a", "pending", 3)), "acknowledged ClaimsAttempt"),
        (lambda p, h: h.pop(2), "never asked for"),
        (set_answer(2, code="UNAVAILABLE", reason="DATABASE_UNAVAILABLE"), "stored although refused"),
        (set_answer(0, units=3), "asked for ClaimsAttempt"),
        (set_answer(6, replayed=False), "first time more than once"),
        (set_answer(7, exchange_id="b"), "came to"),
        (set_answer(8, told={"exchange_id": "b"}), "an exchange that there never was"),
        (ask(replace(said_no("confirm", 2, "a", "NOT_A_PARTY"), code="PERMISSION_DENIED")), "it is another's"),
        (ask(replace(said_no("confirm", 2, "a", "INTERNAL"), code="INTERNAL")), "a defect"),
    ],
)
def test_a_tampered_history_of_food_is_found(tamper: FoodTamper, complaint: str) -> None:
    post, history = deepcopy(exact_post())
    tamper(post, history)
    found = food_checker.violations({POST: post}, history)
    assert any(complaint in line for line in found), found


def test_a_lost_answer_of_a_claim_may_be_stored_or_not() -> None:
    coupon, history = exact_coupon()
    history[0] = replace(history[0], code="UNAVAILABLE", reason="OUTCOME_UNKNOWN", result=(), token="")
    history.append(refusal("claim", 9, 9.0, ""))
    assert coupon_checker.violations({COUPON: coupon}, history) == []
