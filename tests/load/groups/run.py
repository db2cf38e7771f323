"""Analyses generated votes in a process of its own: `python -m tests.load.groups.run VOTES PEOPLE OPINIONS ROUNDS COMPONENTS`.

Writes the components to COMPONENTS (.npz) and what it measured to standard output, as JSON.
"""

import json
import resource
import sys
import time

import numpy as np

from services.voting.groups.analysis import analyse
from services.voting.groups.arrays import packed, places
from tests.load.groups.generated import generated


def main(size: tuple[int, int, int], rounds: int, components: str) -> None:
    made = generated(*size)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        analysis = analyse(made)
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    analyse(made, analysis.state)
    following = time.perf_counter() - started
    loaded = places(packed(made.opinion_ids), analysis.state.opinion_ids)
    found = np.where(loaded >= 0, analysis.state.components[:, loaded], 0)
    np.savez(components, components=found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sizes = [group.size for group in analysis.groups]
    print(json.dumps({"seconds": seconds, "following": following, "peak_bytes": peak, "sizes": sizes}))


if __name__ == "__main__":
    votes, people, opinions, rounds = map(int, sys.argv[1:5])
    main((votes, people, opinions), rounds, sys.argv[5])
