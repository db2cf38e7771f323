"""Settings of the aggregator, from the environment (prefix `TALLY_`)."""

from pydantic import Field

from libs.data.settings import DatabaseSettings
from libs.rpc.settings import ServerSettings


class AggregatorSettings(ServerSettings):
    """An entry takes about half a kilobyte. Times are seconds."""

    listen: str = "127.0.0.1:50055"
    metrics_listen: str = "127.0.0.1:50155"
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings(database_role="tally_aggregator"))

    aggregator_max_entries: int = Field(default=200_000, ge=1, description="counters held, watched ones not counted")
    aggregator_max_watched: int = Field(default=100_000, ge=1, description="counters watched at once")
    aggregator_max_waiting: int = Field(default=50_000, ge=1, description="keys waiting to be read, of each counter")
    aggregator_poll_fast: float = Field(default=0.1, gt=0, description="between polls while there are events")
    aggregator_poll_slow: float = Field(default=0.25, gt=0, description="between polls after a while without any")
