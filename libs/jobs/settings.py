"""How a process works on jobs, from the environment (prefix `TALLY_JOBS_`)."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class JobSettings(BaseSettings):
    """Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="TALLY_JOBS_", extra="ignore")

    enabled: bool = Field(default=True, description="whether this process makes jobs due and works on them")
    concurrency: int = Field(default=4, ge=1, le=100, description="jobs that run at once")
    processes: int = Field(default=1, ge=1, le=64, description="processes that compute for jobs")
    poll_seconds: float = Field(
        default=1.0, gt=0, description="between two looks for jobs whose time has come; new ones announce themselves"
    )
    follow_seconds: float = Field(default=0.25, gt=0, description="between two looks at the event stream")
    back_off_seconds: float = Field(default=30.0, gt=0, description="the least pause before a job is tried again")
    back_off_most_seconds: float = Field(default=600.0, gt=0, description="the longest such pause")
    heartbeat_seconds: float = Field(default=5.0, gt=0, description="between two signs of life of a worker")
    stalled_seconds: float = Field(
        default=30.0,
        gt=0,
        description="a worker that gave no sign of life for so long is dead, and its jobs are taken over",
    )
    statement_seconds: float = Field(default=15.0, gt=0, description="one statement of a job may take so long")
    drain_seconds: float = Field(default=8.0, ge=0, description="jobs get this long to end when the process stops")
