"""Settings every Tally server shares; each service's settings class derives from this one."""

import ipaddress
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class UnsafeBindingError(Exception):
    """The server would be reachable from other machines without any authentication mode being chosen."""


class ServerSettings(BaseSettings):
    """Read from the environment, prefix `TALLY_`. Times are seconds, sizes bytes."""

    model_config = SettingsConfigDict(env_prefix="TALLY_", extra="ignore", populate_by_name=True)

    listen: str = Field("127.0.0.1:50051", description="host:port of gRPC; port 0 lets the system choose")
    metrics_listen: str = Field("127.0.0.1:50151", description="host:port of the Prometheus endpoint; empty = off")
    authentication: Literal["none", "trusted-network"] = Field(
        "none",
        description="`none` binds to loopback only; `trusted-network` trusts whoever can connect, for use behind a "
        "network policy or a mutual-TLS mesh",
    )

    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_call_ratio: float = Field(1.0, ge=0, le=1, description="share of successful calls that get their log line")
    trace_ratio: float = Field(0.0, ge=0, le=1, description="share of calls traced whose caller did not decide")

    default_deadline_seconds: float = Field(5.0, gt=0, description="of unary calls whose caller set no deadline")
    deadline_margin_seconds: float = Field(0.05, ge=0, description="kept back from handlers to send the answer")

    drain_seconds: float = Field(10.0, ge=0, description="calls in flight get this long when the server stops")
    drain_pause_seconds: float = Field(0.1, ge=0, description="between health NOT_SERVING and refusing new calls")
    ready_interval_seconds: float = Field(1.0, gt=0, description="between two checks of readiness")
    ready_timeout_seconds: float = Field(2.0, gt=0, description="a readiness check that takes longer has failed")

    max_message_bytes: int = Field(4 * 1024 * 1024, gt=0, description="of one message received")
    max_answer_bytes: int = Field(64 * 1024 * 1024, gt=0, description="of one message sent")

    @field_validator("listen", "metrics_listen")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        if address:
            split_address(address)
        return address

    def check_binding(self) -> None:
        """Raises UnsafeBindingError where a listener is reachable from outside and nothing guards it."""
        if self.authentication != "none":
            return
        for variable, address in (("TALLY_LISTEN", self.listen), ("TALLY_METRICS_LISTEN", self.metrics_listen)):
            if address and not _is_loopback(address):
                raise UnsafeBindingError(
                    f"{variable}={address} is reachable from other machines, and TALLY_AUTHENTICATION=none "
                    "authenticates nobody. Bind to 127.0.0.1, or, where a network policy or a mutual-TLS mesh guards "
                    "the port, set TALLY_AUTHENTICATION=trusted-network."
                )


def split_address(address: str) -> tuple[str, int]:
    """`host:port` in its two parts; raises ValueError when it is not that. IPv6 hosts come in brackets."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdigit():
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_loopback(address: str) -> bool:
    host, _ = split_address(address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
