"""Settings of the voting service, from the environment (prefix `TALLY_`)."""

from pydantic import Field

from libs.data.settings import DatabaseSettings
from libs.rpc.settings import ServerSettings


class VotingSettings(ServerSettings):
    listen: str = "127.0.0.1:50052"
    metrics_listen: str = "127.0.0.1:50152"
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings(database_role="tally_voting"))

    voting_max_batch: int = Field(default=512, ge=1, description="commands of one transaction")
    voting_max_queue: int = Field(default=20_000, ge=1, description="commands that may wait; more are refused")
    voting_stream_window: int = Field(default=256, ge=1, description="votes in flight on one stream")
    voting_author_votes_seconds: float = Field(
        default=1.0, gt=0, description="between two looks for authors' votes that a dead process left to be cast"
    )
