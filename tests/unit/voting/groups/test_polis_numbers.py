"""Every number is the one that Polis' own production run answered for the same votes."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from services.voting.groups.analysis import analyse, described
from services.voting.groups.clusters import base_clusters, settled, tightest
from services.voting.groups.kmeans import kmeans
from services.voting.groups.matrix import centred
from services.voting.groups.membership import who_is_in
from services.voting.groups.model import Analysis
from services.voting.groups.projection import OpinionMap, project
from tests.unit.voting.groups.polis import Result, needs_results, result

pytestmark = needs_results


def same(ours: ArrayLike, theirs: ArrayLike) -> bool:
    return np.shape(ours) == np.shape(theirs) and np.allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.fixture(scope="module", params=["below-100-ptpts", "150ptpt-3gp-no-strict-no-meta"])
def polis(request: pytest.FixtureRequest) -> Result:
    return result(request.param)


@pytest.fixture(scope="module")
def opinion_map(polis: Result) -> OpinionMap:
    return project(centred(polis.votes), polis.components)


@pytest.fixture(scope="module")
def analysis(polis: Result, opinion_map: OpinionMap) -> Analysis:
    """Of the groups that k-means finds from Polis' centres."""
    points = opinion_map.participants[polis.people]
    group_ids = np.full(len(polis.votes.participant_ids), -1)
    group_ids[polis.people] = kmeans(points, np.ones(len(points)), polis.centers, 100).labels
    return described(polis.votes, opinion_map, group_ids, analyse(polis.votes).state)


def test_means_and_components_are_those_of_polis(polis: Result, opinion_map: OpinionMap) -> None:
    assert same(centred(polis.votes).means, polis.means)
    assert same(opinion_map.components, polis.components)


def test_opinions_are_where_polis_has_them(polis: Result, opinion_map: OpinionMap) -> None:
    assert same(opinion_map.opinions, polis.opinion_positions)
    assert same(opinion_map.extremity, polis.answer["pca"]["comment-extremity"])


def test_people_are_where_polis_has_them(polis: Result, opinion_map: OpinionMap) -> None:
    """Polis answers the mean of each base cluster; in the small conversation each person is one."""
    people = opinion_map.participants[polis.people]
    base = [people[polis.base_clusters == cluster].mean(axis=0) for cluster in range(len(polis.base_positions))]
    assert same(base, polis.base_positions)


def test_whoever_has_voted_enough_is_in_beside_those_who_were(polis: Result) -> None:
    votes = centred(polis.votes)
    expected = np.isin(np.arange(votes.vote_counts.size), polis.people)
    assert np.array_equal(who_is_in(votes.vote_counts, votes.opinion_count, expected), expected)


def test_from_polis_centres_people_end_in_the_groups_of_polis(polis: Result, analysis: Analysis) -> None:
    assert np.array_equal(analysis.participant_groups[polis.people], polis.groups)


def test_each_groups_votes_are_counted_as_by_polis(polis: Result, analysis: Analysis) -> None:
    for group in analysis.groups:
        theirs = polis.answer["group-votes"][str(group.group_id)]
        assert group.size == theirs["n-members"]
        of_polis = [theirs["votes"][str(opinion.int)] for opinion in polis.votes.opinion_ids]
        agrees, disagrees, passes = analysis.group_votes[group.group_id].T.tolist()
        assert agrees == [votes["A"] for votes in of_polis]
        assert disagrees == [votes["D"] for votes in of_polis]
        assert passes == [votes["S"] - votes["A"] - votes["D"] for votes in of_polis]


def test_priorities_and_group_aware_consensus_are_those_of_polis(polis: Result, analysis: Analysis) -> None:
    assert same(analysis.priority, polis.of_opinions("comment-priorities"))
    assert same(analysis.group_aware_agree, polis.of_opinions("group-aware-consensus"))


def test_representative_opinions_are_those_of_polis_in_its_order(polis: Result, analysis: Analysis) -> None:
    for group in analysis.groups:
        theirs = polis.answer["repness"][str(group.group_id)]
        ours = group.representative
        assert [polis.votes.opinion_ids[said.opinion].int for said in ours] == [said["tid"] for said in theirs]
        assert [said.vote == 1 for said in ours] == [said["repful-for"] == "agree" for said in theirs]
        assert same(
            [(said.probability, said.probability_test, said.repness, said.repness_test) for said in ours],
            [(said["p-success"], said["p-test"], said["repness"], said["repness-test"]) for said in theirs],
        )


@pytest.mark.parametrize("vote", ["agree", "disagree"])
def test_consensus_is_that_of_polis_in_its_order(polis: Result, analysis: Analysis, vote: str) -> None:
    ours, theirs = getattr(analysis.consensus, vote), polis.answer["consensus"][vote]
    assert [polis.votes.opinion_ids[said.opinion].int for said in ours] == [said["tid"] for said in theirs]
    for said, of_polis in zip(ours, theirs, strict=True):
        assert said.probability == pytest.approx(of_polis["p-success"], abs=1e-6)
        assert said.probability_test == pytest.approx(of_polis["p-test"], abs=1e-6)


def test_started_afresh_the_groups_are_tighter_than_those_of_polis(polis: Result, opinion_map: OpinionMap) -> None:
    """Polis' groups are a local optimum that its history led to: 63.2 and 368.8, where 43.9 and 363.1 can be had."""
    points = opinion_map.participants[polis.people]
    base = base_clusters(points)
    k = len(polis.centers)
    beginnings = tightest(base.centers, np.bincount(base.labels).astype(np.float64), k)
    afresh = settled(points, k, beginnings, np.full(len(points), -1))
    of_polis = kmeans(points, np.ones(len(points)), polis.centers, 100)
    assert len(afresh.centers) == k
    assert afresh.inertia < 0.99 * of_polis.inertia
