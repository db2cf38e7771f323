"""The counters of petitions."""

from libs.data.counters import CountedRows, Counter
from libs.data.tables import Table

PETITIONS = Table(
    name="petition.petition_submissions",
    key="petition_id",
    locked_columns=("submitter_id", "state", "co_signer_count", "last_ordinal", "escalation_thresholds"),
    aggregate="petition",
)

CO_SIGNERS = Counter(
    name="petition.co_signers",
    description="Signatures that stand under a petition.",
    aggregate=PETITIONS,
    column="co_signer_count",
    counts=CountedRows("petition.co_signs", ("petition_id",)),
    rank_column="signature_rank",
    listed="state <> 'withdrawn'",
    unlisted_by=("petition.withdrawn",),
)

# Numbers given out to signers. Never falls, so it counts no rows.
ORDINALS = Counter(
    name="petition.ordinals",
    description="Ordinals given out to a petition's signers, withdrawn ones included.",
    aggregate=PETITIONS,
    column="last_ordinal",
)

CO_SIGNERS_BY_REGION = Counter(
    name="petition.region_co_signers",
    description="Signatures that stand under a petition and carry a region code.",
    aggregate=PETITIONS,
    table="petition.region_counts",
    breakdown=("region_code",),
    column="co_signer_count",
    counts=CountedRows("petition.co_signs", ("petition_id", "region_code")),
)

PETITION_COUNTERS = (CO_SIGNERS, ORDINALS, CO_SIGNERS_BY_REGION)
