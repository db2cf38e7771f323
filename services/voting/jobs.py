"""The background work of voting."""

from libs.data.events import StoredEvent
from libs.data.ids import parse_id
from libs.jobs.job import Due, Job, JobContext
from libs.jobs.reconciliation import healing
from services.voting import store_analysing
from services.voting.analysing import compute
from services.voting.rules_analysis import pause_after

ROLE = "tally_voting"


async def analyse(context: JobContext, key: str) -> None:
    """Analyses the votes of a conversation and stores what they say, unless the last analysis is of the conversation as it is.

    Done again or twice at once it leaves one analysis: storing looks whether another has been stored since the votes were read.
    """
    database = context.database(ROLE)
    async with database.snapshot() as snapshot:
        ballots = await store_analysing.read_ballots(snapshot, parse_id(key))
    if ballots is None:
        return
    computed = await context.compute(compute, ballots)
    await database.write(lambda tx: store_analysing.store(tx, computed))


def analysis_due(event: StoredEvent) -> Due | None:
    """After anything that an analysis rests on has changed, or somebody asked for one.

    Opinions, votes, what moderation makes visible or not, and imports move a count of their conversation, or tell that none
    moved though votes did. A mark that an opinion is about the conversation itself moves none.
    """
    if event.kind in ("conversation.analysis_requested", "conversation.votes_changed"):
        return Due(event.aggregate_id, pause_after(event.payload["vote_count"]))
    if event.kind == "opinion.moderated" and event.payload.get("meta") != event.payload.get("previous_meta"):
        return Due(event.payload["conversation_id"], pause_after(event.payload["vote_count"]))
    if event.kind == "conversation.counted":
        counters = event.payload["counters"]
        votes = counters.get("voting.votes") or counters.get("voting.visible_votes") or {}
        return Due(event.aggregate_id, pause_after(votes.get(event.aggregate_id, 0)))
    return None


JOBS = (
    Job("analysis", analyse, follows=analysis_due),
    healing("reconcile_conversations", ROLE),
)
