"""What callers asked for and what they were answered, as they saw it: the record that a database is checked against."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import orjson

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Kind = Literal["sign", "withdraw"]

# After these nobody but the database knows whether the write is stored; an answer without a reason did not come from Tally.
_SAYS_NOTHING = ("", "OUTCOME_UNKNOWN", "CANCELLED")


class Answered:
    """What can be said of every attempt, whatever was asked for.

    Args:
        invoked, answered: by `time.monotonic()`, which all processes of a machine share.
        code: canonical name; `OK` for an acknowledged one.
        reason: of the error's `ErrorInfo`; empty where the answer carried none.
        message: of an error, for people.
    """

    __slots__ = ()

    kind: Any
    user_id: str
    request_id: str
    invoked: float
    answered: float
    code: str
    reason: str
    replayed: bool
    token: str
    message: str

    @property
    def acknowledged(self) -> bool:
        return self.code == "OK"

    @property
    def unknown(self) -> bool:
        """The answer leaves open whether the write was stored."""
        return not self.acknowledged and self.reason in _SAYS_NOTHING

    @property
    def refused(self) -> bool:
        """Tally said that this attempt stored nothing."""
        return not self.acknowledged and not self.unknown

    @property
    def answer(self) -> tuple[object, ...]:
        """What was acknowledged, without whether it was for the first time."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Attempt(Answered):
    """One request for one signature or withdrawal, alone or as an item of a batch or a stream, and its answer.

    Args:
        ordinal: of the signature; of ALREADY_SIGNED, the one in its metadata.
        thresholds: crossed by a signature, reversed by a withdrawal.
    """

    kind: Kind
    petition_id: str
    user_id: str
    request_id: str
    region_code: str
    invoked: float
    answered: float
    code: str
    reason: str = ""
    ordinal: int = 0
    co_signer_count: int = 0
    thresholds: tuple[int, ...] = ()
    replayed: bool = False
    token: str = ""
    message: str = ""

    @property
    def answer(self) -> tuple[object, ...]:
        return self.ordinal, self.co_signer_count, self.thresholds, self.token


History = list[Attempt]
A = TypeVar("A", bound=Answered)


def write_history(path: Path, history: "Iterable[DataclassInstance]") -> None:
    path.write_bytes(b"\n".join(orjson.dumps(astuple(attempt)) for attempt in history))


def read_history(path: Path, attempt: type[A]) -> list[A]:
    """What `write_history` wrote of attempts of this type."""
    return [
        attempt(*(tuple(value) if isinstance(value, list) else value for value in orjson.loads(line)))
        for line in path.read_bytes().splitlines()
    ]
