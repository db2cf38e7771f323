"""Every counter there is, by declaration. Serving, verification, repair and index checks follow from these pages alone."""

from libs.data.catalog.claims import CLAIMS_COUNTERS
from libs.data.catalog.petition import PETITION_COUNTERS
from libs.data.catalog.reputation import REPUTATION_COUNTERS
from libs.data.catalog.voting import VOTING_COUNTERS

COUNTERS = {
    counter.name: counter for counter in (*PETITION_COUNTERS, *CLAIMS_COUNTERS, *VOTING_COUNTERS, *REPUTATION_COUNTERS)
}
