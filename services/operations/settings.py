"""Settings of the operations service, from the environment (prefix `TALLY_`)."""

from pydantic import Field

from libs.data.settings import DatabaseSettings
from libs.jobs.settings import JobSettings
from libs.rpc.settings import ServerSettings


class OperationsSettings(ServerSettings):
    """Times are seconds."""

    listen: str = "127.0.0.1:50056"
    metrics_listen: str = "127.0.0.1:50156"
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings(database_role="tally_operations"))
    jobs: JobSettings = Field(default_factory=JobSettings)

    operations_status_seconds: float = Field(
        default=2.0, gt=0, description="GetStatus waits this long for the database before it answers without"
    )
    operations_service_pool_max: int = Field(
        default=2, ge=1, le=20, description="connections of each service's role for writing, and as many for reading"
    )
    operations_events_days: float = Field(default=7.0, ge=1 / 24, description="events older than this are deleted")
    operations_jobs_days: float = Field(default=1.0, gt=0, description="jobs that were done longer ago are deleted")
    operations_failed_jobs_days: float = Field(
        default=30.0, gt=0, description="jobs that failed for good longer ago are deleted"
    )
