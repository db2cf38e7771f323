"""Creating petitions, and what is done to a petition as a whole."""

from uuid import UUID

from libs.data.catalog.petition import CO_SIGNERS, CO_SIGNERS_BY_REGION, PETITIONS
from libs.data.events import Event
from libs.data.ids import new_id
from libs.data.requests import Replay, Requests
from libs.data.tables import Locked, Table
from libs.data.transaction import Record, Transaction
from services.petition import rules
from services.petition.errors import NotTheSubmitter, PetitionNotFound, PetitionWithdrawn, not_open
from services.petition.model import (
    Escalation,
    EscalationKind,
    Invalidated,
    NewPetition,
    Petition,
    State,
    TimeWindow,
    UserSelection,
)
from services.petition.store import record_escalations

CREATIONS = Requests("petition", "CreatePetition", Petition)
CLOSINGS = Requests("petition", "ClosePetition", Petition)
WITHDRAWALS = Requests("petition", "WithdrawPetition", Petition)
INVALIDATIONS = Requests("petition", "InvalidateCoSigns", Invalidated)

# Rows of one invalidation: about a second of work under the petition's lock.
MAX_INVALIDATED = 50_000

COLUMNS = """
petition_id, title, body, petition_type, submitter_id, state, escalation_thresholds, co_signer_count, created_time, closed_time
"""


def to_petition(row: Record) -> Petition:
    """From a row that begins with COLUMNS."""
    petition_id, title, body, petition_type, submitter_id, state, thresholds, count, created_time, closed_time = row[
        :10
    ]
    return Petition(
        petition_id,
        title,
        body,
        petition_type,
        submitter_id,
        State(state),
        tuple(thresholds),
        count,
        created_time,
        closed_time,
    )


CREATE = f"""
INSERT INTO petition.petition_submissions
    (petition_id, title, body, petition_type, submitter_id, escalation_thresholds)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING {COLUMNS}
"""


async def create(
    tx: Transaction, new: NewPetition, default_thresholds: tuple[int, ...], request_id: UUID
) -> Petition | Replay[Petition]:
    replay = await CREATIONS.claim(tx, request_id, new)
    if replay is not None:
        return replay
    thresholds = sorted(new.escalation_thresholds or default_thresholds)
    row = await tx.fetchrow(CREATE, new_id(), new.title, new.body, new.petition_type, new.submitter_id, thresholds)
    assert row is not None
    petition = to_petition(row)
    counters = {CO_SIGNERS.name: {str(petition.petition_id): 0}}
    tx.emit([Event("petition.created", petition.petition_id, 0, {"counters": counters})])
    await CREATIONS.record(tx, request_id, petition)
    return petition


END = f"""
UPDATE petition.petition_submissions
SET state = $2, version = version + 1, closed_time = coalesce(closed_time, $3)
WHERE petition_id = $1
RETURNING {COLUMNS}
"""


async def close(tx: Transaction, petition_id: UUID, request_id: UUID) -> Petition | Replay[Petition]:
    replay = await CLOSINGS.claim(tx, request_id, petition_id)
    if replay is not None:
        return replay
    petitions = await _lock_one(tx, petition_id)
    if petitions[petition_id]["state"] != State.OPEN:
        raise not_open(petition_id, petitions[petition_id]["state"])
    petition = await _end(tx, petitions, petition_id, State.CLOSED)
    await CLOSINGS.record(tx, request_id, petition)
    return petition


async def withdraw(
    tx: Transaction, petition_id: UUID, submitter_id: UUID, request_id: UUID
) -> Petition | Replay[Petition]:
    replay = await WITHDRAWALS.claim(tx, request_id, petition_id, submitter_id)
    if replay is not None:
        return replay
    petitions = await _lock_one(tx, petition_id)
    submitter = await tx.fetchval(
        "SELECT submitter_id FROM petition.petition_submissions WHERE petition_id = $1", petition_id
    )
    if submitter != submitter_id:
        raise NotTheSubmitter(petition_id)
    if petitions[petition_id]["state"] == State.WITHDRAWN:
        raise PetitionWithdrawn(petition_id)
    petition = await _end(tx, petitions, petition_id, State.WITHDRAWN)
    await WITHDRAWALS.record(tx, request_id, petition)
    return petition


