"""Runs red-dwarf, in a process and an environment of its own: `python red_dwarf.py VOTES ANSWER`, two .npz files.

VOTES has participants, opinions and votes, each a number a vote. ANSWER gets the principal components with the opinions they
are of, and the seconds that the library took, from its own form of the votes to all it answers.
"""

import sys
import time

import numpy as np
from reddwarf.implementations.base import run_pipeline


def main(votes_file: str, answer_file: str) -> None:
    given = np.load(votes_file)
    columns = (given[name].tolist() for name in ("participants", "opinions", "votes"))
    votes = [
        {"participant_id": person, "statement_id": opinion, "vote": vote, "modified": 0}
        for person, opinion, vote in zip(*columns, strict=True)
    ]
    started = time.perf_counter()
    # Left alone it takes a randomised decomposition at this size, which is neither exact nor faster.
    result = run_pipeline(votes=votes, random_state=1, reducer_kwargs={"svd_solver": "arpack"})
    seconds = time.perf_counter() - started
    np.savez(
        answer_file,
        opinions=result.raw_vote_matrix.columns.to_numpy(np.int64),
        components=result.reducer.components_,
        seconds=seconds,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
