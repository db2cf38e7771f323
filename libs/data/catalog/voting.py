"""The counters of conversations, their opinions and participants."""

from libs.data.counters import CountedRows, Counter
from libs.data.tables import Table

CONVERSATIONS = Table(
    name="voting.conversations",
    key="conversation_id",
    locked_columns=(
        "state",
        "opinion_count",
        "vote_count",
        "participant_count",
        "visible_opinion_count",
        "visible_vote_count",
        "visible_participant_count",
    ),
    aggregate="conversation",
)

OPINIONS = Counter(
    name="voting.opinions",
    description="Opinions in a conversation, moderated ones included.",
    aggregate=CONVERSATIONS,
    column="opinion_count",
    counts=CountedRows("voting.opinions", ("conversation_id",), where="state <> 'deleted'"),
)

VOTES = Counter(
    name="voting.votes",
    description="Votes that stand in a conversation, those on moderated opinions included.",
    aggregate=CONVERSATIONS,
    column="vote_count",
    counts=CountedRows("voting.votes", ("conversation_id",)),
)

PARTICIPANTS = Counter(
    name="voting.participants",
    description="People with at least one vote in a conversation.",
    aggregate=CONVERSATIONS,
    column="participant_count",
    counts=CountedRows("voting.votes", ("conversation_id",), distinct="user_id"),
)

VISIBLE_OPINIONS = Counter(
    name="voting.visible_opinions",
    description="Opinions in a conversation that are not moderated away.",
    aggregate=CONVERSATIONS,
    column="visible_opinion_count",
    counts=CountedRows("voting.opinions", ("conversation_id",), where="state IN ('unmoderated', 'accepted')"),
)

VISIBLE_VOTES = Counter(
    name="voting.visible_votes",
    description="Votes that stand on a conversation's visible opinions.",
    aggregate=CONVERSATIONS,
    column="visible_vote_count",
    counts=CountedRows("voting.visible_votes", ("conversation_id",)),
)

VISIBLE_PARTICIPANTS = Counter(
    name="voting.visible_participants",
    description="People with at least one vote on a conversation's visible opinions.",
    aggregate=CONVERSATIONS,
    column="visible_participant_count",
    counts=CountedRows("voting.visible_votes", ("conversation_id",), distinct="user_id"),
)


def _of_opinion(name: str, description: str, column: str, vote: int) -> Counter:
    return Counter(
        name=name,
        description=description,
        aggregate=CONVERSATIONS,
        table="voting.opinions",
        breakdown=("opinion_id",),
        breakdown_type="uuid",
        rows_appear=False,
        column=column,
        counts=CountedRows("voting.votes", ("conversation_id", "opinion_id"), where=f"vote = {vote}"),
    )


OPINION_AGREES = _of_opinion("voting.opinion_agrees", "People who agree with an opinion.", "agree_count", 1)
OPINION_DISAGREES = _of_opinion(
    "voting.opinion_disagrees", "People who disagree with an opinion.", "disagree_count", -1
)
OPINION_PASSES = _of_opinion("voting.opinion_passes", "People who pass on an opinion.", "pass_count", 0)


def _of_participant(name: str, description: str, column: str, counted: str) -> Counter:
    return Counter(
        name=name,
        description=description,
        aggregate=CONVERSATIONS,
        table="voting.participants",
        breakdown=("user_id",),
        breakdown_type="uuid",
        served=False,
        column=column,
        counts=CountedRows(counted, ("conversation_id", "user_id")),
    )


# By these a vote tells whether it is its user's first or last, without looking at the others.
PARTICIPANT_VOTES = _of_participant(
    "voting.participant_votes", "A person's votes in a conversation.", "vote_count", "voting.votes"
)
PARTICIPANT_VISIBLE_VOTES = _of_participant(
    "voting.participant_visible_votes",
    "A person's votes on a conversation's visible opinions.",
    "visible_vote_count",
    "voting.visible_votes",
)

VOTING_COUNTERS = (
    OPINIONS,
    VOTES,
    PARTICIPANTS,
    VISIBLE_OPINIONS,
    VISIBLE_VOTES,
    VISIBLE_PARTICIPANTS,
    OPINION_AGREES,
    OPINION_DISAGREES,
    OPINION_PASSES,
    PARTICIPANT_VOTES,
    PARTICIPANT_VISIBLE_VOTES,
)
