"""Settings of the reputation service, from the environment (prefix `TALLY_`)."""

from pydantic import Field

from libs.data.settings import DatabaseSettings
from libs.rpc.settings import ServerSettings


class ReputationSettings(ServerSettings):
    listen: str = "127.0.0.1:50054"
    metrics_listen: str = "127.0.0.1:50154"
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings(database_role="tally_reputation"))

    reputation_max_batch: int = Field(default=512, ge=1, description="commands of one transaction")
    reputation_max_queue: int = Field(
        default=20_000, ge=1, description="commands, or lookups, that may wait; more are refused"
    )
    reputation_refresh_seconds: float = Field(
        default=60.0, gt=0, description="what a refresh of the summary of groups may take"
    )
    reputation_consume: bool = Field(default=True, description="whether this process takes up the event stream")
    reputation_poll_seconds: float = Field(
        default=0.2, gt=0, le=10, description="between two looks at the event stream while nothing comes"
    )
    reputation_page_events: int = Field(
        default=500, ge=1, le=5_000, description="events of the stream that are taken up in one transaction"
    )
