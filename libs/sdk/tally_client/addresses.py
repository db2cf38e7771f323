"""Where Tally's services listen, and how to connect to them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """host:port of each service; the defaults are those of a local stack."""

    petition: str = "127.0.0.1:50051"
    voting: str = "127.0.0.1:50052"
    claims: str = "127.0.0.1:50053"
    reputation: str = "127.0.0.1:50054"
    aggregator: str = "127.0.0.1:50055"
    operations: str = "127.0.0.1:50056"


CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Four MiB are less than an analysis of a large conversation.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # Which calls may be repeated is known here; a policy found in DNS would know less.
    ("grpc.service_config_disable_resolution", 1),
)
