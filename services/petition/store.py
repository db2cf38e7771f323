"""Signing and withdrawing, for everybody who is waiting, in one transaction (G1, G2, G3, G5)."""

from collections.abc import Sequence
from typing import Any

from libs.data.catalog.petition import CO_SIGNERS, CO_SIGNERS_BY_REGION, ORDINALS, PETITIONS
from libs.data.commit_tokens import encode_token
from libs.data.events import Event
from libs.data.tables import Locked, Table
from libs.data.transaction import Transaction
from services.petition import rules
from services.petition.model import Command, Escalation, Removal, RemovedSignature, Signature


async def sign_and_withdraw(tx: Transaction, commands: Sequence[Command]) -> list[rules.Outcome]:
    """One outcome a command, in order."""
    petitions, seen = await lock_and_look_up(tx, commands)
    decision = rules.decide(petitions.rows, seen, commands)
    await delete_signatures(tx, petitions, decision.deleted)
    insert_signatures(tx, petitions, decision.added)
    insert_removed(tx, petitions, decision.removed)
    record_escalations(tx, petitions, decision.escalations)
    tx.increment(ORDINALS, decision.ordinals)
    tx.increment(CO_SIGNERS, decision.co_signers)
    tx.increment(CO_SIGNERS_BY_REGION, decision.by_region)
    return decision.outcomes


# Two probes of an index a command, in one round trip; the second finds something only where a signature was taken back.
LOOK_UP = """
SELECT c.petition_id, c.user_id, c.ordinal, c.region_code, c.request_id, c.co_signer_count, c.signed_time,
       c.commit_xid::text::bigint AS xid,
       NULL AS removal, NULL::uuid AS removal_request_id, NULL::integer AS removal_count,
       NULL::timestamptz AS removed_time, NULL AS reason, NULL::bigint AS removal_xid
FROM unnest($1::uuid[], $2::uuid[]) AS wanted(petition_id, user_id)
JOIN petition.co_signs c USING (petition_id, user_id)
UNION ALL
SELECT r.petition_id, r.user_id, r.ordinal, r.region_code, r.request_id, r.co_signer_count, r.signed_time,
       r.commit_xid::text::bigint, r.removal, r.removal_request_id, r.removal_count, r.removed_time, r.reason,
       r.removal_xid::text::bigint
FROM unnest($1::uuid[], $2::uuid[]) AS wanted(petition_id, user_id)
JOIN petition.removed_co_signs r USING (petition_id, user_id)
"""


async def lock_and_look_up(tx: Transaction, commands: Sequence[Command]) -> tuple[Locked[Table], rules.Seen]:
    """The commands' petitions, locked, and what is stored about their users."""
    signers = {(c.petition_id, c.user_id): None for c in commands}
    petitions, rows = await tx.lock_and_read(
        PETITIONS,
        {petition_id for petition_id, _ in signers},
        LOOK_UP,
        [petition_id for petition_id, _ in signers],
        [user_id for _, user_id in signers],
    )
    seen = rules.Seen()
    for row in rows:
        signature = _signature(row)
        signer = (signature.petition_id, signature.user_id)
        removal, removal_request_id, removal_count, removed_time, reason, removal_xid = row[8:]
        if removal is None:
            seen.standing[signer] = signature
        else:
            removed = RemovedSignature(
                signature,
                Removal(removal),
                removal_request_id,
                removal_count,
                removed_time,
                reason,
                encode_token(removal_xid),
            )
            seen.removed.setdefault(signer, []).append(removed)
    return petitions, seen


def _signature(row: Sequence[Any]) -> Signature:
    petition_id, user_id, ordinal, region_code, request_id, co_signer_count, signed_time, xid = row[:8]
    token = encode_token(xid)
    return Signature(petition_id, user_id, ordinal, region_code, request_id, co_signer_count, signed_time, token)


INSERT = """
INSERT INTO petition.co_signs
    (petition_id, user_id, ordinal, region_code, request_id, co_signer_count, signed_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::uuid[], $6::integer[], $7::timestamptz[])
"""


