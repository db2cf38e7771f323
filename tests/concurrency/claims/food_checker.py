"""Compares what claimants were answered with what the database holds of food, and the database with itself."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from libs.data.catalog.claims import EXCHANGES_COMPLETED, PORTIONS_CLAIMED, PORTIONS_HELD, PORTIONS_REMAINING
from libs.data.commit_tokens import encode_token
from tests.concurrency.claims.attempts import ClaimsAttempt, ClaimsHistory
from tests.concurrency.claims.stored_food import Step, StoredExchange, StoredPost, read_posts
from tests.concurrency.judging import assert_none, complaints, defects, one_answer_a_request

Rule = Callable[[StoredPost, ClaimsHistory], Iterator[str]]

# The status that each kind of request brings an exchange to.
BRINGS_TO = {"claim_food": "pending", "confirm": "confirmed", "complete": "completed", "cancel": "cancelled"}
# Every life an exchange can have had by now. Portions go back once at most, for nothing follows.
LIVES = {
    ("pending",),
    ("pending", "confirmed"),
    ("pending", "confirmed", "completed"),
    ("pending", "confirmed", "cancelled"),
    ("pending", "cancelled"),
    ("pending", "expired"),
}
# Where the portions are: remaining, held, claimed.
_REMAINING, _HELD, _CLAIMED = range(3)
WHERE = {"pending": _HELD, "confirmed": _CLAIMED, "completed": _CLAIMED, "cancelled": _REMAINING, "expired": _REMAINING}
ACTIVE = ("pending", "confirmed")


def assert_food_exact(url: str, food_post_ids: Sequence[str], history: ClaimsHistory) -> dict[str, StoredPost]:
    """Fails with every violation found; answers what is stored, for what a test has to say beyond."""
    stored = read_posts(url, food_post_ids)
    about_food = [attempt for attempt in history if attempt.kind in BRINGS_TO]
    assert_none(violations(stored, about_food), about_food)
    return stored


def violations(stored: dict[str, StoredPost], history: ClaimsHistory) -> list[str]:
    post_of = {exchange_id: post.food_post_id for post in stored.values() for exchange_id in post.exchanges}
    return complaints(stored, history, RULES, lambda a: a.resource or post_of.get(a.exchange_id, a.exchange_id))


# -- the database with itself


def counters_equal_rows(post: StoredPost, history: ClaimsHistory) -> Iterator[str]:
    """G2, G4: portions are there, held or claimed, and add up."""
    where = [post.portions, 0, 0]
    for exchange in post.exchanges.values():
        where[_REMAINING] -= exchange.portions
        where[WHERE[exchange.status]] += exchange.portions
    completed = sum(exchange.status == "completed" for exchange in post.exchanges.values())
    if [post.remaining, post.held, post.claimed, post.completed] != [*where, completed]:
        counted = [post.remaining, post.held, post.claimed, post.completed]
        yield f"counts {counted} remaining, held, claimed and completed, rows {[*where, completed]}"


def every_exchange_led_one_life(post: StoredPost, history: ClaimsHistory) -> Iterator[str]:
    """C4: one step follows another as it may; portions go back once; a hold ends by itself when its time is over, not
    before, and nothing else happens to it then."""
    for exchange in post.exchanges.values():
        statuses = tuple(step.status for step in exchange.steps)
        if statuses not in LIVES or statuses[-1] != exchange.status:
            yield f"exchange {exchange.exchange_id} is {exchange.status} after {statuses}"
        for before, step in zip(exchange.steps, exchange.steps[1:], strict=False):
            over = step.step_time >= exchange.hold_expire_time
            if before.status == "pending" and over != (step.status == "expired"):
                yield f"held until {exchange.hold_expire_time}, and then {step}"
            if bool(step.request_id) == (step.status == "expired"):
                yield f"nobody asked for {step}, or somebody did"


def exact_at_every_commit(post: StoredPost, history: ClaimsHistory) -> Iterator[str]:
    """G2, G4, G7 at its source: after each version never more portions given than there are, one exchange a user, and the
    event says what the steps say."""
    steps_of: dict[int, list[tuple[StoredExchange, Step]]] = defaultdict(list)
    for exchange in post.exchanges.values():
        for step in exchange.steps:
            steps_of[step.xid].append((exchange, step))
    told = {PORTIONS_REMAINING.name: post.portions, PORTIONS_HELD.name: 0, PORTIONS_CLAIMED.name: 0}
    told[EXCHANGES_COMPLETED.name] = completed = 0
    where, statuses, active = [post.portions, 0, 0], dict[str, str](), Counter[str]()
    expected_version = 0
    for version, group in groupby(post.events, key=lambda event: event.version):
        events = list(group)
        if version != expected_version or len({event.xid for event in events}) != 1:
            yield f"version {version} of {expected_version}, written by { ({event.xid for event in events}) }"
        expected_version = version + 1
        for event in events:
            for name, values in event.payload.get("counters", {}).items():
                told[name] = values[post.food_post_id]
        steps = steps_of.pop(events[0].xid, [])
        for exchange, step in steps:
            before = statuses.get(exchange.exchange_id, "")
            where[WHERE.get(before, _REMAINING)] -= exchange.portions
            where[WHERE[step.status]] += exchange.portions
            active[exchange.receiver_id] += (step.status in ACTIVE) - (before in ACTIVE)
            completed += step.status == "completed"
            statuses[exchange.exchange_id] = step.status
        if min(where) < 0:
            yield f"{where} remaining, held and claimed at version {version}"
        if list(told.values()) != [*where, completed]:
            yield f"version {version} says {told}; steps {[*where, completed]}"
        if twice := {e.receiver_id for e, _ in steps if active[e.receiver_id] > 1}:
            yield f"more than one exchange of {twice} at version {version}"
    if expected_version != post.version + 1 or steps_of:
        yield f"version {post.version}, events up to {expected_version - 1}; {len(steps_of)} transactions without one"


# -- the database with what callers were answered


def _by_request(post: StoredPost) -> dict[tuple[str, str], tuple[StoredExchange, Step]]:
    return {(s.status, s.request_id): (e, s) for e in post.exchanges.values() for s in e.steps if s.request_id}


def acknowledged_is_stored(post: StoredPost, history: ClaimsHistory) -> Iterator[str]:
    """G1: what was acknowledged is there, as it was acknowledged."""
    rows = _by_request(post)
    for attempt in history:
        if not attempt.acknowledged:
            continue
        status = BRINGS_TO[attempt.kind]
        found = rows.get((status, attempt.request_id))
        if found is None:
            yield f"acknowledged but not stored: {attempt}"
            continue
        exchange, step = found
        answer = (exchange.exchange_id, status, exchange.portions, encode_token(step.xid))
        if (step.actor_id, *answer) != (attempt.user_id, *attempt.answer):
            yield f"stored {exchange}, acknowledged {attempt}"


def stored_was_attempted(post: StoredPost, history: ClaimsHistory) -> Iterator[str]:
    """G9: nothing is stored that nobody asked for, or that every answer to it denied."""
    attempts: dict[tuple[str, str], ClaimsHistory] = defaultdict(list)
    for attempt in history:
        attempts[BRINGS_TO[attempt.kind], attempt.request_id].append(attempt)
    for asking, (exchange, step) in _by_request(post).items():
        asked = attempts.get(asking)
        if not asked:
            yield f"stored but never asked for: {step}"
        elif all(attempt.refused for attempt in asked):
            yield f"stored although refused ({[a.reason for a in asked]}): {step}"
        elif not _is_what_was_asked(exchange, step, asked[0]):
            yield f"stored {exchange}, asked for {asked[0]}"


def _is_what_was_asked(exchange: StoredExchange, step: Step, asked: ClaimsAttempt) -> bool:
    if asked.kind == "claim_food":
        return (exchange.receiver_id, exchange.portions, step.actor_id) == (asked.user_id, asked.units, asked.user_id)
    return (exchange.exchange_id, step.actor_id) == (asked.exchange_id, asked.user_id)


def a_request_has_one_answer(post: StoredPost, history: ClaimsHistory) -> Iterator[str]:
    """G5: the first time once, and the same answer every other time."""
    yield from one_answer_a_request(history)


# Refusals of what an exchange cannot do any more, and the steps of which it must have come to one.
_PASSED = {
    "EXCHANGE_NOT_PENDING": ("confirmed", "cancelled"),
    "EXCHANGE_ENDED": ("completed", "cancelled"),
    "HOLD_EXPIRED": ("expired",),
}


def refusals_are_true(post: StoredPost, history: ClaimsHistory) -> Iterator[str]:
    """Nobody is told of an exchange that there never was, nor of an end that it did not come to."""
    for attempt in history:
        if attempt.reason == "ALREADY_CLAIMED":
            exchange = post.exchanges.get(attempt.told["exchange_id"])
            if exchange is None or exchange.receiver_id != attempt.user_id:
                yield f"told of an exchange that there never was: {attempt}"
        elif attempt.code in ("NOT_FOUND", "PERMISSION_DENIED"):
            yield f"told that there is no such exchange, or that it is another's: {attempt}"
        elif attempt.reason in _PASSED:
            steps = {step.status for step in post.exchanges[attempt.exchange_id].steps}
            if not steps & set(_PASSED[attempt.reason]):
                yield f"came to {steps}: {attempt}"
    yield from defects(history)


RULES: tuple[Rule, ...] = (
    counters_equal_rows,
    every_exchange_led_one_life,
    exact_at_every_commit,
    acknowledged_is_stored,
    stored_was_attempted,
    a_request_has_one_answer,
    refusals_are_true,
)
