"""What the database holds of a petition, read in one snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from libs.data.commit_tokens import encode_token


@dataclass(slots=True)
class Signature:
    """A row of the signatures that stand or, with `removal`, of those that no longer do."""

    user_id: str
    ordinal: int
    co_signer_count: int
    region_code: str
    request_id: str
    token: str
    removal: str = ""
    removal_request_id: str = ""
    removal_count: int = 0
    removal_token: str = ""


@dataclass(slots=True)
class Escalation:
    version: int
    threshold: int
    kind: str
    co_signer_count: int
    ordinal: int


@dataclass(slots=True)
class Event:
    version: int
    kind: str
    xid: int
    payload: dict[str, Any]


@dataclass(slots=True)
class StoredPetition:
    """A petition and everything that was written about it; signatures by ordinal, the rest in the order it happened."""

    petition_id: str
    state: str
    thresholds: tuple[int, ...]
    last_ordinal: int
    version: int
    co_signer_count: int
    standing: list[Signature] = field(default_factory=list)
    removed: list[Signature] = field(default_factory=list)
    region_counts: dict[str, int] = field(default_factory=dict)
    escalations: list[Escalation] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def signatures(self) -> list[Signature]:
        return sorted([*self.standing, *self.removed], key=lambda signature: signature.ordinal)


PETITIONS = """
SELECT petition_id::text AS petition_id, state, escalation_thresholds, last_ordinal, version, co_signer_count
FROM petition.petition_submissions WHERE petition_id = ANY(%s)
"""
SIGNATURE = """
petition_id::text AS petition_id, user_id::text AS user_id, ordinal, co_signer_count,
coalesce(region_code, '') AS region_code, request_id::text AS request_id, commit_xid::text::bigint AS xid
"""
STANDING = f"SELECT {SIGNATURE} FROM petition.co_signs WHERE petition_id = ANY(%s) ORDER BY ordinal"
REMOVED = f"""
SELECT {SIGNATURE}, removal, removal_request_id::text AS removal_request_id, removal_count,
       removal_xid::text::bigint AS removal_xid
FROM petition.removed_co_signs WHERE petition_id = ANY(%s) ORDER BY ordinal
"""
REGIONS = "SELECT petition_id::text AS petition_id, region_code, co_signer_count FROM petition.region_counts"
ESCALATIONS = """
SELECT petition_id::text AS petition_id, version, threshold, kind, co_signer_count, ordinal FROM petition.escalations
WHERE petition_id = ANY(%s) ORDER BY version, position
"""
EVENTS = """
SELECT aggregate_id, version, kind, xid::text::bigint AS xid, payload FROM operations.events
WHERE aggregate_id = ANY(%s::text[]) ORDER BY version, xid, position
"""


def read_stored(url: str, petition_ids: Sequence[str]) -> dict[str, StoredPetition]:
    """The petitions by id."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        wanted = [list(petition_ids)]
        stored = {
            row["petition_id"]: StoredPetition(
                row["petition_id"],
                row["state"],
                tuple(row["escalation_thresholds"]),
                row["last_ordinal"],
                row["version"],
                row["co_signer_count"],
            )
            for row in connection.execute(PETITIONS, wanted)
        }
        for row in connection.execute(STANDING, wanted):
            stored[row["petition_id"]].standing.append(_signature(row))
        for row in connection.execute(REMOVED, wanted):
            signature = _signature(row)
            signature.removal = row["removal"]
            signature.removal_request_id = row["removal_request_id"]
            signature.removal_count = row["removal_count"]
            signature.removal_token = encode_token(row["removal_xid"])
            stored[row["petition_id"]].removed.append(signature)
        for row in connection.execute(f"{REGIONS} WHERE petition_id = ANY(%s)", wanted):
            stored[row["petition_id"]].region_counts[row["region_code"]] = row["co_signer_count"]
        for row in connection.execute(ESCALATIONS, wanted):
            petition = stored[row.pop("petition_id")]
            petition.escalations.append(Escalation(**row))
        for row in connection.execute(EVENTS, wanted):
            petition = stored[row.pop("aggregate_id")]
            petition.events.append(Event(**row))
    return stored


def _signature(row: dict[str, Any]) -> Signature:
    return Signature(
        row["user_id"],
        row["ordinal"],
        row["co_signer_count"],
        row["region_code"],
        row["request_id"],
        encode_token(row["xid"]),
    )
