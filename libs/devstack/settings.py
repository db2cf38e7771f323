"""What the local stack consists of and where it listens; settings come from the environment, prefix `TALLY_`."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

HOST = "127.0.0.1"
METRICS_OFFSET = 100
POSTGRES_OFFSET = 90
HIGHEST_OFFSET = METRICS_OFFSET + 9
SOURCE_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the stack: `python -m <module>`, on the port base plus its offset."""

    name: str
    offset: int
    module: str


SERVICES = (
    Service("petition", 0, "services.petition"),
    Service("voting", 1, "services.voting"),
    Service("claims", 2, "services.claims"),
    Service("reputation", 3, "services.reputation"),
    Service("aggregator", 4, "services.aggregator"),
    Service("operations", 5, "services.operations"),
)


class StackSettings(BaseSettings):
    """Where the stack lives. An empty `database_url` means the embedded Postgres."""

    model_config = SettingsConfigDict(env_prefix="TALLY_", extra="ignore")

    state_dir: Path = Path(".tally")
    port_base: int = Field(default=50051, ge=1, le=65535 - HIGHEST_OFFSET)
    replicas: int = Field(default=0, ge=0, le=HIGHEST_OFFSET - METRICS_OFFSET)
    database_url: str = ""
    drain_seconds: float = Field(
        default=10.0, ge=0, description="how long a service may take to finish its calls in flight"
    )

    @property
    def embedded(self) -> bool:
        return not self.database_url

    @property
    def postgres_port(self) -> int:
        return self.port_base + POSTGRES_OFFSET

    def replica_port(self, number: int) -> int:
        """Replicas are numbered from 1."""
        return self.postgres_port + number

    def address(self, service: Service) -> str:
        return f"{HOST}:{self.port_base + service.offset}"

    def metrics_address(self, service: Service) -> str:
        return f"{HOST}:{self.port_base + METRICS_OFFSET + service.offset}"

    def ports(self) -> dict[int, str]:
        """Every port that the stack listens on, and for what."""
        ports = {self.port_base + service.offset: service.name for service in SERVICES}
        ports |= {self.port_base + METRICS_OFFSET + service.offset: f"{service.name} metrics" for service in SERVICES}
        if self.embedded:
            ports[self.postgres_port] = "postgres"
            ports |= {self.replica_port(n): f"replica-{n}" for n in range(1, self.replicas + 1)}
        return ports

    def environment(self) -> dict[str, str]:
        """The variables by which another process reads these same settings."""
        return {
            "TALLY_STATE_DIR": str(self.state_dir.absolute()),
            "TALLY_PORT_BASE": str(self.port_base),
            "TALLY_REPLICAS": str(self.replicas),
            "TALLY_DATABASE_URL": self.database_url,
            "TALLY_DRAIN_SECONDS": str(self.drain_seconds),
        }

    @property
    def state(self) -> "StateFolder":
        return StateFolder(self.state_dir.absolute())


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The files in the state folder."""

    path: Path

    @property
    def stack_file(self) -> Path:
        return self.path / "stack.json"

    @property
    def supervisor_lock(self) -> Path:
        return self.path / "supervisor.lock"

    @property
    def starting_lock(self) -> Path:
        return self.path / "starting.lock"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"
