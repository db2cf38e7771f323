"""Compares what callers were answered with what the database holds, and the database with itself.

Every rule is a generator of complaints over one petition, so one run names everything that is wrong. What is compared is
exact: rows carry the `request_id` that asked for them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from tests.concurrency.history import Attempt, History
from tests.concurrency.judging import assert_none, complaints, defects, numbers_follow_time, one_answer_a_request
from tests.concurrency.stored import Signature, StoredPetition, read_stored

Rule = Callable[[StoredPetition, History], Iterator[str]]


def assert_exact(url: str, petition_ids: Sequence[str], history: History) -> dict[str, StoredPetition]:
    """Fails with every violation found; answers what is stored, for what a test has to say beyond."""
    stored = read_stored(url, petition_ids)
    assert_none(violations(stored, history), history)
    return stored


def violations(stored: dict[str, StoredPetition], history: History) -> list[str]:
    return complaints(stored, history, RULES, lambda attempt: attempt.petition_id)


# -- the database with itself


def counter_equals_rows(petition: StoredPetition, history: History) -> Iterator[str]:
    """G2: counter = rows = highest ordinal - removed; regions add up."""
    rows, removed = len(petition.standing), len(petition.removed)
    if petition.co_signer_count != rows:
        yield f"counts {petition.co_signer_count}, rows {rows}"
    if petition.last_ordinal - removed != rows:
        yield f"last ordinal {petition.last_ordinal} - {removed} removed is not {rows} rows"
    counted = Counter(s.region_code for s in petition.standing if s.region_code)
    stored = {region: n for region, n in petition.region_counts.items() if n}
    if stored != dict(counted):
        yield f"regions count {stored}, their rows {dict(counted)}"


def ordinals_are_given_once(petition: StoredPetition, history: History) -> Iterator[str]:
    """G2: 1, 2, 3, … without a gap or a repeat, removed ones included."""
    ordinals = [signature.ordinal for signature in petition.signatures]
    if ordinals != list(range(1, petition.last_ordinal + 1)):
        odd = [n for n, times in Counter([*ordinals, *range(1, petition.last_ordinal + 1)]).items() if times != 2]
        yield f"ordinals missing or given twice: {odd[:10]}"


def nobody_stands_twice(petition: StoredPetition, history: History) -> Iterator[str]:
    """G1, G5: a user once, a request once, whatever was repeated."""
    for user_id, times in Counter(s.user_id for s in petition.standing).items():
        if times > 1:
            yield f"user {user_id} stands {times} times"
    for request_id, times in Counter(s.request_id for s in petition.signatures).items():
        if times > 1:
            yield f"request {request_id} signed {times} times"
    for request_id, times in Counter(
        s.removal_request_id for s in petition.removed if s.removal == "withdrawn"
    ).items():
        if times > 1:
            yield f"request {request_id} withdrew {times} times"


def counts_follow_from_each_other(petition: StoredPetition, history: History) -> Iterator[str]:
    """G2 at every commit: the counts that rows carry are those of one sequence of signatures and removals."""
    gone_before = 0
    for signature in petition.signatures:
        gone = signature.ordinal - signature.co_signer_count
        if gone < gone_before:
            yield f"ordinal {signature.ordinal} was answered count {signature.co_signer_count} after {gone_before} removals"
        gone_before = max(gone_before, gone)
    if gone_before > len(petition.removed):
        yield f"counts tell of {gone_before} removals, there are {len(petition.removed)}"


def thresholds_pass_once(petition: StoredPetition, history: History) -> Iterator[str]:
    """G3: one record a passing, crossed and reversed in turn, and the last one agrees with the count."""
    for threshold in petition.thresholds:
        passings = [e for e in petition.escalations if e.threshold == threshold]
        kinds = [e.kind for e in passings]
        if kinds != [("crossed", "reversed")[n % 2] for n in range(len(kinds))]:
            yield f"threshold {threshold} passed as {kinds}"
        if bool(len(kinds) % 2) != (petition.co_signer_count >= threshold):
            yield f"threshold {threshold} at count {petition.co_signer_count} passed as {kinds}"
        crossed = [e.ordinal for e in passings if e.kind == "crossed"]
        reached = [s.ordinal for s in petition.signatures if s.co_signer_count == threshold]
        if crossed != reached:
            yield f"threshold {threshold} crossed by ordinals {crossed}, reached by {reached}"
        reversals = kinds.count("reversed")
        if reversals != (falls := _falls_below(threshold, petition.removed)):
            yield f"threshold {threshold} reversed {reversals} times, fallen below {falls} times"
    if strangers := {e.threshold for e in petition.escalations} - set(petition.thresholds):
        yield f"thresholds passed that the petition does not have: {strangers}"


def _falls_below(threshold: int, removed: Iterable[Signature]) -> int:
    """How many removals, one by one or many in one request, took the count from the threshold to below it."""
    sizes = Counter((s.removal_request_id, s.removal_count) for s in removed)
    return sum(after < threshold <= after + size for (_, after), size in sizes.items())


def every_version_has_its_events(petition: StoredPetition, history: History) -> Iterator[str]:
    """G7 at its source: versions without a gap, one transaction each, and the events say what the tables say."""
    transactions: dict[int, set[int]] = {
        version: {event.xid for event in events}
        for version, events in groupby(petition.events, key=lambda event: event.version)
    }
    if sorted(transactions) not in (list(range(petition.version + 1)), list(range(1, petition.version + 1))):
        yield f"version {petition.version}, events of versions {sorted(transactions)[:5]}…{sorted(transactions)[-5:]}"
    for version, xids in transactions.items():
        if version and len(xids) != 1:
            yield f"version {version} was written by transactions {sorted(xids)}"
    told = [
        (
            e.version,
            e.payload["threshold"],
            _ESCALATION_EVENTS[e.kind],
            e.payload["co_signer_count"],
            e.payload["ordinal"],
        )
        for e in petition.events
        if e.kind in _ESCALATION_EVENTS
    ]
    kept = [(e.version, e.threshold, e.kind, e.co_signer_count, e.ordinal) for e in petition.escalations]
    if told != kept:
        yield f"escalations emitted {len(told)}, stored {len(kept)}, or not the same"
    for name, column in (
        ("petition.co_signers", petition.co_signer_count),
        ("petition.ordinals", petition.last_ordinal),
    ):
        values = [e.payload["counters"][name] for e in petition.events if name in e.payload.get("counters", {})]
        if values and values[-1] != {petition.petition_id: column}:
            yield f"the last event says {name} {values[-1]}, the column {column}"


_ESCALATION_EVENTS = {"petition.escalated": "crossed", "petition.escalation_reversed": "reversed"}


# -- the database with what callers were answered


def acknowledged_is_stored(petition: StoredPetition, history: History) -> Iterator[str]:
    """G1: what was acknowledged is there, as it was acknowledged."""
    signatures = {s.request_id: s for s in petition.signatures}
    withdrawals = {s.removal_request_id: s for s in petition.removed if s.removal == "withdrawn"}
    for attempt in history:
        if not attempt.acknowledged:
            continue
        row = (signatures if attempt.kind == "sign" else withdrawals).get(attempt.request_id)
        if row is None:
            yield f"acknowledged but not stored: {attempt}"
            continue
        if attempt.kind == "sign":
            count, token = row.co_signer_count, row.token
            passed = tuple(t for t in petition.thresholds if t == count)
        else:
            count, token = row.removal_count, row.removal_token
            passed = tuple(t for t in petition.thresholds if t == count + 1)
        if (row.user_id, row.ordinal, count, passed, token) != (attempt.user_id, *attempt.answer):
            yield f"stored {row}, acknowledged {attempt}"


def stored_was_attempted(petition: StoredPetition, history: History) -> Iterator[str]:
    """G9: nothing is stored that nobody asked for, or that every answer to it denied."""
    attempts: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in history:
        attempts[attempt.kind, attempt.request_id].append(attempt)
    rows = [("sign", s.request_id, s) for s in petition.signatures]
    rows += [("withdraw", s.removal_request_id, s) for s in petition.removed if s.removal == "withdrawn"]
    for kind, request_id, row in rows:
        asked = attempts.get((kind, request_id))
        if not asked:
            yield f"stored but never asked for ({kind}): {row}"
        elif all(attempt.refused for attempt in asked):
            yield f"stored although refused ({kind}, {[a.reason for a in asked]}): {row}"
        elif asked[0].user_id != row.user_id or (kind == "sign" and asked[0].region_code != row.region_code):
            yield f"stored {row}, asked for {asked[0]}"


def a_request_has_one_answer(petition: StoredPetition, history: History) -> Iterator[str]:
    """G5: the first time once, and the same answer every other time."""
    yield from one_answer_a_request(history)


def ordinals_follow_time(petition: StoredPetition, history: History) -> Iterator[str]:
    """Whoever asked after another was answered has the higher ordinal."""
    yield from numbers_follow_time((a for a in history if a.kind == "sign" and a.acknowledged), lambda a: a.ordinal)


def refusals_are_true(petition: StoredPetition, history: History) -> Iterator[str]:
    """A duplicate is told the ordinal that stands or stood; nobody whose signature stands is told that it does not."""
    ordinals = {(s.user_id, s.ordinal): s.request_id for s in petition.signatures}
    standing = {s.user_id: s.request_id for s in petition.standing}
    acknowledged: dict[str, float] = {}
    for attempt in history:
        if attempt.kind == "sign" and attempt.acknowledged:
            earlier = acknowledged.get(attempt.request_id, attempt.answered)
            acknowledged[attempt.request_id] = min(earlier, attempt.answered)
    for attempt in history:
        if attempt.reason == "ALREADY_SIGNED":
            if ordinals.get((attempt.user_id, attempt.ordinal), attempt.request_id) == attempt.request_id:
                yield f"told of a signature of another request that there never was: {attempt}"
        elif attempt.reason == "CO_SIGN_NOT_FOUND":
            signed = acknowledged.get(standing.get(attempt.user_id, ""), float("inf"))
            if signed < attempt.invoked:
                yield f"told that a standing signature does not stand: {attempt}"
    yield from defects(history)


RULES: tuple[Rule, ...] = (
    counter_equals_rows,
    ordinals_are_given_once,
    nobody_stands_twice,
    counts_follow_from_each_other,
    thresholds_pass_once,
    every_version_has_its_events,
    acknowledged_is_stored,
    stored_was_attempted,
    a_request_has_one_answer,
    ordinals_follow_time,
    refusals_are_true,
)
