"""A small conversation that was analysed: two groups of people, and one person in neither."""

from collections.abc import Mapping

from tally.voting.v1 import analysis_pb2 as resources
from tally.voting.v1 import voting_pb2

from libs.cli.scenario.ledger import Conversation

Votes = tuple[int, int, int]
BODIES = {"trees": "Trees!", "cars": "Cars\nfor all", "shops": "Shops & [cafés]", "rude": "%&!"}
# Agrees, disagrees and passes of A and B.
VOTES: Mapping[str, tuple[Votes, Votes]] = {
    "trees": ((3, 0, 0), (2, 0, 0)),
    "cars": ((0, 3, 0), (2, 0, 0)),
    "shops": ((2, 1, 0), (1, 0, 1)),
    "rude": ((3, 0, 0), (0, 2, 0)),
}
PLACES = {"a1": (1.0, 1.0, 0), "a2": (2.0, 0.5, 0), "a3": (1.5, 0.0, 0), "b1": (-2.0, 0.0, 1), "b2": (-3.0, -1.0, 1)}


def conversation() -> Conversation:
    """Whose opinion "rude" is hidden."""
    there = Conversation("c", "The market square", hidden={"rude"})
    for name in BODIES:
        there.known_as(name, f"id of {name}")
        there.votes[name] = {}
    there.votes["trees"] = dict.fromkeys([*PLACES, "alone"], voting_pb2.VOTE_AGREE)
    return there


def analysis() -> resources.Analysis:
    found = resources.Analysis(
        vote_count=6, participant_count=6, group_count=2, explained_variance=[0.5, 0.25], version=1
    )
    for group_id, x, y, size in ((0, 1.5, 0.5, 3), (1, -2.5, -0.5, 2)):
        group = found.groups.add(group_id=group_id, size=size)
        group.center.x, group.center.y = x, y
    found.groups[1].representative_opinions.add(opinion_id="id of cars", vote=voting_pb2.VOTE_AGREE)
    found.groups[0].representative_opinions.add(opinion_id="id of cars", vote=voting_pb2.VOTE_DISAGREE)
    for name, votes in VOTES.items():
        opinion = found.opinions.add(opinion_id=f"id of {name}", group_aware_consensus_agree=len(name) / 10)
        for group_id, (agrees, disagrees, passes) in enumerate(votes):
            opinion.group_votes.add(group_id=group_id, agrees=agrees, disagrees=disagrees, passes=passes)
    for user, (x, y, group_id) in PLACES.items():
        found.participants.add(user_id=user, x=x, y=y, group_id=group_id)
    found.participants.add(user_id="alone", x=0.25, y=0.25)
    return found
