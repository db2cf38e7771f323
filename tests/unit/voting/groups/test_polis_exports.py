"""How far the groups agree with those that Polis had people in when it exported a conversation."""

import numpy as np
import pytest

from services.voting.groups.analysis import analyse
from services.voting.groups.arrays import packed
from services.voting.groups.model import Analysis
from services.voting.groups.state import State
from services.voting.groups.votes import Votes
from tests.unit.voting.groups.polis import Export, adjusted_rand, export, needs_exports

pytestmark = needs_exports

CLOSE = [("vtaiwan.uberx", 0.82, 0.82), ("brexit-consensus", 0.87, 0.9), ("15-per-hour-seattle", 0.88, 0.88)]


def agreement(conversation: Export, analysis: Analysis) -> float:
    """Adjusted Rand index over those who are in for both."""
    theirs = np.array([conversation.groups.get(person.int, -1) for person in conversation.votes.participant_ids])
    both = (theirs >= 0) & (analysis.participant_groups >= 0)
    assert both.sum() > 0.95 * (theirs >= 0).sum()
    return adjusted_rand(analysis.participant_groups[both], theirs[both])


def the_same_people(conversation: Export, votes: Votes) -> State:
    """As if a run before had had exactly these people in, and nobody knew in which groups."""
    people = packed([person for person in votes.participant_ids if person.int in conversation.groups])
    nowhere = np.zeros((2, 0))
    return State(packed([]), nowhere, people, np.zeros(people.size, np.int32), None)


@pytest.mark.parametrize(("name", "bar", "bar_with_people_given"), CLOSE)
def test_groups_are_close_to_those_of_polis(name: str, bar: float, bar_with_people_given: float) -> None:
    conversation = export(name)
    assert agreement(conversation, analyse(conversation.votes)) >= bar
    given = analyse(conversation.votes, the_same_people(conversation, conversation.votes))
    assert agreement(conversation, given) >= bar_with_people_given
    assert len(given.groups) == len(set(conversation.groups.values()))
