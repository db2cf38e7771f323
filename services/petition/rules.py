"""What happens to each command, decided without any input or output: under the locks, in order of arrival."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.data.errors import TallyError
from services.petition.errors import AlreadySigned, CoSignNotFound, PetitionNotFound, not_open
from services.petition.model import (
    Command,
    Escalation,
    EscalationKind,
    Removal,
    RemovedSignature,
    Sign,
    Signature,
    Signed,
    State,
    Withdraw,
    Withdrawn,
)

Outcome = Signed | Withdrawn | TallyError
Signer = tuple[UUID, UUID]  # petition, user


@dataclass(slots=True)
class Seen:
    """What is stored about the users of a batch, read under the locks.

    Args:
        standing: the signatures that stand.
        removed: those that no longer do, by signer, for answering repeated requests.
    """

    standing: dict[Signer, Signature] = field(default_factory=dict)
    removed: dict[Signer, list[RemovedSignature]] = field(default_factory=dict)


@dataclass(slots=True)
class Decision:
    """What to answer, and what to write so that the answers are true."""

    outcomes: list[Outcome]
    added: list[Signature]
    removed: list[RemovedSignature]
    deleted: list[Signer]
    escalations: list[Escalation]
    ordinals: dict[tuple[UUID], int]
    co_signers: dict[tuple[UUID], int]
    by_region: dict[tuple[UUID, str], int]


class _Book:
    """A petition while a batch is being decided."""

    __slots__ = ("co_signer_count", "escalations", "last_ordinal", "now", "petition_id", "state", "thresholds")

    def __init__(self, petition_id: UUID, row: Mapping[str, object]) -> None:
        self.petition_id = petition_id
        self.state = row["state"]
        self.co_signer_count: int = row["co_signer_count"]  # type: ignore[assignment]  # a driver's record knows no types
        self.last_ordinal: int = row["last_ordinal"]  # type: ignore[assignment]
        self.thresholds: frozenset[int] = frozenset(row["escalation_thresholds"])  # type: ignore[call-overload]
        self.now: datetime = row["locked_time"]  # type: ignore[assignment]
        self.escalations: list[Escalation] = []

    def note(self, threshold: int, kind: EscalationKind, ordinal: int) -> None:
        self.escalations.append(Escalation(self.petition_id, threshold, kind, self.co_signer_count, ordinal, self.now))


def decide(petitions: Mapping[UUID, Mapping[str, object]], seen: Seen, commands: Sequence[Command]) -> Decision:
    """Decides each command as if it came alone, in order; later ones see what earlier ones did.

    Args:
        petitions: the locked rows of the petitions that exist.
        seen: consumed; it is brought forward as commands are decided.
    """
    stored = set(seen.standing)
    books = {petition_id: _Book(petition_id, row) for petition_id, row in petitions.items()}
    removed: list[RemovedSignature] = []
    outcomes: list[Outcome] = []
    for command in commands:
        book = books.get(command.petition_id)
        if book is None:
            outcomes.append(PetitionNotFound(command.petition_id))
        elif isinstance(command, Sign):
            outcomes.append(_sign(book, seen, command))
        else:
            outcomes.append(_withdraw(book, seen, command, removed))
    return _decision(petitions, books, stored, seen, removed, outcomes)


def _sign(book: _Book, seen: Seen, command: Sign) -> Signed | TallyError:
    signer = (command.petition_id, command.user_id)
    standing = seen.standing.get(signer)
    first = standing if standing is not None and standing.request_id == command.request_id else None
    if first is None and signer in seen.removed:
        first = next((r.signature for r in seen.removed[signer] if r.signature.request_id == command.request_id), None)
    if first is not None:
        return Signed(first, crossed_by(book.thresholds, first.co_signer_count), replayed=True)
    if book.state != State.OPEN:
        return not_open(command.petition_id, str(book.state))
    if standing is not None:
        return AlreadySigned(command.petition_id, command.user_id, standing.ordinal, standing.signed_time)
    book.last_ordinal += 1
    book.co_signer_count += 1
    signature = Signature(
        command.petition_id,
        command.user_id,
        book.last_ordinal,
        command.region_code,
        command.request_id,
        book.co_signer_count,
        book.now,
    )
    seen.standing[signer] = signature
    crossed = crossed_by(book.thresholds, book.co_signer_count)
    for threshold in crossed:
        book.note(threshold, EscalationKind.CROSSED, signature.ordinal)
    return Signed(signature, crossed)


def _withdraw(book: _Book, seen: Seen, command: Withdraw, removed: list[RemovedSignature]) -> Withdrawn | TallyError:
    signer = (command.petition_id, command.user_id)
    for first in seen.removed.get(signer, ()):
        if first.removal_request_id == command.request_id and first.removal is Removal.WITHDRAWN:
            return Withdrawn(first, reversed_by(book.thresholds, first.removal_count), replayed=True)
    if book.state != State.OPEN:
        return not_open(command.petition_id, str(book.state))
    signature = seen.standing.pop(signer, None)
    if signature is None:
        return CoSignNotFound(command.petition_id, command.user_id)
    book.co_signer_count -= 1
    removal = RemovedSignature(signature, Removal.WITHDRAWN, command.request_id, book.co_signer_count, book.now)
    seen.removed.setdefault(signer, []).append(removal)
    removed.append(removal)
    reversed_ = reversed_by(book.thresholds, book.co_signer_count)
    for threshold in reversed_:
        book.note(threshold, EscalationKind.REVERSED, 0)
    return Withdrawn(removal, reversed_)


def crossed_by(thresholds: frozenset[int], count: int) -> tuple[int, ...]:
    """The thresholds that the signature which made the count `count` crossed. Thresholds never change, so this is true at
    any later time too."""
    return (count,) if count in thresholds else ()


def reversed_by(thresholds: frozenset[int], count: int) -> tuple[int, ...]:
    """The thresholds that the withdrawal which made the count `count` fell below."""
    return (count + 1,) if count + 1 in thresholds else ()


def reversed_between(thresholds: Iterable[int], before: int, after: int) -> tuple[int, ...]:
    """The thresholds a fall from `before` to `after` passes, ascending."""
    return tuple(sorted(threshold for threshold in thresholds if after < threshold <= before))


def _decision(
    petitions: Mapping[UUID, Mapping[str, object]],
    books: Mapping[UUID, _Book],
    stored: set[Signer],
    seen: Seen,
    removed: list[RemovedSignature],
    outcomes: list[Outcome],
) -> Decision:
    added = [s for s in seen.standing.values() if s.token is None]
    by_region: Counter[tuple[UUID, str]] = Counter()
    for signature in added:
        if signature.region_code:
            by_region[signature.petition_id, signature.region_code] += 1
    deleted: list[Signer] = []
    for removal in removed:
        signature = removal.signature
        if signature.token is None:
            continue  # signed and withdrawn in this very batch: it never reached the table of those that stand
        deleted.append((signature.petition_id, signature.user_id))
        if signature.region_code:
            by_region[signature.petition_id, signature.region_code] -= 1
    ordinals: dict[tuple[UUID], int] = {}
    co_signers: dict[tuple[UUID], int] = {}
    for petition_id, book in books.items():
        row = petitions[petition_id]
        if issued := book.last_ordinal - row["last_ordinal"]:  # type: ignore[operator]
            ordinals[petition_id,] = issued
        if difference := book.co_signer_count - row["co_signer_count"]:  # type: ignore[operator]
            co_signers[petition_id,] = difference
    escalations = [escalation for book in books.values() for escalation in book.escalations]
    assert all(signer in stored for signer in deleted)
    return Decision(outcomes, added, removed, deleted, escalations, ordinals, co_signers, dict(by_region))
