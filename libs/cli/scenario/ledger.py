"""What the players of a scenario were answered: the side that every count is compared with."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Told:
    """Something people are told of. `token`: of the latest commit anybody was told of."""

    token: int = 0

    def heard(self, token: str) -> None:
        self.token = max(self.token, int(token or "0", 16))


@dataclass(slots=True)
class Petition(Told):
    """A petition as its signers know it.

    Args:
        signers: users whose signature was accepted and not withdrawn since, with their region.
        crossed, reversed: thresholds as the answers named them.
    """

    petition_id: str
    title: str
    thresholds: list[int]
    signers: dict[str, str] = field(default_factory=dict)
    ordinals: list[int] = field(default_factory=list)
    crossed: Counter[int] = field(default_factory=Counter)
    reversed: Counter[int] = field(default_factory=Counter)

    @property
    def regions(self) -> Counter[str]:
        """Signatures by region, those without one under the empty code."""
        return Counter(self.signers.values())


@dataclass(slots=True)
class Act:
    """One part of the scenario: how many calls or items were sent, and what became of them. Latencies in seconds."""

    name: str
    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    replayed: int = 0
    withdrawn: int = 0
    refused: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def percentile_ms(self, share: float) -> float:
        """Of the calls' latencies, in milliseconds; 0 where there was none."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 if ordered else 0.0


@dataclass(slots=True)
class Sale(Told):
    """A coupon as those who want it know it.

    Args:
        claims: users and the ordinals they were answered.
        line: users who wait, by their places.
    """

    name: str
    remaining: int
    claims: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    line: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Gathering:
    """A group as its members know it: the founder first."""

    group_id: str
    members: list[str]


@dataclass(slots=True)
class Meal(Told):
    """A food post as its giver and receivers know it: portions by where they are, exchanges by their receiver."""

    food_post_id: str
    giver_id: str
    remaining: int
    held: int = 0
    claimed: int = 0
    exchanges: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)


# Votes by opinion and user.
Standing = dict[str, dict[str, int]]


@dataclass(slots=True)
class Conversation(Told):
    """A conversation as its voters know it. What was imported goes by the id it had elsewhere, all else by its UUID.

    Args:
        votes: those that stand.
        hidden: opinions that are not visible.
        ids, names: the opinions' UUIDs, and back.
    """

    conversation_id: str
    title: str
    votes: Standing = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def known_as(self, name: str, opinion_id: str) -> None:
        self.ids[name], self.names[opinion_id] = opinion_id, name


@dataclass(slots=True)
class Ledger:
    """Everything."""

    petitions: list[Petition] = field(default_factory=list)
    sale: Sale | None = None
    gathering: Gathering | None = None
    meal: Meal | None = None
    conversation: Conversation | None = None
    acts: list[Act] = field(default_factory=list)
