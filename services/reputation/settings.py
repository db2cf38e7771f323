"""Settings of the reputation service, from the environment (prefix `TALLY_`)."""

from pydantic import Field

from libs.data.settings import DatabaseSettings
from libs.rpc.settings import ServerSettings


class ReputationSettings(ServerSettings):
    listen: str = "127.0.0.1:50054"
    metrics_listen: str = "127.0.0.1:50154"
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings(database_role="tally_reputation"))

    reputation_max_batch: int = Field(default=512, ge=1, description="commands of one transaction")
    reputation_max_queue: int = Field(default=20_000, ge=1, description="commands that may wait; more are refused")
