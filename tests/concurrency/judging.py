"""What a checker of histories does whatever the history is about."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from tests.concurrency.history import A, Answered

S = TypeVar("S")

SHOWN = 5

# What gRPC's asynchronous client makes of a stream that breaks while it writes; no server said so.
WRITTEN_TO_A_BROKEN_STREAM = "Internal error from Core"


def complaints(
    stored: Mapping[str, S],
    history: Iterable[A],
    rules: Sequence[Callable[[S, list[A]], Iterator[str]]],
    resource_of: Callable[[A], str],
) -> list[str]:
    """Everything that the rules have to say: one resource after the other, each with the attempts that are about it."""
    by_resource: dict[str, list[A]] = defaultdict(list)
    for attempt in history:
        by_resource[resource_of(attempt)].append(attempt)
    found = [f"{resource}: answered but not stored" for resource in by_resource.keys() - stored.keys()]
    for resource, what in stored.items():
        for rule in rules:
            found += [f"{resource} {complaint}" for complaint in rule(what, by_resource[resource])]
    return found


def assert_none(found: Sequence[str], history: Sequence[Answered]) -> None:
    listed = "\n".join(found[:SHOWN])
    assert not found, f"{len(found)} violations in a history of {len(history)}:\n{listed}"


def one_answer_a_request(history: Iterable[Answered]) -> Iterator[str]:
    """G5: the first time once, and the same answer every other time."""
    answers: dict[tuple[str, str], list[Answered]] = defaultdict(list)
    for attempt in history:
        if attempt.acknowledged:
            answers[attempt.kind, attempt.request_id].append(attempt)
    for (kind, request_id), acknowledged in answers.items():
        if len({attempt.answer for attempt in acknowledged}) > 1:
            yield f"{kind} {request_id} was answered {[a.answer for a in acknowledged]}"
        if sum(not attempt.replayed for attempt in acknowledged) > 1:
            yield f"{kind} {request_id} was done for the first time more than once"


def numbers_follow_time(history: Iterable[A], number: Callable[[A], int]) -> Iterator[str]:
    """Whoever asked after another was answered has the higher number."""
    acknowledged = list(history)
    answered = sorted(acknowledged, key=lambda a: a.answered)
    highest, place = 0, 0
    for attempt in sorted((a for a in acknowledged if not a.replayed), key=lambda a: a.invoked):
        while place < len(answered) and answered[place].answered < attempt.invoked:
            highest = max(highest, number(answered[place]))
            place += 1
        if number(attempt) <= highest:
            yield f"ordinal {number(attempt)} was asked for after {highest} had been answered"


def defects(history: Iterable[Answered]) -> Iterator[str]:
    """Answers that no caller should ever get."""
    for attempt in history:
        if attempt.code in ("INTERNAL", "UNKNOWN") and attempt.message != WRITTEN_TO_A_BROKEN_STREAM:
            yield f"a defect was answered: {attempt}"


def never_answered(history: Iterable[Answered]) -> list[Answered]:
    """Attempts whose request nobody was ever given a clear answer to."""
    attempts = list(history)
    settled = {(a.kind, a.request_id) for a in attempts if not a.unknown}
    return [a for a in attempts if (a.kind, a.request_id) not in settled]
