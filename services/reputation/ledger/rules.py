"""What happens to each command, decided without any input or output: under the locks, in order of arrival."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any
from uuid import UUID

from libs.data.errors import TallyError
from services.reputation.ledger.account import Account
from services.reputation.ledger.effects import counted, is_capped
from services.reputation.ledger.errors import (
    EventAlreadyRecorded,
    EventAlreadyReversed,
    EventIsAReversal,
    GroupNotFound,
    ReputationEventNotFound,
    RequestIdReused,
    UserNotFound,
)
from services.reputation.ledger.model import (
    MOST_IMPACT,
    REVERSAL,
    Command,
    DayOfType,
    LedgerEvent,
    Recorded,
    RecordEvent,
    ReverseEvent,
)

Outcome = Recorded | TallyError
Rows = Mapping[UUID, Mapping[str, Any]]


@dataclass(slots=True)
class Seen:
    """What is stored about the commands of a batch, read under the locks of their users.

    Args:
        events: those of the commands' requests and stream ids, and those to be taken back.
        named: of the last, those that were found. What else is seen of events was not looked up to be taken back: one that was
            recorded a moment ago is not known then with the sum of its day.
        day_sums: what the events that stand add up to, of the days and types of the commands.
        groups: those of the commands' groups that exist.
    """

    events: dict[UUID, LedgerEvent] = field(default_factory=dict)
    by_request: dict[tuple[UUID, UUID], UUID] = field(default_factory=dict)
    by_stream: dict[tuple[UUID, str], UUID] = field(default_factory=dict)
    named: set[UUID] = field(default_factory=set)
    day_sums: dict[DayOfType, int] = field(default_factory=dict)
    groups: set[UUID] = field(default_factory=set)

    def note(self, event: LedgerEvent) -> None:
        self.events[event.event_id] = event
        if event.request_id is not None:
            self.by_request[event.user_id, event.request_id] = event.event_id
        if event.stream_id is not None:
            self.by_stream[event.user_id, event.stream_id] = event.event_id

    def of_request(self, user_id: UUID, request_id: UUID | None) -> LedgerEvent | None:
        """What the same request wrote, as it wrote it."""
        if request_id is None:
            return None
        event_id = self.by_request.get((user_id, request_id))
        return None if event_id is None else replace(self.events[event_id], reversed_by_event_id=None)


@dataclass(slots=True)
class Decision:
    """What to answer, and what to write so that the answers are true.

    Args:
        appended: in the order of their ledgers.
        reversed_by: of events stored before, what takes each back.
        day_sums: those that changed.
        accounts: of the users whose ledgers grew.
    """

    outcomes: list[Outcome]
    appended: list[LedgerEvent]
    reversed_by: dict[UUID, UUID]
    day_sums: dict[DayOfType, int]
    accounts: dict[UUID, Account]


class Books:
    """The ledgers of a batch's users while it is being decided."""

    def __init__(self, users: Rows, seen: Seen) -> None:
        self._seen = seen
        self._accounts = {user_id: Account(row) for user_id, row in users.items()}
        self._appended: dict[UUID, LedgerEvent] = {}
        self._reversed_by: dict[UUID, UUID] = {}
        self._changed_days: set[DayOfType] = set()

    def record(self, command: RecordEvent) -> Outcome:
        account = self._accounts.get(command.user_id)
        if account is None:
            return UserNotFound(command.user_id)
        stored = self._seen.of_request(command.user_id, command.request_id)
        if stored is not None:
            return Recorded(stored, replayed=True) if _says(stored, command) else RequestIdReused()
        if command.stream_id is not None:
            told = self._seen.by_stream.get((command.user_id, command.stream_id))
            if told is not None:
                return EventAlreadyRecorded(self._seen.events[told])
        if command.group_id is not None and command.group_id not in self._seen.groups:
            return GroupNotFound(command.group_id)
        event = self._enter(account, command)
        account.total(event, 1)
        account.last_activity = max(account.last_activity, command.occurred)
        if command.stream_id is not None and command.stream_partition is not None:
            late = (event.created_time - command.occurred).total_seconds()
            account.stream(command.stream_id, max(0, int(late)))
        return Recorded(event)

    def reverse(self, command: ReverseEvent) -> Outcome:
        if command.event_id not in self._seen.named and command.event_id not in self._appended:
            return ReputationEventNotFound(command.event_id)
        event = self._seen.events[command.event_id]
        stored = self._seen.of_request(event.user_id, command.request_id)
        if stored is not None:
            return Recorded(stored, replayed=True) if _takes_back(stored, command) else RequestIdReused()
        if event.reverses_event_id is not None:
            return EventIsAReversal(event)
        if event.reversed_by_event_id is not None:
            return EventAlreadyReversed(event)
        account = self._accounts[event.user_id]
        reversal = self._enter_reversal(account, event, command)
        account.total(event, -1)
        self._mark(replace(event, reversed_by_event_id=reversal.event_id))
        return Recorded(reversal)

    def decision(self, outcomes: list[Outcome]) -> Decision:
        grown = {event.user_id: self._accounts[event.user_id] for event in self._appended.values()}
        day_sums = {day: self._seen.day_sums[day] for day in self._changed_days}
        return Decision(outcomes, list(self._appended.values()), self._reversed_by, day_sums, grown)

    def _enter(self, account: Account, command: RecordEvent) -> LedgerEvent:
        day = command.occurred.astimezone(UTC).date()
        counted_impact = self._count((command.user_id, day, command.event_type), command.impact)
        event = LedgerEvent(
            command.event_id,
            command.user_id,
            account.event_count + 1,
            command.event_type,
            command.impact,
            counted_impact,
            account.score,
            account.score_after(counted_impact),
            day,
            account.next_time(),
            command.description,
            command.group_id,
            command.related_exchange_id,
            command.stream_id,
            command.stream_partition,
            command.stars,
            command.request_id,
        )
        return self._append(account, event)

    def _enter_reversal(self, account: Account, event: LedgerEvent, command: ReverseEvent) -> LedgerEvent:
        counted_impact = self._count((event.user_id, event.cap_day, event.event_type), -event.impact)
        reversal = LedgerEvent(
            command.reversal_id,
            event.user_id,
            account.event_count + 1,
            REVERSAL,
            -event.impact,
            counted_impact,
            account.score,
            account.score_after(counted_impact),
            event.cap_day,
            account.next_time(),
            command.description,
            event.group_id,
            event.related_exchange_id,
            request_id=command.request_id,
            reverses_event_id=event.event_id,
        )
        return self._append(account, reversal)

    def _append(self, account: Account, event: LedgerEvent) -> LedgerEvent:
        account.append(event)
        self._appended[event.event_id] = event
        self._seen.note(event)
        return event

    def _count(self, day: DayOfType, impact: int) -> int:
        """What an impact counts for, with the sum of its day brought forward."""
        event_type = day[2]
        if not is_capped(event_type):
            return impact
        before = self._seen.day_sums.get(day, 0)
        self._seen.day_sums[day] = before + impact
        self._changed_days.add(day)
        counted_impact = counted(event_type, before, impact)
        assert abs(counted_impact) <= MOST_IMPACT
        return counted_impact

    def _mark(self, event: LedgerEvent) -> None:
        """Notes that an event was taken back. Who recorded it in this batch is answered with it as it was."""
        assert event.reversed_by_event_id is not None
        self._seen.events[event.event_id] = event
        if event.event_id in self._appended:
            self._appended[event.event_id] = event
        else:
            self._reversed_by[event.event_id] = event.reversed_by_event_id


def _says(event: LedgerEvent, command: RecordEvent) -> bool:
    """Whether an event is what the command asks for."""
    return (
        event.reverses_event_id is None
        and (event.event_type, event.impact, event.description)
        == (command.event_type, command.impact, command.description)
        and (event.group_id, event.related_exchange_id) == (command.group_id, command.related_exchange_id)
        and (event.stream_id, event.stars) == (command.stream_id, command.stars)
    )


def _takes_back(event: LedgerEvent, command: ReverseEvent) -> bool:
    return (event.reverses_event_id, event.description) == (command.event_id, command.description)


def decide(users: Rows, seen: Seen, commands: Sequence[Command]) -> Decision:
    """Decides each command as if it came alone, in order; later ones see what earlier ones did.

    Args:
        users: the locked rows of the users that exist.
        seen: consumed; it is brought forward as commands are decided.
    """
    books = Books(users, seen)
    return books.decision(
        [books.record(each) if isinstance(each, RecordEvent) else books.reverse(each) for each in commands]
    )
