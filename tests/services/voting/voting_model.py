"""Who voted how on what in one conversation, kept as simply as can be: what any sequence of commands must come to."""

from dataclasses import dataclass, field


@dataclass
class Written:
    """An opinion; deleted ones stay, so that numbers stay."""

    author: int
    state: str = "unmoderated"
    due: bool = True
    votes: dict[int, int] = field(default_factory=dict)

    @property
    def visible(self) -> bool:
        return self.state in ("unmoderated", "accepted")


@dataclass
class VotingModel:
    """A conversation. Methods answer a word: what was done, or why not."""

    locked: bool = False
    opinions: list[Written] = field(default_factory=list)

    def create(self, author: int) -> str:
        if self.locked:
            return "CONVERSATION_LOCKED"
        self.opinions.append(Written(author))
        return "created"

    def vote(self, number: int, user: int, choice: int) -> str:
        opinion = self.opinions[number]
        if refusal := self._refusal(opinion):
            return refusal
        self._cast_due(opinion, user)
        opinion.votes[user] = choice
        return "voted"

    def cancel(self, number: int, user: int) -> str:
        opinion = self.opinions[number]
        refusal = self._refusal(opinion)
        if refusal and refusal != "OPINION_MODERATED":
            return refusal
        self._cast_due(opinion, user)
        return "voted" if opinion.votes.pop(user, None) is not None else "VOTE_NOT_FOUND"

    def author_vote(self, number: int) -> str:
        opinion = self.opinions[number]
        if refusal := self._refusal(opinion):
            return refusal
        self._cast_due(opinion, opinion.author)
        return "voted"

    def moderate(self, number: int, state: str) -> str:
        opinion = self.opinions[number]
        if opinion.state == "deleted":
            return "OPINION_NOT_FOUND"
        opinion.state = state
        return state

    def delete(self, number: int) -> str:
        word = self.moderate(number, "deleted")
        self.opinions[number].votes.clear()
        self.opinions[number].due = False
        return word

    def lock(self, locked: bool) -> str:
        if self.locked == locked:
            return "CONVERSATION_LOCKED" if locked else "CONVERSATION_NOT_LOCKED"
        self.locked = locked
        return "locked" if locked else "open"

    def totals(self, visible_only: bool) -> tuple[int, int, int]:
        """Opinions, votes, people."""
        counted = [o for o in self.opinions if (o.visible if visible_only else o.state != "deleted")]
        return len(counted), sum(len(o.votes) for o in counted), len({user for o in counted for user in o.votes})

    def _refusal(self, opinion: Written) -> str:
        if self.locked:
            return "CONVERSATION_LOCKED"
        if opinion.state == "deleted":
            return "OPINION_NOT_FOUND"
        return "" if opinion.visible else "OPINION_MODERATED"

    def _cast_due(self, opinion: Written, user: int) -> None:
        if opinion.due and user == opinion.author:
            opinion.due = False
            opinion.votes[user] = 1
