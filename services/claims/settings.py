"""Settings of the claims service, from the environment (prefix `TALLY_`)."""

from pydantic import Field

from libs.data.settings import DatabaseSettings
from libs.rpc.settings import ServerSettings


class ClaimsSettings(ServerSettings):
    listen: str = "127.0.0.1:50053"
    metrics_listen: str = "127.0.0.1:50153"
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings(database_role="tally_claims"))

    claims_max_batch: int = Field(default=512, ge=1, description="commands of one transaction")
    claims_max_queue: int = Field(default=20_000, ge=1, description="commands that may wait; more are refused")
    claims_most_waiting: int = Field(
        default=10_000, ge=1, le=100_000, description="people that may wait for one coupon"
    )
    claims_sold_out_coupons: int = Field(default=10_000, ge=0, description="sold-out coupons kept in memory")
    claims_sold_out_claimants: int = Field(
        default=2_000_000, ge=0, description="claimants of sold-out coupons kept in memory, 8 bytes each"
    )
    claims_hold_seconds: float = Field(
        default=900.0, gt=0, le=30 * 86_400, description="how long portions are held for an exchange to be confirmed"
    )
    claims_expiry_seconds: float = Field(default=1.0, gt=0, description="between two looks for holds that have ended")
