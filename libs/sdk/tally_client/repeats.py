"""Which failed calls are repeated, and when."""

import random
import time
import uuid
from dataclasses import dataclass

from google.protobuf.message import Message

from tally_client.errors import DeadlineExceeded, TallyError, Unavailable


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often and how soon a call that answered UNAVAILABLE is repeated. Times are seconds.

    The wait before repeat n is drawn between half and all of `first_wait` doubled n times, or of what the server asked
    for where that is longer; at most `longest_wait`. Repeating never outlasts the call's deadline.
    """

    most: int = 5
    first_wait: float = 0.05
    longest_wait: float = 1.0

    def wait(self, repeat: int, error: TallyError) -> float:
        planned = min(self.longest_wait, self.first_wait * 2.0**repeat)
        if error.retry_after is not None:
            planned = min(self.longest_wait, max(planned, error.retry_after))
        return planned * random.uniform(0.5, 1.0)  # noqa: S311


NO_REPEATS = Repeats(most=0)


class Attempts:
    """One call's attempts within one deadline.

    A write is one whose request has a `request_id`; it is only ever repeated with the id it was first sent with, so
    that the server recognises it. An empty id is filled in, in the caller's own message: whoever gets
    `outcome_unknown` can call again with that message and get the answer of the first.
    """

    def __init__(self, request: Message, timeout: float, repeats: Repeats) -> None:
        self.request = request
        self._deadline = time.monotonic() + timeout
        self._repeats = repeats
        self._made = 0
        self._outcome_unknown = False
        self._is_write = "request_id" in request.DESCRIPTOR.fields_by_name
        if self._is_write and not request.request_id:  # type: ignore[attr-defined]
            request.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]

    def remaining(self) -> float:
        """Seconds for the next attempt."""
        return max(0.001, self._deadline - time.monotonic())

    def wait_after(self, error: TallyError) -> float:
        """Seconds to wait before the call is repeated; raises the error where it is not to be."""
        self._outcome_unknown |= self._may_be_stored(error)
        wait = self._repeats.wait(self._made, error)
        self._made += 1
        too_late = time.monotonic() + wait >= self._deadline
        if not isinstance(error, Unavailable) or self._made > self._repeats.most or too_late:
            # A refusal of a repeat is the answer to the first attempt, too; only silence leaves the outcome open.
            error.outcome_unknown = self._outcome_unknown and isinstance(error, Unavailable | DeadlineExceeded)
            raise error
        return wait

    def _may_be_stored(self, error: TallyError) -> bool:
        if not self._is_write:
            return False
        unanswered = error.reason == "" and isinstance(error, Unavailable | DeadlineExceeded)
        return unanswered or error.reason == "OUTCOME_UNKNOWN"