async def _end(tx: Transaction, petitions: Locked[Table], petition_id: UUID, state: State) -> Petition:
    row = await tx.fetchrow(END, petition_id, state.value, petitions[petition_id]["locked_time"])
    assert row is not None
    petition = to_petition(row)
    payload = {"co_signer_count": petition.co_signer_count}
    tx.emit([Event(f"petition.{state.value}", petition_id, petitions.next_version(petition_id), payload)])
    return petition


_REMOVED_COLUMNS = """
petition_id, user_id, ordinal, co_signer_count, region_code, request_id, commit_xid, signed_time
"""
# One statement moves the rows from those that stand to those removed, and says how many of each region went.
_INVALIDATE = f"""
WITH chosen AS MATERIALIZED (
    SELECT petition_id, user_id FROM petition.co_signs
    WHERE petition_id = $1 AND {{condition}}
    ORDER BY ordinal
    LIMIT $2
), gone AS (
    DELETE FROM petition.co_signs c USING chosen
    WHERE c.petition_id = chosen.petition_id AND c.user_id = chosen.user_id
    RETURNING c.*
), kept AS (
    INSERT INTO petition.removed_co_signs ({_REMOVED_COLUMNS},
        removal, reason, removal_request_id, removal_count, removed_time)
    SELECT {_REMOVED_COLUMNS}, 'invalidated', $3, $4, $5 - (SELECT count(*) FROM gone), $6 FROM gone
)
SELECT coalesce(region_code, '') AS region_code, count(*)::integer AS n FROM gone GROUP BY 1
"""
INVALIDATE_USERS = _INVALIDATE.format(condition="user_id = ANY($7::uuid[])")
INVALIDATE_WINDOW = _INVALIDATE.format(condition="signed_time >= $7 AND signed_time < $8")
ANY_LEFT_OF_WINDOW = """
SELECT EXISTS (SELECT FROM petition.co_signs WHERE petition_id = $1 AND signed_time >= $2 AND signed_time < $3)
"""


async def invalidate(
    tx: Transaction, petition_id: UUID, selection: UserSelection | TimeWindow, reason: str, request_id: UUID
) -> Invalidated | Replay[Invalidated]:
    replay = await INVALIDATIONS.claim(tx, request_id, petition_id, selection, reason)
    if replay is not None:
        return replay
    petitions = await _lock_one(tx, petition_id)
    row = petitions[petition_id]
    before: int = row["co_signer_count"]
    common = (petition_id, MAX_INVALIDATED, reason, request_id, before, row["locked_time"])
    if isinstance(selection, UserSelection):
        regions = await tx.fetch(INVALIDATE_USERS, *common, list(selection.user_ids))
        more = False
    else:
        regions = await tx.fetch(INVALIDATE_WINDOW, *common, selection.start, selection.end)
        more = await tx.fetchval(ANY_LEFT_OF_WINDOW, petition_id, selection.start, selection.end)
    gone = sum(region["n"] for region in regions)
    after = before - gone
    reversed_ = rules.reversed_between(row["escalation_thresholds"], before, after)
    record_escalations(
        tx,
        petitions,
        [
            Escalation(petition_id, t, EscalationKind.REVERSED, after, 0, row["locked_time"])
            for t in reversed(reversed_)
        ],
    )
    tx.increment(CO_SIGNERS, {(petition_id,): -gone})
    tx.increment(CO_SIGNERS_BY_REGION, {(petition_id, r["region_code"]): -r["n"] for r in regions if r["region_code"]})
    answer = Invalidated(gone, after, reversed_, more)
    if gone:
        payload = {"invalidated_count": gone, "co_signer_count": after, "reason": reason}
        tx.emit([Event("petition.co_signs_invalidated", petition_id, petitions.next_version(petition_id), payload)])
    await INVALIDATIONS.record(tx, request_id, answer)
    return answer


async def _lock_one(tx: Transaction, petition_id: UUID) -> Locked[Table]:
    """Locks one petition.

    Raises:
        PetitionNotFound: there is none.
    """
    petitions = await tx.lock(PETITIONS, [petition_id])
    if petition_id not in petitions:
        raise PetitionNotFound(petition_id)
    return petitions
