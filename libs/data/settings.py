"""How a service reaches Postgres, from the environment (prefix `TALLY_`)."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """Pools, time limits and addresses. Times are in seconds.

    The pools of all instances of all services together must stay below the server's `max_connections`.
    """

    model_config = SettingsConfigDict(env_prefix="TALLY_", extra="ignore")

    database_url: str = "postgresql://postgres@127.0.0.1:50141/tally"
    replica_urls: Annotated[list[str], NoDecode] = []
    database_role: str = ""

    write_pool_max: int = Field(default=8, ge=1, le=50)
    read_pool_max: int = Field(default=8, ge=1, le=30)
    acquire_timeout: float = Field(default=30.0, gt=0)
    connection_lifetime: float = Field(default=1800.0, gt=0)

    statement_timeout: float = Field(default=5.0, gt=0)
    lock_timeout: float = Field(default=3.0, gt=0)
    idle_in_transaction_timeout: float = Field(default=10.0, gt=0)

    write_attempts: int = Field(default=5, ge=1)
    replica_max_lag: float = Field(default=5.0, gt=0)

    @field_validator("replica_urls", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return [url.strip() for url in value.split(",") if url.strip()] if isinstance(value, str) else value
