"""How the queue is, and what becomes of jobs."""

from collections.abc import Iterable, Mapping

from libs.telemetry.instruments import counter, gauge_each, histogram

RUNS = counter(
    "tally.jobs.runs", "{run}", "Runs of jobs that ended: succeeded, retried, failed (for good) or put_back."
)
SECONDS = histogram(
    "tally.jobs.duration",
    "s",
    "How long runs of jobs took.",
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60],
)
QUEUED = counter("tally.jobs.queued", "{job}", "Jobs that were queued; those that waited already are not counted.")
TAKEN_OVER = counter("tally.jobs.taken_over", "{job}", "Jobs taken over from workers that died.")

# By job type and state, as of the last look at the queue by this process.
_depth: Mapping[tuple[str, str], int] = {}


def set_depth(depth: Mapping[tuple[str, str], int]) -> None:
    """By job type and state: all that there were before are forgotten."""
    global _depth
    _depth = depth


def _read_depth() -> Iterable[tuple[Mapping[str, str], float]]:
    return [({"job_type": job_type, "state": state}, count) for (job_type, state), count in _depth.items()]


gauge_each(
    "tally.jobs.depth",
    "{job}",
    "Jobs that are queued, running or failed for good, of the whole system: every worker reports the same.",
    _read_depth,
)
