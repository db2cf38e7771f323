"""Compares what claimants were answered with what the database holds of coupons, and the database with itself."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from libs.data.catalog.claims import COUPON_CLAIMS, COUPON_REMAINING, COUPON_RESTOCKED, COUPON_WAITING
from libs.data.commit_tokens import encode_token
from tests.concurrency.claims.attempts import ClaimsAttempt, ClaimsHistory
from tests.concurrency.claims.stored_coupons import Claim, Place, Restocking, StoredCoupon, read_coupons
from tests.concurrency.judging import assert_none, complaints, defects, numbers_follow_time, one_answer_a_request

Rule = Callable[[StoredCoupon, ClaimsHistory], Iterator[str]]

KINDS = ("claim", "join", "restock")
# Seconds after which neither stock that came back nor a claim that was made is denied by the memory of another service.
MOST_BEHIND = 0.25


def assert_coupons_exact(url: str, names: Sequence[str], history: ClaimsHistory) -> dict[str, StoredCoupon]:
    """Fails with every violation found; answers what is stored, for what a test has to say beyond."""
    stored = read_coupons(url, names)
    about_coupons = [attempt for attempt in history if attempt.kind in KINDS]
    assert_none(violations(stored, about_coupons), about_coupons)
    return stored


def violations(stored: dict[str, StoredCoupon], history: ClaimsHistory) -> list[str]:
    return complaints(stored, history, RULES, lambda attempt: attempt.resource)


# -- the database with itself


def counters_equal_rows(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """G2, G4: stock and claims, the line and its places."""
    waiting = sum(not place.served for place in coupon.places)
    for name, counter, rows in (
        ("remaining", coupon.remaining, coupon.amount + coupon.restocked - len(coupon.claims)),
        ("claimed", coupon.claim_count, len(coupon.claims)),
        ("waiting", coupon.waiting, waiting),
        ("in line", coupon.last_position, len(coupon.places)),
    ):
        if counter != rows:
            yield f"counts {counter} {name}, rows {rows}"


def numbers_are_given_once(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """G2: ordinals and positions are 1, 2, 3, … without a gap or a repeat."""
    for name, numbers in (
        ("ordinals", [c.ordinal for c in coupon.claims]),
        ("positions", [p.position for p in coupon.places]),
    ):
        if numbers != list(range(1, len(numbers) + 1)):
            odd = [n for n, times in Counter([*numbers, *range(1, len(numbers) + 1)]).items() if times != 2]
            yield f"{name} missing or given twice: {odd[:10]}"


def nobody_has_two(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """G4, G5: a user one claim, a request one claim; whoever was served has one."""
    for user_id, times in Counter(c.user_id for c in coupon.claims).items():
        if times > 1:
            yield f"user {user_id} has {times} claims"
    for request_id, times in Counter(c.request_id for c in coupon.claims).items():
        if times > 1:
            yield f"request {request_id} has {times} claims"
    for user_id, times in Counter(p.user_id for p in coupon.places).items():
        if times > 1:
            yield f"user {user_id} has {times} places"
    claimants = {c.user_id for c in coupon.claims}
    for place in coupon.places:
        if place.served != (place.user_id in claimants):
            yield f"{place} does not agree with the claims"


def exact_at_every_commit(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """G2, G4, G7 at its source: one transaction a version; after each never more claims than stock, nobody waits beside
    stock, who waits longest is served first, and the events say what the rows say."""
    claims_of, joined_in = defaultdict(list), defaultdict(list)
    for claim in coupon.claims:
        claims_of[claim.xid].append(claim)
    for place in coupon.places:
        joined_in[place.xid].append(place.user_id)
    told = {
        COUPON_REMAINING.name: coupon.amount,
        COUPON_CLAIMS.name: 0,
        COUPON_RESTOCKED.name: 0,
        COUPON_WAITING.name: 0,
    }
    claims, line = 0, deque[str]()
    expected_version = 0
    for version, group in groupby(coupon.events, key=lambda event: event.version):
        events = list(group)
        if version != expected_version or len({event.xid for event in events}) != 1:
            yield f"version {version} of {expected_version}, written by { ({event.xid for event in events}) }"
        expected_version = version + 1
        for event in events:
            for name, values in event.payload.get("counters", {}).items():
                told[name] = values[coupon.name]
        stock, xid = coupon.amount + told[COUPON_RESTOCKED.name], events[0].xid
        made = claims_of.pop(xid, [])
        for claim in made:
            if claim.remaining != stock - claim.ordinal:
                yield f"{claim} was told {claim.remaining} left of {stock}"
        claims += len(made)
        line.extend(joined_in.pop(xid, []))
        for event in events:
            if event.kind == "coupon.waiting_served":
                first = line.popleft() if line else "nobody"
                if event.payload["user_id"] != first:
                    yield f"version {version} served {event.payload['user_id']} before {first}"
        if claims > stock:
            yield f"{claims} claims of {stock} at version {version}"
        if stock > claims and line:
            yield f"{len(line)} wait beside {stock - claims} left at version {version}"
        said = [told[c.name] for c in (COUPON_REMAINING, COUPON_CLAIMS, COUPON_WAITING)]
        if said != [stock - claims, claims, len(line)]:
            yield f"version {version} says {said} remaining, claimed and waiting; rows {[stock - claims, claims, len(line)]}"
    if expected_version != coupon.version + 1:
        yield f"version {coupon.version}, events up to {expected_version - 1}"
    if claims_of or joined_in:
        yield f"{len(claims_of)} transactions of claims and {len(joined_in)} of places without a version"


# -- the database with what callers were answered


def acknowledged_is_stored(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """G1: what was acknowledged is there, as it was acknowledged."""
    claims = {c.request_id: c for c in coupon.claims}
    places = {p.request_id: p for p in coupon.places}
    restockings = {r.request_id: r for r in coupon.restockings}
    for attempt in history:
        if not attempt.acknowledged:
            continue
        row: Claim | Place | Restocking | None
        if attempt.kind == "restock":
            row = restockings.get(attempt.request_id)
        elif attempt.kind == "join" and attempt.result[0] == "place":
            row = places.get(attempt.request_id)
        else:
            row = claims.get(attempt.request_id)
        if row is None:
            yield f"acknowledged but not stored: {attempt}"
        elif (*_answered(attempt, row), encode_token(row.xid)) != (attempt.user_id, *attempt.answer):
            yield f"stored {row}, acknowledged {attempt}"


def _answered(attempt: ClaimsAttempt, row: Claim | Place | Restocking) -> tuple[str | int, ...]:
    if isinstance(row, Restocking):
        return "", row.restocked, row.remaining, row.claims, row.waiting, row.served
    if isinstance(row, Place):
        return row.user_id, "place", row.position
    return row.user_id, *(("claim", row.ordinal) if attempt.kind == "join" else (row.ordinal, row.remaining))


def stored_was_attempted(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """G9: nothing is stored that nobody asked for, or that every answer to it denied."""
    attempts: dict[str, ClaimsHistory] = defaultdict(list)
    for attempt in history:
        attempts[attempt.request_id].append(attempt)
    rows: list[Claim | Place | Restocking] = [*coupon.claims, *coupon.places, *coupon.restockings]
    for row in rows:
        asked = attempts.get(row.request_id)
        if not asked:
            yield f"stored but never asked for: {row}"
        elif all(attempt.refused for attempt in asked):
            yield f"stored although refused ({[a.reason for a in asked]}): {row}"
        elif not isinstance(row, Restocking) and asked[0].user_id != row.user_id:
            yield f"stored {row}, asked for {asked[0]}"
    restocked = sum(attempts[r.request_id][0].units for r in coupon.restockings if attempts.get(r.request_id))
    if coupon.restocked != restocked:
        yield f"{coupon.restocked} were added, {restocked} asked for"


def a_request_has_one_answer(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """G5: the first time once, and the same answer every other time."""
    yield from one_answer_a_request(history)


def ordinals_follow_time(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """First come, first served: whoever asked after another was answered has the higher ordinal."""
    claimed = (a for a in history if a.kind == "claim" and a.acknowledged)
    # The claim of a request that waited came with the stock, not with the request.
    waited = {place.request_id for place in coupon.places}
    yield from numbers_follow_time((a for a in claimed if a.request_id not in waited), lambda a: int(a.result[0]))


def refusals_are_true(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """Who is told of an earlier claim or place has it; who has a claim is not told that there is none."""
    claims = {(c.user_id, str(c.ordinal)): c.request_id for c in coupon.claims}
    places = {(p.user_id, str(p.position)): p.request_id for p in coupon.places}
    has_since: dict[str, float] = {}
    for attempt in history:
        if attempt.acknowledged and attempt.kind == "claim":
            has_since[attempt.user_id] = min(attempt.answered, has_since.get(attempt.user_id, attempt.answered))
    for attempt in history:
        if attempt.reason == "ALREADY_CLAIMED":
            there = claims.get((attempt.user_id, attempt.told["ordinal"]), attempt.request_id)
            if there == attempt.request_id:
                yield f"told of a claim of another request that there never was: {attempt}"
        elif attempt.reason == "ALREADY_WAITING":
            there = places.get((attempt.user_id, attempt.told["position"]), attempt.request_id)
            if there == attempt.request_id:
                yield f"told of a place of another request that there never was: {attempt}"
        elif attempt.reason == "OUT_OF_STOCK":
            if has_since.get(attempt.user_id, float("inf")) + MOST_BEHIND < attempt.invoked:
                yield f"has a claim and was told that nothing is left: {attempt}"
        elif attempt.code == "NOT_FOUND":
            yield f"told that there is no such coupon: {attempt}"
    yield from defects(history)


class _Span(NamedTuple):
    """A time in which a version was certainly the newest one."""

    version: int
    begin: float
    end: float


def nobody_is_denied_what_is_left(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[str]:
    """C8: no OUT_OF_STOCK to who asked 250 ms after stock came back, while it was certainly there."""
    refused = [a for a in history if a.reason == "OUT_OF_STOCK"]
    for span in _with_stock(coupon, history):
        for attempt in refused:
            if span.begin + MOST_BEHIND < attempt.invoked and attempt.answered < span.end:
                yield f"told that nothing was left of version {span.version}, which had stock: {attempt}"


def _with_stock(coupon: StoredCoupon, history: ClaimsHistory) -> Iterator[_Span]:
    """From when a version was first acknowledged until the last request of the next one was made."""
    known_since: dict[str, float] = {}
    asked_last: dict[str, float] = {}
    for attempt in history:
        if attempt.acknowledged:
            known_since[attempt.token] = min(attempt.answered, known_since.get(attempt.token, attempt.answered))
            if not attempt.replayed:
                asked_last[attempt.token] = max(attempt.invoked, asked_last.get(attempt.token, attempt.invoked))
    tokens = {event.version: encode_token(event.xid) for event in coupon.events}
    remaining = coupon.amount
    for version, group in groupby(coupon.events, key=lambda event: event.version):
        for event in group:
            remaining = event.payload.get("counters", {}).get(COUPON_REMAINING.name, {}).get(coupon.name, remaining)
        following = tokens.get(version + 1)
        end = float("inf") if following is None else asked_last.get(following, 0.0)
        if remaining and tokens[version] in known_since:
            yield _Span(version, known_since[tokens[version]], end)


RULES: tuple[Rule, ...] = (
    counters_equal_rows,
    numbers_are_given_once,
    nobody_has_two,
    exact_at_every_commit,
    acknowledged_is_stored,
    stored_was_attempted,
    a_request_has_one_answer,
    ordinals_follow_time,
    refusals_are_true,
    nobody_is_denied_what_is_left,
)
