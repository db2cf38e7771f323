"""Conversations that took place on Polis, with what Polis itself made of them, where they are there."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from libs.cli.scenario.sources import REAL
from services.voting.groups.arrays import Floats, Ints
from services.voting.groups.votes import Votes
from tests.unit.voting.groups.conversations import votes_of

EXPORTS = REAL.parent
RESULTS = EXPORTS.parent / "polis-math"

needs_exports = pytest.mark.skipif(not EXPORTS.exists(), reason=f"there is no {EXPORTS}")
needs_results = pytest.mark.skipif(not RESULTS.exists(), reason=f"there is no {RESULTS}")


@dataclass(frozen=True)
class Result:
    """What Polis' own production run answered, in the order of the votes' ids, and with agree as 1.

    Polis computes with agree as -1, so means and everything on the map have the other sign there.
    """

    votes: Votes
    answer: Mapping[str, Any]

    def of_opinions(self, name: str) -> Floats:
        return np.array([self.answer[name][str(opinion.int)] for opinion in self.votes.opinion_ids])

    @property
    def means(self) -> Floats:
        return -np.array(self.answer["pca"]["center"])

    @property
    def components(self) -> Floats:
        """Directions have no sign; these are such that everything on the map is -1 times what Polis answers."""
        return np.array(self.answer["pca"]["comps"])

    @property
    def opinion_positions(self) -> Floats:
        return -np.array(self.answer["pca"]["comment-projection"]).T

    @property
    def people(self) -> Ints:
        """Who is in: indices into participant_ids."""
        return np.searchsorted([each.int for each in self.votes.participant_ids], sorted(self.answer["in-conv"]))

    @property
    def base_clusters(self) -> Ints:
        """Of each person who is in, an index into base_positions."""
        members = self.answer["base-clusters"]["members"]
        cluster = {person: place for place, people in enumerate(members) for person in people}
        return np.array([cluster[self.votes.participant_ids[person].int] for person in self.people])

    @property
    def base_positions(self) -> Floats:
        return -np.array([self.answer["base-clusters"][axis] for axis in "xy"]).T

    @property
    def groups(self) -> Ints:
        """Of each person who is in."""
        place = {base_id: place for place, base_id in enumerate(self.answer["base-clusters"]["id"])}
        of_base = np.full(len(place), -1)
        for group in self.answer["group-clusters"]:
            of_base[[place[base_id] for base_id in group["members"]]] = group["id"]
        found: Ints = of_base[self.base_clusters]
        return found

    @property
    def centers(self) -> Floats:
        return -np.array([group["center"] for group in self.answer["group-clusters"]])


def result(name: str) -> Result:
    answer = json.loads((RESULTS / name / "math-pca2.json").read_text())
    cast = json.loads((RESULTS / name / "votes.json").read_text())
    last = {
        (vote.get("pid", vote.get("participant_id")), vote.get("tid", vote.get("statement_id"))): vote["vote"]
        for vote in sorted(cast, key=lambda vote: float(vote["modified"]))
    }
    return Result(votes_of(last, answer["tids"], answer["mod-out"] or ()), answer)


@dataclass(frozen=True)
class Export:
    """Polis' export of a conversation; groups by the number of the participant, for those Polis had in one."""

    votes: Votes
    groups: Mapping[int, int]


def export(name: str) -> Export:
    votes, comments, people = (_rows(EXPORTS / name / f"{n}.csv") for n in ("votes", "comments", "participants-votes"))
    votes.sort(key=lambda row: int(row["timestamp"]))
    last = {(int(row["voter-id"]), int(row["comment-id"])): int(row["vote"]) for row in votes}
    moderated = [int(row["comment-id"]) for row in comments if row["moderated"] == "-1"]
    groups = {int(row["participant"]): int(row["group-id"]) for row in people if row["group-id"]}
    return Export(votes_of(last, [int(row["comment-id"]) for row in comments], moderated), groups)


def adjusted_rand(ours: Ints, theirs: Ints) -> float:
    """1 for the same groups whatever they are called, 0 for what chance would give."""
    table = np.zeros((ours.max() + 1, theirs.max() + 1))
    np.add.at(table, (ours, theirs), 1)

    def pairs(sizes: Floats) -> float:
        return float((sizes * (sizes - 1)).sum()) / 2

    rows, columns = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / pairs(np.array([table.sum()]))
    return (pairs(table) - expected) / ((rows + columns) / 2 - expected)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
