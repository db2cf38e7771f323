"""Settings of the petition service, from the environment (prefix `TALLY_`)."""

from pydantic import Field, field_validator

from libs.data.settings import DatabaseSettings
from libs.rpc.settings import ServerSettings

MAX_THRESHOLDS = 20


class PetitionSettings(ServerSettings):
    """`TALLY_PETITION_DEFAULT_THRESHOLDS` is JSON: petition type to thresholds, with `default` for all other types."""

    listen: str = "127.0.0.1:50051"
    metrics_listen: str = "127.0.0.1:50151"
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings(database_role="tally_petition"))

    petition_default_thresholds: dict[str, tuple[int, ...]] = {
        "default": (100, 1_000, 10_000, 100_000),
        "local": (10, 50, 250, 1_000),
        "national": (1_000, 10_000, 50_000, 100_000),
    }
    petition_max_batch: int = Field(default=512, ge=1, description="commands of one transaction")
    petition_max_queue: int = Field(default=20_000, ge=1, description="commands that may wait; more are refused")
    petition_stream_window: int = Field(default=256, ge=1, description="signatures in flight on one stream")

    @field_validator("petition_default_thresholds")
    @classmethod
    def _usable(cls, value: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        for petition_type, thresholds in value.items():
            if (
                len(set(thresholds)) != len(thresholds)
                or len(thresholds) > MAX_THRESHOLDS
                or min(thresholds, default=1) < 1
            ):
                raise ValueError(f"{petition_type}: up to {MAX_THRESHOLDS} different thresholds of at least 1")
        if "default" not in value:
            raise ValueError("the entry `default` is missing")
        return value

    def default_thresholds(self, petition_type: str) -> tuple[int, ...]:
        thresholds = self.petition_default_thresholds
        return thresholds.get(petition_type, thresholds["default"])
