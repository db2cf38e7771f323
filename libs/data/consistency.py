"""What a reader asks of a read."""

from dataclasses import dataclass

from libs.data.commit_tokens import CommitToken


@dataclass(frozen=True, slots=True)
class Consistency:
    """At most one of these; none means whatever is nearest.

    Args:
        max_staleness: seconds the answer may lag behind.
        at_least: a commit the answer must reflect.
        primary: ask the primary.
    """

    max_staleness: float | None = None
    at_least: CommitToken | None = None
    primary: bool = False


ANY = Consistency()
PRIMARY = Consistency(primary=True)