def insert_signatures(tx: Transaction, petitions: Locked[Table], added: Sequence[Signature]) -> None:
    if not added:
        return
    tx.write_last(
        INSERT,
        [s.petition_id for s in added],
        [s.user_id for s in added],
        [s.ordinal for s in added],
        [s.region_code for s in added],
        [s.request_id for s in added],
        [s.co_signer_count for s in added],
        [s.signed_time for s in added],
        rows=len(added),
    )


DELETE = """
DELETE FROM petition.co_signs c
USING unnest($1::uuid[], $2::uuid[]) AS gone(petition_id, user_id)
WHERE c.petition_id = gone.petition_id AND c.user_id = gone.user_id
"""


async def delete_signatures(tx: Transaction, petitions: Locked[Table], signers: Sequence[rules.Signer]) -> None:
    if not signers:
        return
    deleted = await tx.execute(DELETE, [petition_id for petition_id, _ in signers], [user_id for _, user_id in signers])
    assert deleted == len(signers)


INSERT_REMOVED = """
INSERT INTO petition.removed_co_signs
    (petition_id, user_id, ordinal, region_code, request_id, co_signer_count, signed_time, commit_xid,
     removal, removal_request_id, removal_count, removed_time, reason)
SELECT petition_id, user_id, ordinal, region_code, request_id, co_signer_count, signed_time,
       coalesce(commit_xid::xid8, pg_current_xact_id()),
       removal, removal_request_id, removal_count, removed_time, reason
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::uuid[], $6::integer[], $7::timestamptz[], $8::text[],
            $9::text[], $10::uuid[], $11::integer[], $12::timestamptz[], $13::text[])
     AS r(petition_id, user_id, ordinal, region_code, request_id, co_signer_count, signed_time, commit_xid,
          removal, removal_request_id, removal_count, removed_time, reason)
"""


def insert_removed(tx: Transaction, petitions: Locked[Table], removed: Sequence[RemovedSignature]) -> None:
    if not removed:
        return
    signatures = [r.signature for r in removed]
    tx.write_last(
        INSERT_REMOVED,
        [s.petition_id for s in signatures],
        [s.user_id for s in signatures],
        [s.ordinal for s in signatures],
        [s.region_code for s in signatures],
        [s.request_id for s in signatures],
        [s.co_signer_count for s in signatures],
        [s.signed_time for s in signatures],
        [str(int(s.token, 16)) if s.token else None for s in signatures],
        [r.removal.value for r in removed],
        [r.removal_request_id for r in removed],
        [r.removal_count for r in removed],
        [r.removed_time for r in removed],
        [r.reason for r in removed],
        rows=len(removed),
    )


RECORD_ESCALATIONS = """
INSERT INTO petition.escalations
    (petition_id, version, position, threshold, kind, co_signer_count, ordinal, recorded_time)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::integer[], $5::text[], $6::integer[], $7::integer[],
                     $8::timestamptz[])
"""


def record_escalations(tx: Transaction, petitions: Locked[Table], escalations: Sequence[Escalation]) -> None:
    """Stores and emits each passing of a threshold."""
    if not escalations:
        return
    tx.write_last(
        RECORD_ESCALATIONS,
        [e.petition_id for e in escalations],
        [petitions.next_version(e.petition_id) for e in escalations],
        list(range(len(escalations))),
        [e.threshold for e in escalations],
        [e.kind.value for e in escalations],
        [e.co_signer_count for e in escalations],
        [e.ordinal for e in escalations],
        [e.recorded_time for e in escalations],
        rows=len(escalations),
    )
    tx.emit(_event(petitions, escalation) for escalation in escalations)


def _event(petitions: Locked[Table], escalation: Escalation) -> Event:
    kind = "petition.escalated" if escalation.kind == "crossed" else "petition.escalation_reversed"
    payload = {
        "threshold": escalation.threshold,
        "co_signer_count": escalation.co_signer_count,
        "ordinal": escalation.ordinal,
        "submitter_id": str(petitions[escalation.petition_id]["submitter_id"]),
    }
    return Event(kind, escalation.petition_id, petitions.next_version(escalation.petition_id), payload)
