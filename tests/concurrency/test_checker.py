"""The checker finds each kind of lie it is there to find."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from tests.concurrency.checker import violations
from tests.concurrency.history import Attempt, History
from tests.concurrency.stored import Escalation, Event, Signature, StoredPetition

PETITION = "petition"


def signed(n: int, count: int, crossed: tuple[int, ...] = (), **other: object) -> Attempt:
    attempt = Attempt(
        "sign", PETITION, f"user-{n}", f"request-{n}", "DE", n, n + 0.5, "OK", "", n, count, crossed, False, f"{n}"
    )
    return replace(attempt, **other)  # type: ignore[arg-type]


def exact() -> tuple[StoredPetition, History]:
    """Users 1, 2 and 3 sign, 2 withdraws, which falls below the threshold of 3, and 4 crosses it again."""
    two = Signature("user-2", 2, 2, "DE", "request-2", "2", "withdrawn", "withdrawal-2", 2, "4")
    petition = StoredPetition(
        PETITION,
        "open",
        (3,),
        4,
        5,
        3,
        [Signature(f"user-{n}", n, n - (n > 3), "DE", f"request-{n}", f"{n + (n > 3)}") for n in (1, 3, 4)],
        [two],
        {"DE": 3},
        [Escalation(3, 3, "crossed", 3, 3), Escalation(4, 3, "reversed", 2, 0), Escalation(5, 3, "crossed", 3, 4)],
        [
            Event(version, "petition.counted", version, {"counters": {"petition.co_signers": {PETITION: count}}})
            for version, count in enumerate((0, 1, 2, 3, 2, 3))
        ],
    )
    for escalation in petition.escalations:
        kind = "petition.escalated" if escalation.kind == "crossed" else "petition.escalation_reversed"
        payload = {n: getattr(escalation, n) for n in ("threshold", "co_signer_count", "ordinal")}
        petition.events.append(Event(escalation.version, kind, escalation.version, payload))
    petition.events.sort(key=lambda event: event.version)
    withdrawn = Attempt("withdraw", PETITION, "user-2", "withdrawal-2", "", 3.6, 3.9, "OK", "", 2, 2, (3,), False, "4")
    history = [signed(1, 1), signed(2, 2), signed(3, 3, (3,)), withdrawn, signed(4, 3, (3,), token="5")]
    history.append(signed(4, 3, (3,), token="5", replayed=True, invoked=5.0, answered=5.5))
    history.append(replace(history[0], request_id="other", code="ALREADY_EXISTS", reason="ALREADY_SIGNED"))
    return petition, history


def test_an_exact_history_has_no_violation() -> None:
    petition, history = exact()
    assert violations({PETITION: petition}, history) == []


def edit(**columns: object) -> Callable[[StoredPetition, History], None]:
    def tamper(petition: StoredPetition, history: History) -> None:
        for name, value in columns.items():
            setattr(petition, name, value)

    return tamper


def answer(place: int, **fields: object) -> Callable[[StoredPetition, History], None]:
    def tamper(petition: StoredPetition, history: History) -> None:
        history[place] = replace(history[place], **fields)  # type: ignore[arg-type]

    return tamper


def row(place: int, **columns: object) -> Callable[[StoredPetition, History], None]:
    def tamper(petition: StoredPetition, history: History) -> None:
        petition.standing[place] = replace(petition.standing[place], **columns)  # type: ignore[arg-type]

    return tamper


def ask(attempt: Attempt) -> Callable[[StoredPetition, History], None]:
    return lambda petition, history: history.append(attempt)


@pytest.mark.parametrize(
    ("tamper", "complaint"),
    [
        (edit(co_signer_count=4), "counts 4, rows 3"),
        (edit(last_ordinal=5), "last ordinal 5"),
        (edit(region_counts={"DE": 2}), "regions count"),
        (row(2, ordinal=3), "missing or given twice"),
        (row(2, user_id="user-1"), "stands 2 times"),
        (row(2, request_id="request-1"), "signed 2 times"),
        (row(0, co_signer_count=0), "was answered count"),
        (lambda petition, history: petition.escalations.pop(), "passed as"),
        (lambda petition, history: petition.escalations.append(petition.escalations[-1]), "passed as"),
        (row(1, co_signer_count=2), "reached by"),
        (lambda petition, history: petition.escalations.pop(1), "passed as ['crossed', 'crossed']"),
        (edit(thresholds=()), "does not have"),
        (lambda petition, history: petition.events.pop(1), "events of versions"),
        (edit(version=6), "version 6"),
        (lambda petition, history: setattr(petition.events[3], "xid", 9), "was written by transactions"),
        (lambda petition, history: petition.events.pop(4), "escalations emitted"),
        (ask(signed(9, 9)), "acknowledged but not stored"),
        (answer(0, ordinal=2), "acknowledged Attempt"),
        (answer(0, token="7"), "acknowledged Attempt"),
        (answer(0, thresholds=(1,)), "acknowledged Attempt"),
        (lambda petition, history: history.pop(0), "never asked for"),
        (answer(0, code="UNAVAILABLE", reason="DATABASE_UNAVAILABLE"), "stored although refused"),
        (row(0, region_code="FR"), "asked for Attempt"),
        (answer(5, co_signer_count=2), "was answered"),
        (answer(5, replayed=False), "first time more than once"),
        (answer(0, invoked=9.0, answered=9.5), "was asked for after 4"),
        (answer(6, ordinal=3), "there never was"),
        (answer(6, request_id="request-1"), "there never was"),
        (
            ask(signed(3, 0, kind="withdraw", invoked=9.0, code="NOT_FOUND", reason="CO_SIGN_NOT_FOUND")),
            "does not stand",
        ),
        (ask(signed(9, 0, code="INTERNAL", reason="INTERNAL")), "a defect"),
        (ask(signed(9, 0, petition_id="elsewhere")), "answered but not stored"),
    ],
)
def test_a_tampered_history_is_found(tamper: Callable[[StoredPetition, History], object], complaint: str) -> None:
    petition, history = deepcopy(exact())
    tamper(petition, history)
    found = violations({PETITION: petition}, history)
    assert any(complaint in line for line in found), found


def test_a_lost_answer_may_be_stored_or_not() -> None:
    petition, history = exact()
    history[0] = replace(history[0], code="UNAVAILABLE", reason="OUTCOME_UNKNOWN", ordinal=0)
    history.append(signed(9, 0, code="UNAVAILABLE"))
    assert violations({PETITION: petition}, history) == []
